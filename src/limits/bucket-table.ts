/**
 * Buckets by key, at most so many.
 *
 * A bucket that is full is like one never seen, so those are forgotten first. When the table
 * is crowded with others, the one goes, of a few drawn at random, that would be full soonest.
 * A flood of keys therefore pushes out its own buckets, each of which has lost one token, and
 * not the empty bucket of somebody who has earned a refusal: to be rid of that one, he would
 * have to empty as many other buckets as the table holds, before his own is full again.
 *
 * @module
 */
import type { Bucket } from "../store/store.ts";
import { type Level, msUntilFull, refill } from "./bucket.ts";

type Held = Level & {
  readonly key: string;
  readonly bucket: Bucket;
  /** When a store shared with other gates refused, and for how long that holds for certain. */
  refusedAtMs: number;
  refusedForMs: number;
  /** Its place among the slots. */
  slot: number;
};

export type BucketTable = {
  size(): number;
  /** The bucket refilled up to now; `undefined` if it is full or was never seen. */
  find(key: string, nowMs: number): Held | undefined;
  /** The bucket refilled up to now; a full one if there was none. */
  obtain(key: string, bucket: Bucket, nowMs: number): Held;
};

/** For some 25 MB. */
const CAPACITY = 100_000;
/** Of so many, the one that is full soonest is forgotten. */
const DRAWN_WHEN_CROWDED = 16;
/** So many are looked at with every new key, and forgotten if full: the table shrinks by itself. */
const DRAWN_ALWAYS = 2;

/** @param options `random` gives numbers from 0 up to, not including, 1. */
export function createBucketTable(
  options: { readonly capacity?: number; readonly random?: () => number } = {},
): BucketTable {
  const { capacity = CAPACITY, random = Math.random } = options;
  const byKey = new Map<string, Held>();
  const slots: Held[] = [];

  function draw(nowMs: number): Held | undefined {
    const held = slots[Math.floor(random() * slots.length)];
    if (held !== undefined) refill(held, held.bucket, nowMs);
    return held;
  }

  function forget(held: Held): void {
    byKey.delete(held.key);
    const last = slots.pop();
    if (last === undefined || last === held) return;
    slots[held.slot] = last;
    last.slot = held.slot;
  }

  function makeRoom(nowMs: number): void {
    for (let n = 0; n < DRAWN_ALWAYS; n++) {
      const held = draw(nowMs);
      if (held !== undefined && msUntilIdle(held, nowMs) === 0) forget(held);
    }
    while (slots.length >= capacity) {
      let soonest = draw(nowMs);
      for (let n = 1; n < DRAWN_WHEN_CROWDED; n++) {
        const other = draw(nowMs);
        if (soonest === undefined || other === undefined) return;
        if (msUntilIdle(other, nowMs) < msUntilIdle(soonest, nowMs)) soonest = other;
      }
      if (soonest !== undefined) forget(soonest);
    }
  }

  return {
    size: () => slots.length,
    find(key, nowMs) {
      const held = byKey.get(key);
      if (held !== undefined) refill(held, held.bucket, nowMs);
      return held;
    },
    obtain(key, bucket, nowMs) {
      const known = byKey.get(key);
      if (known !== undefined) {
        refill(known, known.bucket, nowMs);
        return known;
      }
      makeRoom(nowMs);
      const slot = slots.length;
      const held = { key, bucket, debt: 0, atMs: nowMs, refusedAtMs: 0, refusedForMs: 0, slot };
      byKey.set(key, held);
      slots.push(held);
      return held;
    },
  };
}

/** How long a shared store's refusal still holds; a clock that was set back ends it. */
export function refusedForMs({ refusedAtMs, refusedForMs }: Held, nowMs: number): number {
  const elapsedMs = nowMs - refusedAtMs;
  return elapsedMs >= 0 && elapsedMs < refusedForMs ? refusedForMs - elapsedMs : 0;
}

function msUntilIdle(held: Held, nowMs: number): number {
  return Math.max(msUntilFull(held, held.bucket), refusedForMs(held, nowMs));
}
