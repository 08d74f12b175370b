/**
 * A process that records without end, as a gate does, until it is killed: an entry every few
 * milliseconds, each told by a line on stdout.
 *
 * Arguments: the folder of the store.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { openAuditKey } from "../../src/audit/key.ts";
import { openAudit } from "../../src/audit/record.ts";
import { openStore } from "../../src/store/open.ts";
import { forwardEntry } from "./entries.ts";

const EVERY_MS = 2;
const STDOUT = 1;

const folder = process.argv[2] ?? "";
const config = { kind: "sqlite", file: join(folder, "claimgate.db") } as const;
const audit = openAudit({
  store: await openStore(config, { now: Date.now }),
  key: await openAuditKey(folder),
  now: Date.now,
  config: () => ({ retainMs: 86_400_000, file: join(folder, "audit.jsonl") }),
  warn: console.error,
  onLoss: console.error,
});

let number = 0;
setInterval(() => {
  number += 1;
  audit.record(forwardEntry(number, { at: new Date().toISOString() }));
  writeSync(STDOUT, "recorded\n");
}, EVERY_MS);
