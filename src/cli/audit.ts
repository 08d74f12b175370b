/**
 * `claimgate audit`: who got at what, who was refused, and why; told by the gate that runs, or
 * read from the store.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import { MOST } from "../admin/decisions.ts";
import { isoTime } from "../audit/entry.ts";
import { followChains } from "../audit/follow.ts";
import { readEntry } from "../audit/scan.ts";
import { type Found, findRecords, isWanted, queryOf, type RecordFilter } from "../audit/search.ts";
import type { Config } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { openStore } from "../store/open.ts";
import type { Anchor, ChainedRecord, Store } from "../store/store.ts";
import { type AdminClient, throughGate } from "./admin-client.ts";
import { summarize } from "./audit/summary.ts";
import { summaryText } from "./audit/summary-text.ts";
import { openTable } from "./audit/table.ts";
import { findThroughGate, followThroughGate } from "./audit/through-gate.ts";
import { type VerifyFlags, verifyAudit, verifyStored } from "./audit/verify-chains.ts";
import { note } from "./note.ts";
import { CONFIG_OPTION, MOST_LISTED, readLimit } from "./options.ts";
import { paintFor, printableJson } from "./paint.ts";
import { loadStoreConfig } from "./store-config.ts";

type AuditFlags = RecordFilter & {
  readonly follow?: true;
  readonly summary?: true;
  readonly limit?: string;
  readonly json?: true;
  readonly config: string;
};

const NOTHING_RECORDED = "nothing is recorded yet: the store appears when the gate first starts";
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
    .option("--summary", "counts instead: who was refused and why, what was revoked; verifies, too")
    .option("--limit <count>", `at most so many, the newest (default ${MOST_LISTED})`)
    .option("--json", "print JSON lines; of a summary, one object")
    .option(...CONFIG_OPTION)
    .action((flags: AuditFlags) => showAudit(flags));
  audit
    .command("verify")
    .description("Say whether a record was changed or removed; exit 1 if one was")
    .option("--json", "print the findings as JSON")
    .option(...CONFIG_OPTION)
    // Options that both know are taken by the command above, wherever they stand.
    .action((_: VerifyFlags, verify: Command) =>
      verifyAudit(verify.optsWithGlobals<VerifyFlags>()),
    );
}

async function showAudit(flags: AuditFlags): Promise<void> {
  const limit = limitOf(flags);
  checkTimes(flags);
  const config = await loadStoreConfig(flags.config);
  if (flags.summary) return await showSummary(config, flags);
  const directly = () => showStored(config, flags, limit);
  if (limit > MOST) await directly();
  else
    await throughGate(config, (client) => showThroughGate(client, config, flags, limit), directly);
}

async function showThroughGate(
  client: AdminClient,
  config: Config,
  flags: AuditFlags,
  limit: number,
): Promise<void> {
  if (flags.follow) await followGate(client, config, flags, limit);
  else tellFound(await findThroughGate(client, flags, limit), flags, limit);
}

async function showStored(config: Config, flags: AuditFlags, limit: number): Promise<void> {
  if (!flags.follow && isUnrecorded(config)) {
    note(NOTHING_RECORDED);
    return;
  }
  await withStore(config, async (store) => {
    if (flags.follow) await followStore(store, flags, limit, endOfFollowing());
    else tellFound(await findRecords(store, flags, limit, Date.now()), flags, limit);
  });
}

function isUnrecorded({ store }: Config): boolean {
  return store.kind === "sqlite" && !existsSync(store.file);
}

/** Of all records that match. Sets `process.exitCode`: 1 where a chain does not hold. */
async function showSummary(config: Config, flags: AuditFlags): Promise<void> {
  // Of a store that is gone, though there was one, this says so.
  const chain = await verifyStored(config);
  if (!chain.ok) process.exitCode = 1;
  if (isUnrecorded(config)) {
    note(NOTHING_RECORDED);
    return;
  }
  await withStore(config, async (store) => {
    const summary = await summarize(store, flags, Date.now());
    if (flags.json) process.stdout.write(`${printableJson({ ...summary, chain })}\n`);
    else process.stdout.write(summaryText(summary, chain, paintFor(process.stdout)));
  });
}

