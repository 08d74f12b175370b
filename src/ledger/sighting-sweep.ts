/**
 * Forgets tokens and sessions once they have expired `ledger.retain` ago.
 *
 * @module
 */
import { repeat } from "../lib/repeat.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";

type SweepDependencies = {
  readonly store: Pick<Store, "sweepSightings">;
  readonly now: () => number;
  readonly retainMs: () => number;
  readonly log: Pick<Log, "event">;
  /** Takes out of memory what expired before that. */
  readonly forget: (beforeMs: number) => void;
  readonly firstMs?: number;
  readonly everyMs?: number;
};

/** Soon after the start, for gates that never run for long. */
const FIRST_MS = 30_000;
const EVERY_MS = 10 * 60_000;
/** Of clocks, and for what is asked of a token that has just expired. */
const LEEWAY_MS = 60_000;

export function openSightingSweeper(deps: SweepDependencies): { close(): void } {
  const { store, now, retainMs, log, forget, firstMs = FIRST_MS, everyMs = EVERY_MS } = deps;
  async function sweep(): Promise<void> {
    forget(now() - LEEWAY_MS);
    await store.sweepSightings(now() - retainMs());
  }
  return repeat(sweep, {
    firstMs,
    everyMs,
    onFault(why) {
      const message = `tokens that have long expired could not be forgotten, next try later: ${why}`;
      log.event("warn", "sightings_unswept", message);
    },
  });
}
