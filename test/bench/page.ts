/**
 * docs/benchmark.md: everything above one heading is written by the benchmark, the rest by hand.
 *
 * @module
 */
import { cpus, totalmem } from "node:os";
import type { Round } from "./wrk.ts";

export type Row = Round & { readonly what: string };

export type Results = {
  readonly rows: readonly Row[];
  /** Name of the row that is 1.00 in a column of ratios. */
  readonly references: readonly string[];
  readonly targets: readonly Target[];
  readonly versions: Readonly<Record<string, string>>;
  readonly seconds: number;
  readonly rounds: number;
  readonly placement: string;
};

export type Target = {
  readonly what: string;
  readonly wanted: string;
  readonly measured: string;
  readonly verdict: "reached" | "missed";
};

/** The first line that belongs to the hand-written part. */
const BY_HAND = "## Where the time goes";

/** @param before The page as it is, or nothing: its hand-written part is kept. */
export function renderPage(results: Results, before: string): string {
  const at = before.indexOf(BY_HAND);
  const byHand = at < 0 ? `${BY_HAND}\n\nTo be written.\n` : before.slice(at);
  const [cpu] = cpus();
  const gigabytes = Math.round(totalmem() / 1024 ** 3);
  const versions = Object.entries(results.versions).map(([name, version]) => `${name} ${version}`);
  return `# Benchmark

Written by \`bun run bench\`, down to "${BY_HAND.slice(3)}". Compare ratios, not numbers: the
machine is small and its neighbours are noisy, so everything was measured in the same run, in turns.

- **Machine**: ${cpus().length} cores of ${cpu?.model.trim()}, ${gigabytes} GB, Linux.
- **Versions**: ${versions.join(", ")}.
- **Placement**: ${results.placement}
- **Load**: wrk, one thread, 64 kept-alive connections, GET with a 614-byte RS256 token;
  ${results.rounds} rounds of ${results.seconds} s each, in turns; medians.
- **The gate**: the compiled executable with token check (signature, issuer, audience, type, expiry,
  lifetime), three policies, identity headers, a JSON log line a request to a file, and the audit in
  SQLite beside it, whose writer shares the one core. *Warm*: one
  token over and over. *Never seen*: each request has a token of its own, each round a new process.
- **HAProxy jwt_verify** checks algorithm and signature only, and afresh each time.
- nginx, HAProxy and Caddy write no log.

## Results

${table(results)}

${targets(results.targets)}

Processor time is what the program under measurement itself used for a request, all its threads
together; it moves less than requests a second when the machine is shared.

${byHand}`;
}

function table({ rows, references }: Results): string {
  const head = ["what", "requests/s", "p50 ms", "p99 ms", "processor µs/request"];
  const ratios = references.map((name) => `ratio to ${name}`);
  const lines = rows.map((row) => [
    row.what,
    Math.round(row.requestsPerSecond).toLocaleString("en"),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.processorMicros.toFixed(1),
    ...references.map((name) => ratioTo(rows, name, row).toFixed(2)),
  ]);
  return markdown([[...head, ...ratios], ...lines]);
}

/** @throws Error when there is no row of that name. */
export function ratioTo(rows: readonly Row[], name: string, row: Row): number {
  const reference = rows.find((one) => one.what === name);
  if (reference === undefined) throw new Error(`Cannot compare with ${name}: it was not measured`);
  return row.requestsPerSecond / reference.requestsPerSecond;
}

function targets(list: readonly Target[]): string {
  const lines = list.map(({ what, wanted, measured, verdict }) => [
    what,
    wanted,
    measured,
    verdict,
  ]);
  return markdown([["target", "wanted", "measured", ""], ...lines]);
}

function markdown([head = [], ...lines]: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
