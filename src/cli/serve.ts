/**
 * `claimgate serve`: the gate in the foreground, until it is told to end.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { loadConfig } from "../config/load.ts";
import { GateError } from "../errors.ts";
import { watchFiles } from "../policy/watch.ts";
import { createLog, type Log, type LogLevel, type LogOptions } from "../telemetry/log.ts";
import { openSink } from "../telemetry/sink.ts";
import { USUAL_CONFIG } from "./options.ts";
import { hasColour } from "./paint.ts";
import { asUsage, type QuickOptions, writeQuickConfig } from "./quick-config.ts";
import { logFault, type RunningGate, startGate } from "./start-gate.ts";

type ServeFlags = QuickOptions & { readonly config?: string; readonly worker?: string };

export function serveCommand(program: Command): void {
  program
    .command("serve")
    .description("Serve what claimgate.yaml says; reloads on change and on SIGHUP")
    .option("--config <file>", `configuration file (default ./${USUAL_CONFIG})`)
    .option("--upstream <url>", "without a file: where approved requests go")
    .option("--issuer <url>", "without a file: the issuer whose tokens are trusted")
    .option("--audience <name>", "without a file: what tokens must be meant for")
    .option("--require <claim=value>", "without a file: a claim that tokens must have")
    .option("--listen <address>", "without a file: where to listen (default 127.0.0.1:8080)")
    .addOption(new Option("--worker <number>", "one of several processes").hideHelp())
    .addHelpText(
      "after",
      "\nExample:\n  claimgate serve --upstream http://127.0.0.1:9000 --issuer https://id.example.com --audience api --require roles=staff",
    )
    .action(serve);
}

async function serve({ worker, ...flags }: ServeFlags): Promise<void> {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === "0") {
    const message =
      "refuse to serve with NODE_TLS_REJECT_UNAUTHORIZED=0: it would trust any issuer; unset it";
    throw new GateError("config_invalid", message);
  }
  await using quick = isQuick(flags) ? await writeQuickConfig(flags) : undefined;
  const file = quick?.file ?? flags.config ?? USUAL_CONFIG;
  const loaded = await loadConfig(file, process.env);
  if (worker !== undefined) {
    const { serveAsWorker } = await import("./workers/worker.ts");
    return serveAsWorker({ number: Number(worker), file, loaded, onStart: catchStray });
  }
  if (loaded.ok && loaded.value.workers > 1) {
    const { supervise } = await import("./supervise.ts");
    const [sink, style] = [openSink(Bun.stderr.writer()), logStyle()];
    process.exitCode = await supervise({ file, config: loaded.value, sink, style });
    return;
  }
  const running = await startGate({
    file,
    loaded,
    environment: process.env,
    openLog: openServeLog,
    now: Date.now,
  }).catch((fault: unknown) => {
    const isAboutFlags = fault instanceof GateError && fault.code === "config_invalid";
    throw quick && isAboutFlags ? asUsage(fault.findings, quick.text) : fault;
  });
  const { log } = running.gate;
  catchStray(running);
  tellListening(log, running.urls());
  await untilTold(running);
  log.event("info", "draining", "draining: requests under way finish, then the gate ends");
  await running.drain();
}

/** One request's broken callback must not end everybody else's. */
function catchStray({ gate }: RunningGate): void {
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (fault: unknown) => {
      logFault(gate.log, "internal_fault", "something failed outside any request", fault);
    });
  }
}

function tellListening(log: Log, urls: readonly string[]): void {
  for (const url of urls) log.event("info", "listening", `listening on ${url}`, { url });
}

/** A readable log on a terminal, JSON lines for everything else. */
function openServeLog(level: () => LogLevel): Log {
  return createLog({
    sink: openSink(Bun.stderr.writer()),
    ...logStyle(),
    level,
    now: Date.now,
  });
}

function logStyle(): Pick<LogOptions, "format" | "colour"> {
  const isTerminal = process.stderr.isTTY === true;
  return {
    format: isTerminal ? "readable" : "json",
    colour: hasColour(process.stderr) ? "always" : "never",
  };
}

/** Resolves at SIGTERM or SIGINT; a second one ends the process at once. Reloads until then. */
async function untilTold(running: RunningGate): Promise<void> {
  let watched = running.watched();
  let watcher = watchFiles(watched, onChange);
  async function onChange(): Promise<void> {
    const former = running.urls();
    if (!(await running.reload())) return;
    const isNew = (url: string) => !former.includes(url);
    tellListening(running.gate.log, running.urls().filter(isNew));
    const files = running.watched();
    if (Bun.deepEquals(files, watched)) return;
    watcher.close();
    watched = files;
    watcher = watchFiles(watched, onChange);
  }
  process.on("SIGHUP", onChange);
  const told = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      told.resolve();
      process.once(signal, () => process.exit(1));
    });
  }
  await told.promise;
  process.off("SIGHUP", onChange);
  watcher.close();
}

function isQuick({ config, ...quick }: ServeFlags): boolean {
  const given = Object.keys(quick).length > 0;
  if (given && config !== undefined) {
    const message = "--config and flags that stand for a file exclude each other; keep one";
    throw new GateError("usage_wrong", message);
  }
  return given;
}
