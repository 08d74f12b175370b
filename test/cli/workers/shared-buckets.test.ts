import { expect, test } from "bun:test";
import { openSharedBuckets } from "../../../src/cli/workers/shared-buckets.ts";

const two = { key: "two", bucket: { limit: 2, perMs: 1_000 } };
const one = { key: "one", bucket: { limit: 1, perMs: 1_000 } };

test("a bucket gives what it holds, and is refilled evenly", () => {
  let nowMs = 5_000;
  const take = openSharedBuckets(() => nowMs);
  expect(take([two])).toEqual([{ allowed: true, remaining: 1, retryMs: 0 }]);
  expect(take([two])).toEqual([{ allowed: true, remaining: 0, retryMs: 0 }]);
  expect(take([two])).toEqual([{ allowed: false, remaining: 0, retryMs: 500 }]);
  nowMs += 500;
  expect(take([two])).toMatchObject([{ allowed: true }]);
  expect(take([two])).toMatchObject([{ allowed: false }]);
});

test("from all or from none", () => {
  const take = openSharedBuckets(() => 5_000);
  expect(take([one])).toMatchObject([{ allowed: true }]);
  expect(take([two, one])).toMatchObject([{ allowed: true }, { allowed: false }]);
  // Nothing was taken from the other.
  expect(take([two])).toMatchObject([{ allowed: true, remaining: 1 }]);
});
