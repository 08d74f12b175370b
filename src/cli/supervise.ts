/**
 * The gate as several processes on one port. This one handles no request: it starts the
 * workers, replaces those that end or hang, has them reload one by one, and drains them.
 *
 * @module
 */
import type { Config } from "../config/resolved.ts";
import { watchFiles } from "../policy/watch.ts";
import { createLog, type Log, type LogOptions } from "../telemetry/log.ts";
import type { LineSink } from "../telemetry/sink.ts";
import { listenFault } from "./listen.ts";
import { logFault } from "./start-gate.ts";
import { type Crew, openCrew } from "./workers/crew.ts";
import { holdPort } from "./workers/hold-port.ts";
import { placeOf } from "./workers/words.ts";

type SuperviseOptions = {
  /** As the owner typed it. */
  readonly file: string;
  /** With more than one worker. */
  readonly config: Config;
  /** Of the process: what workers log goes there as well. */
  readonly sink: LineSink;
  readonly style: Pick<LogOptions, "format" | "colour">;
};

/**
 * Resolves when it was told to end, and no worker is left.
 *
 * @returns The exit code: of the first worker if that cannot start, else 0.
 * @throws GateError `port_taken`
 */
export async function supervise({ file, config, sink, style }: SuperviseOptions): Promise<number> {
  let { level } = config.log;
  const log = createLog({ sink, ...style, level: () => level, now: Date.now });
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, (fault: unknown) => {
      logFault(log, "internal_fault", "something failed in the supervisor", fault);
    });
  }
  const crew = openCrew({
    file,
    config,
    ports: await holdPorts(config),
    style,
    log,
    onText: sink.write,
    onLogLevel: (next) => {
      level = next;
    },
  });
  const told = untilTold(crew.kill);
  const exitCode = await Promise.race([crew.start(), told]);
  if (typeof exitCode === "number") {
    await sink.flush();
    return exitCode;
  }
  const following = follow(crew, log);
  await told;
  following.close();
  log.event("info", "draining", "draining: requests under way finish, then the gate ends");
  await crew.end();
  await sink.flush();
  return 0;
}

async function holdPorts({ listen }: Config): Promise<Record<string, number>> {
  const ports: Record<string, number> = {};
  for (const address of listen) {
    if (address.kind !== "tcp") continue;
    const { hostname, port } = address;
    ports[placeOf(address)] = await holdPort(hostname, port).catch((cause: unknown) => {
      throw listenFault(address, cause);
    });
  }
  return ports;
}

/** Resolves at SIGTERM or SIGINT; a second one ends all at once. */
function untilTold(kill: () => void): Promise<void> {
  const told = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      told.resolve();
      process.once(signal, () => {
        kill();
        process.exit(1);
      });
    });
  }
  return told.promise;
}

/** Reloads at SIGHUP and when a file has changed. */
function follow(crew: Crew, log: Log): { close(): void } {
  let watched = crew.facts()?.watched ?? [];
  let urls: readonly string[] = [];
  let watcher = watchFiles(watched, onChange);
  const tellNew = () => {
    const former = urls;
    urls = crew.facts()?.urls ?? former;
    for (const url of urls) {
      if (!former.includes(url)) log.event("info", "listening", `listening on ${url}`, { url });
    }
  };

  async function onChange(): Promise<void> {
    if (!(await crew.reload())) return;
    tellNew();
    const files = crew.facts()?.watched ?? watched;
    if (Bun.deepEquals(files, watched)) return;
    watcher.close();
    watched = files;
    watcher = watchFiles(watched, onChange);
  }

  tellNew();
  process.on("SIGHUP", onChange);
  return {
    close() {
      process.off("SIGHUP", onChange);
      watcher.close();
    },
  };
}
