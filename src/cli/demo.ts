/**
 * `claimgate demo`: an issuer, an application and a gate between them, all in this process
 * and on loopback. Sends real requests through the gate, tells what became of each, and
 * stays up for those who want to try their own.
 *
 * @module
 */
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { ensureDevelopmentKeys } from "../identity/development-keys.ts";
import { startIdp } from "../idp/server.ts";
import { watchFiles } from "../policy/watch.ts";
import { createLog } from "../telemetry/log.ts";
import { openSink } from "../telemetry/sink.ts";
import { ATTEMPTS } from "./demo/attempts.ts";
import { type DemoLog, openDemoLog } from "./demo/demo-log.ts";
import { DEMO_AUDIENCE, type DemoFolder, makeDemoFolder, writeDemoConfig } from "./demo/folder.ts";
import { listenNear } from "./demo/listen-near.ts";
import { type Outcome, runAttempt, type Stage } from "./demo/run-attempt.ts";
import { startSampleUpstream } from "./demo/sample-upstream.ts";
import { formatTable } from "./demo/table.ts";
import { mintTokens } from "./demo/tokens.ts";
import { greeting, invitation, type Places, verdict } from "./demo/words.ts";
import { hasColour, paintFor } from "./paint.ts";
import { type RunningGate, startGate } from "./start-gate.ts";

type DemoFlags = { readonly once?: true; readonly port?: string };

const GATE_PORT = 8080;
const ISSUER_PORT = 9400;
const KEYS_LIMIT_MS = 5_000;
const KEYS_POLL_MS = 10;
/** Ended by a signal twice: 128 and SIGINT's number, as shells count. */
const EXIT_INTERRUPTED = 130;
/** `bun run` passes a Ctrl-C on to those whom the terminal has told as well. */
const SAME_CTRL_C_MS = 500;

export function demoCommand(program: Command): void {
  program
    .command("demo")
    .description("Show a gate at work: an issuer, an application and real requests, on loopback")
    .option("--once", "exit after the table: 0 if every request came out as expected, else 1")
    .option("--port <number>", `the gate's port (default ${GATE_PORT}, or a free one)`)
    .action((flags: DemoFlags) => demo(flags));
}

/** @throws GateError `usage_wrong` for the port, `port_taken` where it was asked for. */
async function demo(flags: DemoFlags): Promise<void> {
  const port = readPort(flags.port);
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await makeDemoFolder());
  const told = listenForEnd(folder);
  const log = openDemoLog(
    createLog({
      sink: openSink(Bun.stderr.writer()),
      format: "readable",
      colour: hasColour(process.stderr) ? "always" : "never",
      level: () => "info",
      now: Date.now,
    }),
  );
  const { places, stage, running } = await open(stack, folder, log, port);
  const paint = paintFor(process.stdout);
  process.stdout.write(greeting(places, paint));

  const outcomes: Outcome[] = [];
  for (const attempt of ATTEMPTS) {
    if (told.isTold()) return;
    outcomes.push(await runAttempt(attempt, stage));
  }
  process.stdout.write(formatTable(outcomes, paint) + verdict(outcomes, paint));
  process.exitCode = outcomes.every((outcome) => outcome.asExpected) ? 0 : 1;
  if (flags.once) return;

  process.stdout.write(invitation(places, stage.tokens.staff, paint));
  log.show();
  const watcher = watchFiles(running.watched(), () => void running.reload());
  stack.defer(() => watcher.close());
  await told.promise;
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/u.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new GateError("usage_wrong", "--port takes a number from 0 (any free port) to 65535");
}

type Scene = { readonly places: Places; readonly stage: Stage; readonly running: RunningGate };

/** Starts all three; whatever has started is ended with the stack. */
async function open(
  stack: AsyncDisposableStack,
  folder: DemoFolder,
  log: DemoLog,
  wantedPort: number | undefined,
): Promise<Scene> {
  const issuer = await listenNear(ISSUER_PORT, (port) =>
    startIdp({ hostname: "127.0.0.1", port, folder: folder.state, audience: DEMO_AUDIENCE }),
  );
  stack.defer(issuer.stop);
  const upstream = await startSampleUpstream();
  stack.defer(upstream.stop);

  const startAt = async (gatePort: number): Promise<RunningGate> => {
    const addresses = { gatePort, issuerUrl: issuer.url, upstreamUrl: upstream.url };
    await writeDemoConfig(folder, addresses, Date.now());
    const options = { file: folder.config, environment: {}, openLog: () => log, now: Date.now };
    return startGate(options);
  };
  const running =
    wantedPort === undefined ? await listenNear(GATE_PORT, startAt) : await startAt(wantedPort);
  stack.defer(running.drain);
  await untilKeysAreThere(running);

  const [gateUrl] = running.urls();
  const [key] = await ensureDevelopmentKeys(folder.state);
  if (gateUrl === undefined || key === undefined) {
    throw new GateError("internal_fault", "the demo has no listener or no key");
  }
  return {
    places: {
      gateUrl,
      issuerUrl: issuer.url,
      upstreamUrl: upstream.url,
      folder: folder.path,
    },
    stage: {
      gateUrl,
      tokens: await mintTokens(key, issuer.url, Date.now()),
      decisions: log.kept,
    },
    running,
  };
}

/** Keys are fetched while the gate is already up; until then it answers 503, rightly. */
async function untilKeysAreThere({ gate }: RunningGate): Promise<void> {
  const states = () => [...gate.site.issuers.values()].map(({ keys }) => keys.state().state);
  const end = performance.now() + KEYS_LIMIT_MS;
  while (states().includes("missing") && performance.now() < end) await Bun.sleep(KEYS_POLL_MS);
}

/** Ctrl-C, a polite kill, and the terminal that is closed. */
const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

type EndListener = {
  /** Resolves at the first signal. */
  readonly promise: Promise<void>;
  readonly isTold: () => boolean;
};

/**
 * A second signal ends the process at once, but never leaves the folder behind: for that,
 * it listens until the process ends, also while the folder is being removed.
 */
function listenForEnd(folder: DemoFolder): EndListener {
  const { promise, resolve } = Promise.withResolvers<void>();
  let toldAtMs: number | undefined;
  const onSignal = () => {
    const nowMs = performance.now();
    if (toldAtMs === undefined) {
      toldAtMs = nowMs;
      resolve();
    } else if (nowMs - toldAtMs > SAME_CTRL_C_MS) {
      folder[Symbol.dispose]();
      process.exit(EXIT_INTERRUPTED);
    }
  };
  for (const signal of END_SIGNALS) process.on(signal, onSignal);
  return { promise, isTold: () => toldAtMs !== undefined };
}
