/**
 * Retention: forgets what is older than `audit.retain`, once an hour.
 *
 * @module
 */
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

type Sweeper = { close(): void };

export function openSweeper(deps: SweepDeps): Sweeper {
  const { store, now, retainMs, warn, firstMs = FIRST_MS, everyMs = EVERY_MS } = deps;
  let isFailing = false;
  let isClosed = false;
  let timer = setTimeout(sweep, firstMs);
  timer.unref();

  function sweep(): void {
    store
      .sweep(now() - retainMs())
      .then(
        () => {
          isFailing = false;
        },
        (fault: unknown) => {
          if (!isFailing && !isClosed) {
            const why = fault instanceof Error ? fault.message : String(fault);
            warn(`records older than audit.retain could not be removed, next try later: ${why}`);
          }
          isFailing = true;
        },
      )
      .finally(() => {
        if (isClosed) return;
        timer = setTimeout(sweep, everyMs);
        timer.unref();
      });
  }

  return {
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
