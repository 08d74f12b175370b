import { describe, expect, test } from "bun:test";
import { charge } from "../../src/limits/bucket.ts";
import { createBucketTable } from "../../src/limits/bucket-table.ts";

const BUCKET = { limit: 10, perMs: 10_000 };

/** Always the same numbers, from 0 up to 1. */
function seeded(seed = 1): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

function table(capacity: number) {
  const made = createBucketTable({ capacity, random: seeded() });
  const drain = (key: string, count: number, nowMs: number) => {
    const held = made.obtain(key, BUCKET, nowMs);
    for (let n = 0; n < count; n++) charge(held, BUCKET, 1);
  };
  return { ...made, drain };
}

describe("createBucketTable()", () => {
  test("knows a bucket again, refilled", () => {
    const { drain, find } = table(10);
    drain("a", 5, 0);
    expect(find("a", 1_000)?.debt).toBe(40_000);
    expect(find("b", 1_000)).toBeUndefined();
  });

  test("never holds more than its capacity", () => {
    const { drain, size } = table(100);
    for (let n = 0; n < 5_000; n++) drain(`key ${n}`, 1, 0);
    expect(size()).toBe(100);
  });

  test("shrinks by itself: new keys drive out the full ones", () => {
    const { drain, size } = table(10_000);
    for (let n = 0; n < 5_000; n++) drain(`early ${n}`, 1, 0);
    expect(size()).toBe(5_000);
    for (let n = 0; n < 5_000; n++) drain(`late ${n}`, 1, 60_000 + n);
    expect(size()).toBeLessThan(4_000);
  });

  test("a flood of keys does not make it forget an empty bucket", () => {
    const { drain, find } = table(200);
    drain("emptied", 10, 0);
    for (let n = 0; n < 20_000; n++) drain(`flood ${n}`, 1, 0);
    expect(find("emptied", 0)?.debt).toBe(100_000);
  });

  test("nor one that a shared store has refused", () => {
    const { drain, find, obtain } = table(200);
    const held = obtain("refused", BUCKET, 0);
    held.refusedForMs = 5_000;
    for (let n = 0; n < 20_000; n++) drain(`flood ${n}`, 1, 0);
    expect(find("refused", 0)?.refusedForMs).toBe(5_000);
  });

  test("full ones go before all others", () => {
    const { drain, find } = table(200);
    for (let n = 0; n < 100; n++) drain(`full ${n}`, 1, 0);
    for (let n = 0; n < 100; n++) drain(`half ${n}`, 5, 0);
    for (let n = 0; n < 40; n++) drain(`new ${n}`, 9, 2_000);
    const kept = Array.from({ length: 100 }, (_, n) => find(`half ${n}`, 2_000));
    expect(kept.every((held) => held !== undefined)).toBe(true);
  });

  test("a clock that was set back lets it forget as before", () => {
    const { drain, find, size } = table(100);
    for (let n = 0; n < 100; n++) drain(`early ${n}`, 1, 3_600_000);
    drain("emptied", 10, 0);
    for (let n = 0; n < 2_000; n++) drain(`late ${n}`, 1, 0);
    expect(size()).toBe(100);
    expect(find("emptied", 0)?.debt).toBe(100_000);
  });
});
