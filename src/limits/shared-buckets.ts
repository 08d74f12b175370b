/**
 * Buckets in a store that gates share, as long as it answers, and soon.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import type { Bucket, Store, Taken } from "../store/store.ts";

type Wanted = { readonly key: string; readonly bucket: Bucket };

export type SharedBuckets = {
  /** Whether the store may be asked now; of those who ask while it is lost, one a second may. */
  mayAsk(nowMs: number): boolean;
  /** Questions without an answer yet. */
  asked(): number;
  /** From all or from none, in one round trip. @returns `undefined` if the store is lost. */
  take(wanted: readonly Wanted[]): Promise<readonly Taken[] | undefined>;
};

/** A store on the next machine answers in a few; a request does not wait longer than this. */
const ANSWER_WITHIN_MS = 250;
/** How long a store that was lost is not asked. Then one request tries. */
const PAUSE_MS = 1_000;
const WARN_EVERY_MS = 60_000;

/**
 * @param options `warn` is told that the store is lost, at most once a minute while it is;
 *   `answerWithinMs` is how long a request waits for it (250).
 */
export function createSharedBuckets(
  takeTokens: NonNullable<Store["takeTokens"]>,
  options: {
    readonly now: () => number;
    readonly warn: (message: string) => void;
    readonly answerWithinMs?: number | undefined;
  },
): SharedBuckets {
  const { now, warn, answerWithinMs = ANSWER_WITHIN_MS } = options;
  let lostAtMs: number | undefined;
  let warnedAtMs: number | undefined;
  let open = 0;

  function lose(why: string): undefined {
    const nowMs = now();
    lostAtMs = nowMs;
    if (isWithin(WARN_EVERY_MS, warnedAtMs, nowMs)) return;
    warnedAtMs = nowMs;
    warn(`the store is lost: this gate keeps rate limits on its own (${why})`);
  }

  return {
    mayAsk(nowMs) {
      if (lostAtMs === undefined) return true;
      if (isWithin(PAUSE_MS, lostAtMs, nowMs)) return false;
      lostAtMs = nowMs; // this one tries; the others wait for what it finds
      return true;
    },
    asked: () => open,
    async take(wanted) {
      open += 1;
      try {
        const answer = await inTime(takeTokens(wanted), answerWithinMs, () => "late" as const);
        if (answer === "late") return lose(`no answer within ${answerWithinMs} ms`);
        lostAtMs = undefined;
        return answer;
      } catch (fault) {
        return lose(fault instanceof GateError ? fault.message : "it failed");
      } finally {
        open -= 1;
      }
    },
  };
}

/** A clock that was set back ends every such time: better to ask or to warn once more. */
function isWithin(ms: number, sinceMs: number | undefined, nowMs: number): boolean {
  return sinceMs !== undefined && nowMs >= sinceMs && nowMs - sinceMs < ms;
}
