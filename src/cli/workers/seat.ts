/**
 * A place among the workers: whoever has it is replaced when it ends, until all do.
 *
 * @module
 */
import type { Counted } from "../../admin/admin.ts";
import type { Log } from "../../telemetry/log.ts";
import { type Child, type ChildOptions, startChild } from "./child.ts";
import type { Facts } from "./words.ts";

export type Seat = {
  readonly number: number;
  /** Who has it now; absent between two. */
  child?: Child | undefined;
  /** Of who serves; absent while somebody starts. */
  facts?: Facts | undefined;
  /** What it was last heard to have counted. */
  last?: Counted | undefined;
};

type Keeping = {
  readonly log: Log;
  /** Aborted when all are told to end. */
  readonly ending: AbortSignal;
  readonly optionsOf: (seat: Seat) => Omit<ChildOptions, "onSilent">;
  readonly onServing: () => void;
  /** @param how The exit code, or the signal's name. @returns Whether the place is filled again. */
  readonly onEnded: (how: number | string) => "again" | "no more";
};

/** One that has served so long did not end for how it started. */
const LONG_LIFE_MS = 10_000;
const FIRST_PAUSE_MS = 100;
/** A configuration that no worker can start with is tried again this often. */
const LONGEST_PAUSE_MS = 5_000;

/** Resolves when nobody has the place any more, nor will. */
export async function keepSeat(seat: Seat, keeping: Keeping): Promise<void> {
  const { log, ending, onEnded } = keeping;
  let shortLives = 0;
  while (!ending.aborted) {
    const begunMs = performance.now();
    const how = await liveOnce(seat, keeping).catch((fault: unknown) => `no start: ${fault}`);
    const isAgain = onEnded(how) === "again";
    [seat.child, seat.facts, seat.last] = [undefined, undefined, undefined];
    if (!isAgain || ending.aborted) return;
    shortLives = performance.now() - begunMs < LONG_LIFE_MS ? shortLives + 1 : 0;
    const pauseMs =
      shortLives === 0 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (shortLives - 1));
    const why = typeof how === "number" ? `exit code ${how}` : how;
    const message = `worker ${seat.number} has ended (${why}); another takes its place`;
    log.event("error", "worker_ended", message, { worker: seat.number, how, pauseMs });
    await pause(pauseMs, ending);
  }
}

async function liveOnce(seat: Seat, keeping: Keeping): Promise<number | string> {
  const { log, ending, optionsOf, onServing } = keeping;
  const { number } = seat;
  const child = startChild({
    ...optionsOf(seat),
    onSilent: () => {
      const message = `worker ${number} hangs: it is ended`;
      log.event("error", "worker_hung", message, { worker: number, pid: child.pid });
    },
  });
  seat.child = child;
  const facts = await child.listening;
  if (facts !== undefined) {
    seat.facts = facts;
    log.event("info", "worker_serves", `worker ${number} serves`, {
      worker: number,
      pid: child.pid,
    });
    onServing();
    // Told before it could hear.
    if (ending.aborted) void child.line.ask("drain", null, 0);
  }
  return child.ended;
}

function pause(ms: number, ending: AbortSignal): Promise<void> {
  const over = Promise.withResolvers<void>();
  const timer = setTimeout(over.resolve, ms);
  ending.addEventListener("abort", () => over.resolve(), { once: true });
  return over.promise.finally(() => clearTimeout(timer));
}
