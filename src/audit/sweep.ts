/**
 * Retention: forgets what is older than `audit.retain`, once an hour.
 *
 * @module
 */
import { repeat } from "../lib/repeat.ts";
import type { Store } from "../store/store.ts";

/** Soon after the start, for gates that never run for an hour. */
const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;

type SweepDeps = {
  readonly store: Pick<Store, "sweep">;
  readonly now: () => number;
  /** Read each time, so that a reload can change it. */
  readonly retainMs: () => number;
  /** Told once for a row of failures. */
  readonly warn: (message: string) => void;
  readonly firstMs?: number;
  readonly everyMs?: number;
};

export function openSweeper(deps: SweepDeps): { close(): void } {
  const { store, now, retainMs, warn, firstMs = FIRST_MS, everyMs = EVERY_MS } = deps;
  return repeat(() => store.sweep(now() - retainMs()), {
    firstMs,
    everyMs,
    onFault: (why) =>
      warn(`records older than audit.retain could not be removed, next try later: ${why}`),
  });
}
