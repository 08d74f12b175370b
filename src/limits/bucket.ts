/**
 * The arithmetic of one token bucket: it holds at most `limit`, and is refilled evenly, all of
 * it in `perMs`.
 *
 * What is kept is the debt: how much is missing. One token is `perMs` units of it, and each
 * millisecond repays `limit` units, so that every number is whole and nothing is lost to
 * rounding, while `limit * perMs` is a safe integer.
 *
 * @module
 */
import type { Bucket, Taken } from "../store/store.ts";

export type Level = {
  /** Units missing, at `atMs`. */
  debt: number;
  atMs: number;
};

/**
 * Refills for the time that has passed. A clock that was set back has let no time pass: the
 * bucket stays as it is and is refilled from the new time on.
 */
export function refill(level: Level, { limit }: Bucket, nowMs: number): void {
  const elapsedMs = nowMs - level.atMs;
  if (elapsedMs > 0) level.debt = Math.max(0, level.debt - elapsedMs * limit);
  level.atMs = nowMs;
}

/** What would come of taking one from a bucket with this debt; `remaining` is as it is now. */
export function standing(debt: number, { limit, perMs }: Bucket): Taken {
  const wanting = debt + perMs - limit * perMs;
  const remaining = Math.max(0, Math.floor((limit * perMs - debt) / perMs));
  return wanting > 0
    ? { allowed: false, remaining, retryMs: Math.ceil(wanting / limit) }
    : { allowed: true, remaining, retryMs: 0 };
}

/** Takes one, whether it is there or not; the debt grows to at most `most` times the bucket. */
export function charge(level: Level, { limit, perMs }: Bucket, most: number): void {
  level.debt = Math.min(level.debt + perMs, most * limit * perMs);
}

/** Until it is full, if nothing more is taken. */
export function msUntilFull({ debt }: Level, { limit }: Bucket): number {
  return debt / limit;
}