async function withStore(config: Config, work: (store: Store) => Promise<void>): Promise<void> {
  const store = await openStore(config.store, { now: Date.now });
  try {
    await work(store);
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

function tellFound({ records, hasMore }: Found, flags: AuditFlags, limit: number): void {
  openPrinter(records, flags)(records);
  if (records.length === 0) note("no record matches");
  if (hasMore) note(`these are the newest ${limit}; --limit shows more, --since and others fewer`);
}

/** Aborted at SIGINT or SIGTERM, or when nobody reads any more. */
function endOfFollowing(): AbortSignal {
  const ending = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort());
  process.stdout.once("error", () => ending.abort());
  return ending.signal;
}

type Printer = (records: readonly ChainedRecord[]) => void;

async function followStore(
  store: Store,
  flags: AuditFlags,
  limit: number,
  signal: AbortSignal,
): Promise<void> {
  const anchors = await store.anchors();
  const ends = new Map(anchors.map(({ writer, lastSeq }) => [writer, lastSeq]));
  const { records } = await findRecords(store, flags, limit, Date.now());
  // What has come since the anchors were read is told by what follows.
  const before = records.filter(({ writer, seq }) => seq <= (ends.get(writer) ?? 0));
  const print = openPrinter(before, flags);
  print(before);
  await followFrom(store, anchors, { flags, signal, print });
}

type Following = {
  readonly flags: AuditFlags;
  readonly signal: AbortSignal;
  readonly print: Printer;
};

async function followFrom(
  store: Store,
  anchors: readonly Anchor[],
  { flags, signal, print }: Following,
): Promise<void> {
  const onLost = ({ message }: GateError) => note(`${message}; trying again`);
  for await (const page of followChains(store, anchors, signal, onLost)) {
    print(page.filter((record) => isWanted(record, flags)));
  }
}

/** As the gate tells it; once that has ended, as the store has it. */
async function followGate(
  client: AdminClient,
  config: Config,
  flags: AuditFlags,
  limit: number,
): Promise<void> {
  const signal = endOfFollowing();
  const coming = await followThroughGate(client, flags, signal);
  const { records } = await findThroughGate(client, flags, limit);
  const printAll = openPrinter(records, flags);
  // The list and the stream overlap, and so does what the store has when the gate ends.
  const told = new Set<string>();
  let lastMs = Date.now();
  const print: Printer = (page) => {
    const news = page.filter(({ body }) => body === "" || !told.has(body));
    for (const { body, atMs } of news) {
      told.add(body);
      if (atMs > lastMs) lastMs = atMs;
    }
    for (const oldest of told) {
      if (told.size <= MOST_TOLD) break;
      told.delete(oldest);
    }
    printAll(news);
  };
  print(records);
  for await (const page of coming) print(page);
  if (signal.aborted) return;
  note("the gate does not tell more: the store is read from here on");
  await withStore(config, async (store) => {
    const anchors = await store.anchors();
    const since = new Date(lastMs - OVERLAP_MS).toISOString();
    print((await findRecords(store, { ...flags, since }, MOST, Date.now())).records);
    await followFrom(store, anchors, { flags, signal, print });
  });
}

/** As many as may come within the overlap. */
const MOST_TOLD = 20_000;
const OVERLAP_MS = 10_000;

/** @param sample What is printed first; columns are made for that. */
function openPrinter(sample: readonly ChainedRecord[], { json, follow }: AuditFlags): Printer {
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

function limitOf({ limit, follow, since, summary }: AuditFlags): number {
  if (summary && (follow || limit !== undefined)) {
    const other = follow ? "--follow" : "--limit";
    throw new GateError("usage_wrong", `--summary counts all there is now: leave ${other} out`);
  }
  return readLimit(limit, follow && since === undefined ? SHOWN_BEFORE : MOST_LISTED);
}
