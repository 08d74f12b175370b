/**
 * `bun run bench [--quick]`: the gate beside nginx, HAProxy and Caddy, in one run and in turns.
 * Writes docs/benchmark.md; exits 1 when a target is missed.
 *
 * @module
 */
import { mkdir } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../../package.json";
import { buildExecutable } from "../support/build.ts";
import { findProgram, installPackages, type Need } from "../support/packages.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { type Row, ratioTo, renderPage, type Target } from "./page.ts";
import {
  startCaddy,
  startGate,
  startJwtHaproxy,
  startPlainHaproxy,
  startPlainNginx,
  startUpstream,
} from "./peers.ts";
import { type Running, residentBytes } from "./process.ts";
import { createBenchIssuer } from "./tokens.ts";
import { type Load, measure, type Round } from "./wrk.ts";

const ROOT = join(import.meta.dir, "../..");
const PAGE = join(ROOT, "docs/benchmark.md");

const PROXY_CORE = 0;
const WRK_CORE = 1;
/** Beside wrk where there are only two cores: the same for everyone who is measured. */
const UPSTREAM_CORE = cpus().length > 2 ? 2 : WRK_CORE;

/** More than anything here can verify in a second; a round that runs out of tokens is refused. */
const TOKENS_PER_SECOND = 20_000;
const STARTS = 9;
/** What a process needs to come to rest before its memory is read. */
const REST_MS = 2_000;

const JWT_VERIFY = "HAProxy jwt_verify RS256";
const NGINX = "nginx, no auth";
const WARM = "Claimgate, warm token";
const NEVER_SEEN = "Claimgate, never-seen tokens";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false } } });
const seconds = values.quick ? 2 : 5;
const rounds = values.quick ? 3 : 7;
const warmUpSeconds = values.quick ? 1 : 2;

if (cpus().length < 2) throw new Error("Cannot measure on one core: wrk needs one of its own");
const { missing, log } = await installPackages(["nginx", "haproxy", "caddy", "wrk"]);
if (missing.length > 0) throw new Error(`${log}Install these first: ${missing.join(", ")}`);

const executable = join(ROOT, "dist/claimgate");
await buildExecutable({ outfile: executable });

await using temp = await tempFolder();
const folder = temp.path;
const issuer = createBenchIssuer();
const tokenCount = TOKENS_PER_SECOND * seconds;
console.log(`minting ${tokenCount} tokens`);
const [warmToken = "", ...freshTokens] = await issuer.mint(tokenCount + 1);
await temp.write("tokens", `${freshTokens.join("\n")}\n`);

// Whoever starts a program or asks whether it is up must not take time from it.
Bun.spawnSync(["taskset", "-a", "-p", "-c", String(WRK_CORE), String(process.pid)]);

await using upstream = await startUpstream({ folder, core: UPSTREAM_CORE });
const place = { folder, core: PROXY_CORE, upstreamPort: upstream.port };
const startOurs = () => startGate({ ...place, jwks: issuer.jwks, executable });

const one: Load = { seconds, core: WRK_CORE, tokens: { one: warmToken } };
const each: Load = { seconds, core: WRK_CORE, tokens: { file: join(folder, "tokens") } };

const start = await measureStart();

await using nginx = await startPlainNginx(place);
await using haproxy = await startPlainHaproxy(place);
await using jwtHaproxy = await startJwtHaproxy({ ...place, publicPem: issuer.publicPem });
await using caddy = await startCaddy(place);
await using gate = await startOurs();

const turns: readonly { readonly what: string; readonly run: () => Promise<Round> }[] = [
  { what: NGINX, run: () => measure(nginx, { ...one, tokens: "none" }) },
  { what: "HAProxy, no auth", run: () => measure(haproxy, { ...one, tokens: "none" }) },
  { what: "Caddy, no auth", run: () => measure(caddy, { ...one, tokens: "none" }) },
  { what: JWT_VERIFY, run: () => measure(jwtHaproxy, one) },
  { what: WARM, run: () => measure(gate, one) },
  { what: NEVER_SEEN, run: measureNeverSeen },
];

for (const peer of [nginx, haproxy, jwtHaproxy, caddy, gate]) await warmUp(peer);
const measured = new Map<string, Round[]>(turns.map(({ what }) => [what, []]));
for (let round = 1; round <= rounds; round++) {
  for (const { what, run } of turns) {
    const result = await run();
    measured.get(what)?.push(result);
    const rate = `${Math.round(result.requestsPerSecond)}/s`.padStart(9);
    console.log(`round ${round}  ${what.padEnd(30)} ${rate}`);
  }
}
const loadedMegabytes = (await residentBytes(gate.pid)) / 1024 ** 2;

