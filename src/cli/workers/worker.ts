/**
 * One of several processes that serve together: it starts, reloads and drains as its supervisor
 * says, and ends by itself once that is gone.
 *
 * @module
 */
import { version } from "../../../package.json";
import { standingOf } from "../../admin/state.ts";
import type { loadConfig } from "../../config/load.ts";
import { GateError } from "../../errors.ts";
import { createLog, type Log, type LogLevel } from "../../telemetry/log.ts";
import { type LineSink, openSink } from "../../telemetry/sink.ts";
import { DRAIN_MS, type RunningGate, startGate, type Team } from "../start-gate.ts";
import { type Line, openLine } from "./line.ts";
import {
  BEAT_MS,
  type Facts,
  type Orders,
  placeOf,
  type ToSupervisor,
  type ToWorker,
} from "./words.ts";

const ORDERS_WITHIN_MS = 10_000;
/** All workers, one after the other. */
const RELOAD_WITHIN_MS = 10 * 60_000;
/** For what should have closed by then. */
const LAST_MS = 2_000;
const COUNT_WITHIN_MS = 2_000;
/** The gate's own patience with a store (250 ms) ends first. */
const TAKE_WITHIN_MS = 1_000;

type WorkerOptions = {
  /** Which of them, from 1. */
  readonly number: number;
  readonly file: string;
  readonly loaded: Awaited<ReturnType<typeof loadConfig>>;
  /** Once it serves. */
  readonly onStart: (running: RunningGate) => void;
};

/** @throws GateError as `startGate` does; `usage_wrong` when no supervisor has started it. */
export async function serveAsWorker({ number, file, loaded, onStart }: WorkerOptions) {
  const told = Promise.withResolvers<null>();
  let running: RunningGate | undefined;
  const serving = Promise.withResolvers<RunningGate>();
  const line = openLine<ToSupervisor, ToWorker>(sendUp, {
    async reload() {
      const gate = await serving.promise;
      const inForce = await gate.reload();
      await gate.handedOver();
      return { inForce, facts: factsOf(gate) };
    },
    async count() {
      const { gate } = await serving.promise;
      const standing = standingOf(gate, { version, startedMs, storeFollowers: 0 });
      return { counts: gate.metrics.counts, standing };
    },
    drain() {
      told.resolve(null);
      return null;
    },
  });
  const startedMs = Date.now();
  process.on("message", line.receive);
  process.on("disconnect", () => {
    line.close();
    told.resolve(null);
  });
  endWhenToldBySignal(told.resolve);

  const orders = process.connected ? await line.ask("hello", null, ORDERS_WITHIN_MS) : undefined;
  if (orders === undefined) {
    throw new GateError(
      "usage_wrong",
      "--worker is how serve starts its own workers; leave it out",
    );
  }
  try {
    running = await startGate({
      file,
      loaded,
      environment: process.env,
      openLog: (level) => openWorkerLog(number, orders, level),
      now: Date.now,
      team: teamOf(line, orders),
    });
    onStart(running);
    serving.resolve(running);
    const beat = setInterval(() => void line.ask("beat", null, BEAT_MS), BEAT_MS);
    void line.ask("listening", factsOf(running), COUNT_WITHIN_MS);
    await told.promise;
    endIn(DRAIN_MS + LAST_MS);
    await running.drain();
    clearInterval(beat);
  } finally {
    endIn(LAST_MS);
    if (process.connected) process.disconnect?.();
  }
}

/** Whatever is still open then: a process that nobody watches must not stay. */
function endIn(ms: number): void {
  setTimeout(() => process.exit(), ms).unref();
}

function sendUp(message: object): void {
  if (process.connected) process.send?.(message);
}

/** A terminal and a service manager tell all processes of a gate at once. */
function endWhenToldBySignal(tell: (value: null) => void): void {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      tell(null);
      process.once(signal, () => process.exit(1));
    });
  }
  // Reloading is the supervisor's to begin.
  process.on("SIGHUP", () => undefined);
}

function factsOf({ gate, urls, watched }: RunningGate): Facts {
  const { policyTimeoutMs, log } = gate.site.config;
  return { urls: urls(), watched: watched(), policyTimeoutMs, logLevel: log.level };
}

function teamOf(line: Line<ToSupervisor>, { workers, hasAdmin, ports }: Orders): Team {
  return {
    workers,
    hasAdmin,
    portOf: (address) => ports[placeOf(address)],
    reload: async () => (await line.ask("reload", null, RELOAD_WITHIN_MS)) ?? false,
    async countAll() {
      return (await line.ask("count", null, COUNT_WITHIN_MS)) ?? unheard("count");
    },
    async takeTokens(wanted) {
      return (await line.ask("take", wanted, TAKE_WITHIN_MS)) ?? unheard("share limits");
    },
  };
}

function unheard(purpose: string): never {
  throw new GateError(
    "internal_fault",
    `the supervisor does not answer, so workers cannot ${purpose}`,
  );
}

/** Each line says whose it is. */
function openWorkerLog(number: number, { log }: Orders, level: () => LogLevel): Log {
  const sink = openSink(Bun.stderr.writer());
  const numbered: LineSink = {
    write: (line) =>
      sink.write(
        log.format === "json" ? `{"worker":${number},${line.slice(1)}` : `${number}· ${line}`,
      ),
    flush: sink.flush,
  };
  return createLog({ sink: numbered, ...log, level, now: Date.now });
}
