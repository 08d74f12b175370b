/**
 * All workers of a gate: started, reloaded one by one, and ended together.
 *
 * @module
 */
import type { Config } from "../../config/resolved.ts";
import { inTime } from "../../lib/in-time.ts";
import type { Log, LogLevel, LogOptions } from "../../telemetry/log.ts";
import { DRAIN_MS, oneAtATime } from "../start-gate.ts";
import { type Child, ownCommand } from "./child.ts";
import { keepSeat, type Seat } from "./seat.ts";
import { openSharedBuckets } from "./shared-buckets.ts";
import { openTally } from "./tally.ts";
import type { Facts, Orders } from "./words.ts";

export type Crew = {
  /** Resolves when all serve; or to an exit code when the first cannot start. */
  start(): Promise<number | undefined>;
  /** @returns Whether the new configuration is in force in all that serve. */
  reload(): Promise<boolean>;
  /** As of the first that serves. */
  facts(): Facts | undefined;
  /** Lets requests under way finish. Resolves when no process is left. */
  end(): Promise<void>;
  /** At once. */
  kill(): void;
};

type CrewOptions = {
  /** As the owner typed it. */
  readonly file: string;
  /** As it is at the start. */
  readonly config: Config;
  readonly ports: Orders["ports"];
  readonly style: Pick<LogOptions, "format" | "colour">;
  readonly log: Log;
  /** What workers write to stderr: whole lines. */
  readonly onText: (text: string) => void;
  readonly onLogLevel: (level: LogLevel) => void;
};

/** How long a worker may be silent; a policy that loops, and is cut for it, holds it up too. */
const SILENCE_MS = 800;
const LOOPS_IN_A_ROW = 3;
const RELOAD_WITHIN_MS = 60_000;
/** Beyond the gate's own time for draining. */
const DRAIN_MARGIN_MS = 5_000;
/** For those that start after the first. */
const START_WITHIN_MS = 15_000;
const EXIT_FAULT = 70;

export function openCrew(options: CrewOptions): Crew {
  const { file, config, ports, style, log, onText, onLogLevel } = options;
  const seats = Array.from({ length: config.workers }, (_, at): Seat => ({ number: at + 1 }));
  const take = openSharedBuckets(Date.now);
  const tally = openTally(Date.now);
  const ending = new AbortController();
  const failed = Promise.withResolvers<number>();
  const kept: Promise<void>[] = [];
  let { policyTimeoutMs } = config;
  let hasServed = false;

  /** What the first one refuses, no other is asked to take. */
  async function reloadInTurn(): Promise<boolean> {
    let taken = 0;
    for (const seat of seats) {
      const { child } = seat;
      // One that is just starting may have read what was there before.
      const isThere = child !== undefined && (await child.listening) !== undefined;
      if (!isThere || ending.signal.aborted) continue;
      const facts = await reloadOne(child);
      if (facts === undefined) {
        logRefusal(seat, taken);
        return false;
      }
      taken += 1;
      if (seat.child === child) seat.facts = facts;
      ({ policyTimeoutMs } = facts);
      onLogLevel(facts.logLevel);
    }
    return taken > 0;
  }

  function logRefusal({ number: worker }: Seat, taken: number): void {
    const message =
      taken === 0
        ? `worker ${worker} does not take the new configuration, so no other is asked to`
        : `worker ${worker} keeps the former configuration while others have the new one: reload again`;
    log.event("error", "reload_refused", message, { worker });
  }

  const reload = oneAtATime(async () => {
    const inForce = await reloadInTurn();
    tally.reloaded(inForce);
    if (inForce) log.event("info", "reloaded", "the new configuration is in force in every worker");
    return inForce;
  });

  const optionsOf = ({ number }: Seat) => ({
    words: ownCommand(["serve", "--config", file, "--worker", String(number)]),
    orders: { workers: seats.length, hasAdmin: number === 1, ports, log: style },
    onText,
    silenceMs: () => Math.max(SILENCE_MS, LOOPS_IN_A_ROW * policyTimeoutMs),
    answers: { reload, count: () => tally.sum(seats), take },
  });

  /** @returns Resolves when the place is filled for the first time. */
  function fill(seat: Seat): Promise<void> {
    const serving = Promise.withResolvers<void>();
    const filled = keepSeat(seat, {
      log,
      ending: ending.signal,
      optionsOf,
      onServing() {
        hasServed = true;
        serving.resolve();
      },
      onEnded(how) {
        tally.gone(seat);
        if (hasServed) return "again";
        failed.resolve(typeof how === "number" ? how : EXIT_FAULT);
        return "no more";
      },
    });
    kept.push(filled);
    return serving.promise;
  }

  async function startAll(): Promise<undefined> {
    const [first, ...others] = seats;
    // Alone: what it makes (a store, keys) is there for the others, and what does not hold is
    // told once.
    if (first !== undefined) await fill(first);
    // One that does not come holds up nobody: it goes on being tried.
    await inTime(Promise.all(others.map(fill)), START_WITHIN_MS, () => undefined);
  }

  const kill = () => {
    for (const { child } of seats) child?.kill();
  };
  return {
    start: () => Promise.race([startAll(), failed.promise]),
    reload,
    facts: () => seats.find(({ facts }) => facts !== undefined)?.facts,
    async end() {
      ending.abort();
      for (const { child } of seats) void child?.line.ask("drain", null, 0);
      const timer = setTimeout(() => {
        log.event("warn", "drain_cut", "a worker does not end: it is killed");
        kill();
      }, DRAIN_MS + DRAIN_MARGIN_MS);
      await Promise.all(kept);
      clearTimeout(timer);
    },
    kill,
  };
}

/** @returns `undefined` when it keeps the former configuration, or ends over the new one. */
async function reloadOne(child: Child): Promise<Facts | undefined> {
  const answer = await child.whileBusy(child.line.ask("reload", null, RELOAD_WITHIN_MS));
  return answer?.inForce === true ? answer.facts : undefined;
}
