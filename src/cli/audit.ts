/**
 * `claimgate audit`: who got at what, who was refused, and why; read from the store directly,
 * whether or not a gate is running on it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { isoTime } from "../audit/entry.ts";
import { followChains } from "../audit/follow.ts";
import { readEntry } from "../audit/scan.ts";
import { findRecords, isWanted, queryOf, type RecordFilter } from "../audit/search.ts";
import { GateError } from "../errors.ts";
import { openStore } from "../store/open.ts";
import type { ChainedRecord, Store } from "../store/store.ts";
import { openTable } from "./audit/table.ts";
import { type VerifyFlags, verifyAudit } from "./audit/verify-chains.ts";
import { paintFor } from "./paint.ts";
import { loadStoreConfig } from "./store-config.ts";

type AuditFlags = RecordFilter & {
  readonly follow?: true;
  readonly limit?: string;
  readonly json?: true;
  readonly config: string;
};

const MOST_SHOWN = 1_000;
/** What `--follow` begins with, as `tail -f` does. */
const SHOWN_BEFORE = 10;

export function auditCommand(program: Command): void {
  const audit = program
    .command("audit")
    .description("Show decisions and administrators' acts, newest last")
    .option("--since <time>", "a duration back from now (1h, 7d), or a time in ISO 8601")
    .option("--subject <sub>", "of this subject")
    .option("--route <name>", "on this route")
    .option("--code <code>", "refused with this code: the client's, or a policy's own")
    .option("--denied", "refused")
    .option("--shadow", "that a policy under shadow would have refused")
    .option("--follow", "go on as records come, until Ctrl-C")
    .option("--limit <count>", `at most so many, the newest (default ${MOST_SHOWN})`)
    .option("--json", "print JSON lines")
    .option("--config <file>", "configuration file", "claimgate.yaml")
    .action((flags: AuditFlags) => showAudit(flags));
  audit
    .command("verify")
    .description("Say whether a record was changed or removed; exit 1 if one was")
    .option("--json", "print the findings as JSON")
    .option("--config <file>", "configuration file", "claimgate.yaml")
    // Options that both know are taken by the command above, wherever they stand.
    .action((_: VerifyFlags, verify: Command) =>
      verifyAudit(verify.optsWithGlobals<VerifyFlags>()),
    );
}

async function showAudit(flags: AuditFlags): Promise<void> {
  const limit = readLimit(flags);
  checkTimes(flags);
  const config = await loadStoreConfig(flags.config);
  if (config.store.kind === "sqlite" && !existsSync(config.store.file) && !flags.follow) {
    note("nothing is recorded yet: the store appears when the gate first starts");
    return;
  }
  const store = await openStore(config.store, { now: Date.now });
  try {
    await (flags.follow ? follow(store, flags, limit) : showOnce(store, flags, limit));
  } finally {
    await store.close();
  }
}

/** Wrong usage is told before anything is opened. */
function checkTimes(flags: RecordFilter): void {
  try {
    queryOf(flags, Date.now());
  } catch (fault) {
    throw fault instanceof GateError ? new GateError(fault.code, `--${fault.message}`) : fault;
  }
}

async function showOnce(store: Store, flags: AuditFlags, limit: number): Promise<void> {
  const { records, hasMore } = await findRecords(store, flags, limit, Date.now());
  openPrinter(records, flags)(records);
  if (records.length === 0) note("no record matches");
  if (hasMore) note(`these are the newest ${limit}; --limit shows more, --since and others fewer`);
}

/** Resolves at SIGINT or SIGTERM, or when nobody reads any more. */
async function follow(store: Store, flags: AuditFlags, limit: number): Promise<void> {
  const ending = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort());
  process.stdout.once("error", () => ending.abort());

  const anchors = await store.anchors();
  const ends = new Map(anchors.map(({ writer, lastSeq }) => [writer, lastSeq]));
  const { records } = await findRecords(store, flags, limit, Date.now());
  // What has come since the anchors were read is told by what follows.
  const before = records.filter(({ writer, seq }) => seq <= (ends.get(writer) ?? 0));
  const print = openPrinter(before, flags);
  print(before);
  const onLost = ({ message }: GateError) => note(`${message}; trying again`);
  for await (const page of followChains(store, anchors, ending.signal, onLost)) {
    print(page.filter((record) => isWanted(record, flags)));
  }
}

/** @param sample What is printed first; columns are made for that. */
function openPrinter(
  sample: readonly ChainedRecord[],
  { json, follow }: AuditFlags,
): (records: readonly ChainedRecord[]) => void {
  if (json) return (records) => process.stdout.write(records.map(jsonLine).join(""));
  const { stdout } = process;
  const columns = stdout.isTTY ? stdout.columns : undefined;
  const paint = paintFor(stdout);
  const isFollowing = follow === true;
  const table = openTable({ sample, isFollowing, paint, columns, nowMs: Date.now() });
  let isHeaded = false;
  return (records) => {
    if (records.length === 0) return;
    if (!isHeaded) stdout.write(`${table.headings}\n`);
    isHeaded = true;
    stdout.write(table.format(records));
  };
}

/** The body as it lies there; of one that is no record any more, what is known. */
function jsonLine(record: ChainedRecord): string {
  const { writer, seq, atMs, body } = record;
  if (readEntry(record) !== undefined && !/[\p{Cc}\u2028\u2029]/u.test(body)) return `${body}\n`;
  const at = isoTime(atMs);
  return `${JSON.stringify({ kind: "damaged", at, writer, seq })}\n`;
}

function readLimit({ limit, follow, since }: AuditFlags): number {
  if (limit === undefined) return follow && since === undefined ? SHOWN_BEFORE : MOST_SHOWN;
  const count = /^\d{1,9}$/u.test(limit) ? Number(limit) : 0;
  if (count > 0) return count;
  throw new GateError("usage_wrong", "--limit takes a whole number from 1 on");
}

/** On stderr: records alone are on stdout. */
function note(message: string): void {
  process.stderr.write(`claimgate: ${message}\n`);
}
