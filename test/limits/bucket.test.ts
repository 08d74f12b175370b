import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { charge, type Level, msUntilFull, refill, standing } from "../../src/limits/bucket.ts";
import type { Bucket } from "../../src/store/store.ts";

const HOUR_MS = 3_600_000;

/** Takes one if it is there. @returns Whether it was. */
function take(level: Level, bucket: Bucket, nowMs: number): boolean {
  refill(level, bucket, nowMs);
  const { allowed } = standing(level.debt, bucket);
  if (allowed) charge(level, bucket, 1);
  return allowed;
}

function takeAll(level: Level, bucket: Bucket, nowMs: number): number {
  let taken = 0;
  while (take(level, bucket, nowMs)) taken++;
  return taken;
}

const MINUTE = { limit: 100, perMs: 60_000 };
const full = (): Level => ({ debt: 0, atMs: 0 });

describe("a bucket", () => {
  test("holds exactly its limit", () => {
    expect(takeAll(full(), MINUTE, 0)).toBe(100);
  });

  test("is refilled evenly: one each 600 ms for 100 a minute, to the millisecond", () => {
    const level = full();
    takeAll(level, MINUTE, 0);
    expect(take(level, MINUTE, 599)).toBe(false);
    expect(take(level, MINUTE, 600)).toBe(true);
    expect(take(level, MINUTE, 1_199)).toBe(false);
    expect(take(level, MINUTE, 1_200)).toBe(true);
  });

  test("loses nothing to rounding, looked at every millisecond for an hour", () => {
    const bucket = { limit: 7, perMs: 1_000 };
    const level = full();
    takeAll(level, bucket, 0);
    let taken = 0;
    for (let nowMs = 1; nowMs <= HOUR_MS; nowMs++) if (take(level, bucket, nowMs)) taken++;
    expect(taken).toBe(7 * 3_600);
  });

  test("holds no more than its limit after any time", () => {
    const level = full();
    takeAll(level, MINUTE, 0);
    expect(takeAll(level, MINUTE, 365 * 24 * HOUR_MS)).toBe(100);
  });

  test("gives nothing to who is refused, and takes nothing", () => {
    const level = full();
    takeAll(level, MINUTE, 0);
    for (let nowMs = 0; nowMs < 600; nowMs++) take(level, MINUTE, nowMs);
    expect(takeAll(level, MINUTE, 600)).toBe(1);
  });

  test("says when the next one is there", () => {
    const level = full();
    takeAll(level, MINUTE, 0);
    refill(level, MINUTE, 100);
    const { allowed, remaining, retryMs } = standing(level.debt, MINUTE);
    expect({ allowed, remaining, retryMs }).toEqual({ allowed: false, remaining: 0, retryMs: 500 });
    expect(msUntilFull(level, MINUTE)).toBe(59_900);
  });

  test("does so to the millisecond where the refill is no whole number of them", () => {
    const bucket = { limit: 7, perMs: 1_000 };
    const level = full();
    takeAll(level, bucket, 0);
    expect(standing(level.debt, bucket).retryMs).toBe(143);
    expect(take(level, bucket, 142)).toBe(false);
    expect(take(level, bucket, 143)).toBe(true);
  });

  test("stands still while the clock is set back, and is neither frozen nor full then", () => {
    const level = { debt: 0, atMs: HOUR_MS };
    takeAll(level, MINUTE, HOUR_MS);
    expect(take(level, MINUTE, 0)).toBe(false);
    expect(take(level, MINUTE, 599)).toBe(false);
    expect(take(level, MINUTE, 600)).toBe(true);
    expect(takeAll(level, MINUTE, 60_600)).toBe(100);
  });

  test("can be overdrawn so far and no further", () => {
    const level = full();
    for (let n = 0; n < 1_000; n++) charge(level, MINUTE, 2);
    expect(standing(level.debt, MINUTE)).toEqual({ allowed: false, remaining: 0, retryMs: 60_600 });
  });

  test("lets no more through in any stretch of time than its limit and what is refilled", () => {
    const buckets = fc.record({
      limit: fc.integer({ min: 1, max: 50 }),
      perMs: fc.integer({ min: 1, max: 5_000 }),
    });
    const waits = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
    const property = fc.property(buckets, waits, (bucket, gaps) => {
      const level = full();
      const taken: number[] = [];
      let nowMs = 0;
      for (const gap of gaps) {
        nowMs += gap;
        if (take(level, bucket, nowMs)) taken.push(nowMs);
      }
      for (const [first, from] of taken.entries()) {
        for (const [last, to] of taken.entries()) {
          if (last < first) continue;
          const most = bucket.limit + ((to - from) * bucket.limit) / bucket.perMs;
          expect(last - first + 1).toBeLessThanOrEqual(Math.floor(most));
        }
      }
    });
    fc.assert(property, { numRuns: 60 });
  });
});
