/**
 * A process that decides and revokes without end, as a gate does, until it is killed. Each
 * revocation that was acknowledged is told by its value on stdout.
 *
 * Arguments: the folder of the store, a name that no other process has.
 *
 * @module
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { openAuditKey } from "../../src/audit/key.ts";
import { openAudit } from "../../src/audit/record.ts";
import { openStore } from "../../src/store/open.ts";
import { forwardEntry } from "../audit/entries.ts";
import { revocation } from "./contract.ts";
import { sighting } from "./sighting.ts";

const STDOUT = 1;
const [, , folder = "", name = ""] = process.argv;
const file = join(folder, "claimgate.db");
const store = await openStore({ kind: "sqlite", file }, { now: Date.now });
const audit = openAudit({
  store,
  key: await openAuditKey(folder),
  now: Date.now,
  config: () => ({ retainMs: 86_400_000 }),
  warn: console.error,
  onLoss: console.error,
});

let number = 0;
setInterval(() => {
  number += 1;
  audit.record(forwardEntry(number, { at: new Date().toISOString() }));
}, 1);

const nowMs = Date.now();
for (let count = 0; ; count++) {
  const value = `${name}-${count}`;
  await store.revoke(revocation({ value, atMs: nowMs, untilMs: nowMs + 3_600_000 }));
  writeSync(STDOUT, `${value}\n`);
  await store.noteSightings([sighting(name, { expiresAtMs: nowMs + 3_600_000 })]);
  await store.put(`${name}-${count}`, "v", nowMs + 3_600_000);
}
