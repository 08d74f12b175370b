/**
 * Rate limits that hold over all workers, to the request: the supervisor has the buckets.
 *
 * @module
 */
import { charge, standing } from "../../limits/bucket.ts";
import { createBucketTable } from "../../limits/bucket-table.ts";
import type { Store } from "../../store/store.ts";

type Wanted = Parameters<NonNullable<Store["takeTokens"]>>[0];
type Answer = Awaited<ReturnType<NonNullable<Store["takeTokens"]>>>;

/** @returns What takes one from each bucket, or from none if one of them is empty. */
export function openSharedBuckets(now: () => number): (wanted: Wanted) => Answer {
  const table = createBucketTable();
  return function take(wanted) {
    const nowMs = now();
    const before = wanted.map(({ key, bucket }) =>
      standing(table.find(key, nowMs)?.debt ?? 0, bucket),
    );
    if (before.some(({ allowed }) => !allowed)) return before;
    return wanted.map(({ key, bucket }) => {
      const held = table.obtain(key, bucket, nowMs);
      charge(held, bucket, 1);
      return { allowed: true, remaining: standing(held.debt, bucket).remaining, retryMs: 0 };
    });
  };
}