const rows = turns.map(({ what }) => ({ what, ...middle(measured.get(what) ?? []) }));
const targets = judge(rows);
const before = (await Bun.file(PAGE).exists()) ? await Bun.file(PAGE).text() : "";
await mkdir(join(ROOT, "docs"), { recursive: true });
await Bun.write(
  PAGE,
  renderPage(
    {
      rows,
      references: [JWT_VERIFY, NGINX],
      targets,
      versions: {
        Claimgate: version,
        Bun: Bun.version,
        nginx: await versionOf("nginx", ["-v"]),
        HAProxy: await versionOf("haproxy", ["-v"]),
        Caddy: await versionOf("caddy", ["version"]),
        wrk: await versionOf("wrk", ["--version"]),
      },
      seconds,
      rounds,
      placement:
        UPSTREAM_CORE === WRK_CORE
          ? "the program under measurement has one core; wrk and the upstream (nginx, one worker) share the other."
          : "the program under measurement, wrk and the upstream (nginx, one worker) have one core each.",
    },
    before,
  ),
);

// As the formatter wants it, so that the next check has nothing to say.
Bun.spawnSync([join(ROOT, "node_modules/.bin/biome"), "format", "--write", PAGE], { cwd: ROOT });

console.log();
for (const row of rows) {
  const ratio = `${ratioTo(rows, JWT_VERIFY, row).toFixed(2)} × jwt_verify`;
  console.log(`${row.what.padEnd(30)} ${row.requestsPerSecond.toFixed(0).padStart(7)}/s  ${ratio}`);
}
console.log();
for (const { what, wanted, measured, verdict } of targets) {
  console.log(`${verdict}  ${what}: ${measured} (wanted ${wanted})`);
}
process.exitCode = targets.every(({ verdict }) => verdict === "reached") ? 0 : 1;

/** A new process, so that no token of the file is known; made warm with one that is not in it. */
async function measureNeverSeen(): Promise<Round> {
  await using fresh = await startOurs();
  await warmUp(fresh);
  return await measure(fresh, each);
}

async function warmUp(peer: Running): Promise<void> {
  await measure(peer, { ...one, seconds: warmUpSeconds });
}

type Start = {
  /** The first start in a folder, which checks the types of its policies. */
  readonly firstReadyMs: number;
  /** Any later one, with policies that have not changed. */
  readonly readyMs: number;
  readonly idleBytes: number;
};

async function measureStart(): Promise<Start> {
  const firstTimes: number[] = [];
  const times: number[] = [];
  const sizes: number[] = [];
  for (let turn = 0; turn < STARTS; turn++) {
    const first = await startOurs();
    await first[Symbol.asyncDispose]();
    firstTimes.push(first.readyMs);
    await using again = await startGate({
      ...place,
      jwks: issuer.jwks,
      executable,
      port: first.port,
    });
    times.push(again.readyMs);
    if (turn % 3 !== 0) continue;
    await Bun.sleep(REST_MS);
    sizes.push(await residentBytes(again.pid));
  }
  return {
    firstReadyMs: median(firstTimes),
    readyMs: median(times),
    idleBytes: median(sizes),
  };
}

function judge(all: readonly Row[]): readonly Target[] {
  const ratio = (what: string, wanted: number): Target => {
    const row = all.find((one) => one.what === what);
    const value = row === undefined ? 0 : ratioTo(all, JWT_VERIFY, row);
    return {
      what: `${what}, to ${JWT_VERIFY}`,
      wanted: `at least ${wanted}`,
      measured: value.toFixed(2),
      verdict: value >= wanted ? "reached" : "missed",
    };
  };
  const idleMegabytes = start.idleBytes / 1024 ** 2;
  return [
    ratio(WARM, 1.3),
    ratio(NEVER_SEEN, 0.5),
    {
      what: "start until /.claimgate/ready is 200",
      wanted: "at most 150 ms",
      measured: `${start.readyMs.toFixed(0)} ms (${start.firstReadyMs.toFixed(0)} ms the first time in a folder, which checks its policies' types)`,
      verdict: start.readyMs <= 150 ? "reached" : "missed",
    },
    {
      what: "resident memory, idle",
      wanted: "under 100 MB",
      measured: `${idleMegabytes.toFixed(0)} MB (${loadedMegabytes.toFixed(0)} MB after the load)`,
      verdict: idleMegabytes < 100 ? "reached" : "missed",
    },
  ];
}

/** Each figure's own median over the rounds. */
function middle(list: readonly Round[]): Round {
  const of = (figure: keyof Round) => median(list.map((round) => round[figure]));
  return {
    requestsPerSecond: of("requestsPerSecond"),
    p50Ms: of("p50Ms"),
    p99Ms: of("p99Ms"),
    processorMicros: of("processorMicros"),
  };
}

function median(list: readonly number[]): number {
  const sorted = list.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** The first thing in a program's words that looks like a version. */
async function versionOf(need: Need, args: readonly string[]): Promise<string> {
  const { stdout, stderr } = Bun.spawnSync([findProgram(need) ?? need, ...args]);
  return /\d+\.\d+(?:\.\d+)?/.exec(`${stdout}${stderr}`)?.[0] ?? "unknown";
}
