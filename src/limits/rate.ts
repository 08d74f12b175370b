/**
 * Rate limits: token buckets, in this process or, with a store that gates share, in that.
 *
 * A lost store does not stop the traffic. The gate goes on with buckets of its own, which have
 * counted along what passed here, and asks the store again once a second. Limits are then kept
 * by each gate on its own: looser by the number of gates, but never open.
 *
 * @module
 */
import type { Bucket, Store, Taken } from "../store/store.ts";
import { charge, standing } from "./bucket.ts";
import { type BucketTable, createBucketTable, refusedForMs } from "./bucket-table.ts";
import { createSharedBuckets, type SharedBuckets } from "./shared-buckets.ts";

/** One token to be taken from one bucket. */
export type Charge = {
  /** As `bucketKey` makes it. */
  readonly key: string;
  readonly bucket: Bucket;
  /**
   * Who can make up such keys: `strangers` with addresses of theirs, or only those with `tokens`.
   * They are kept apart, so that strangers cannot crowd out the others.
   */
  readonly from: "strangers" | "tokens";
};

/** `of` is the charge that was refused; if none was, the one whose bucket is nearest to empty. */
export type Charged<C extends Charge = Charge> = Taken & { readonly of: C };

export type Limiter = {
  /**
   * Takes one from every bucket, or from none if one of them is empty; of a shared store's in one
   * round trip.
   *
   * @param charges At least one; no two with one key.
   * @returns At once where no store is asked. Never rejects.
   */
  take<C extends Charge>(charges: readonly C[]): Charged<C> | Promise<Charged<C>>;
  /** Whether failures have emptied a bucket. Asks no store. */
  peekFailures(key: string, bucket: Bucket): Taken;
  /**
   * Counts a failure: also beyond an empty bucket, as requests that were under way when it ran
   * empty do. A shared store is told, and heard, later.
   */
  noteFailure(key: string, bucket: Bucket): void;
};

type LimiterDependencies = {
  /** Milliseconds since 1970. May step back: buckets then stand still for a moment, no more. */
  readonly now: () => number;
  readonly takeTokens?: Store["takeTokens"];
  /** Told that the store is lost, at most once a minute while it is. */
  readonly warn: (message: string) => void;
  /** How long a request waits for the store (250). */
  readonly answerWithinMs?: number;
};

/** Failures under way to the store; beyond, they count here only. */
const SHARING_LIMIT = 64;
/** How far failures may overdraw: a minute's worth is made good in two minutes at most. */
const OVERDRAFT = 2;

export function createLimiter(dependencies: LimiterDependencies): Limiter {
  const { now, takeTokens } = dependencies;
  const tables = { strangers: createBucketTable(), tokens: createBucketTable() };
  const failures = createBucketTable();
  const store = takeTokens && createSharedBuckets(takeTokens, dependencies);

  function takeHere<C extends Charge>(charges: readonly C[], nowMs: number): Charged<C> {
    const refused = peek(tables, charges, nowMs);
    if (refused !== undefined) return refused;
    return nearest(
      charges.map((of) => {
        const held = tables[of.from].obtain(of.key, of.bucket, nowMs);
        charge(held, of.bucket, 1);
        const { remaining } = standing(held.debt, of.bucket);
        return { allowed: true, remaining, retryMs: 0, of };
      }),
    );
  }

  async function takeThere<C extends Charge>(
    shared: SharedBuckets,
    charges: readonly C[],
  ): Promise<Charged<C>> {
    const answers = await shared.take(charges.map(({ key, bucket }) => ({ key, bucket })));
    const nowMs = now();
    const taken = charges.flatMap((of, at): Charged<C>[] => {
      const answer = answers?.[at];
      return answer === undefined ? [] : [{ ...answer, of }];
    });
    if (taken.length < charges.length) return takeHere(charges, nowMs);
    const refusals = taken.filter(({ allowed }) => !allowed);
    for (const { of, retryMs } of refusals) remember(tables[of.from], of, retryMs, nowMs);
    const refused = longest(refusals);
    if (refused !== undefined) return refused;
    for (const { key, bucket, from } of charges) {
      charge(tables[from].obtain(key, bucket, nowMs), bucket, 1);
    }
    return nearest(taken);
  }

  return {
    take(charges) {
      const nowMs = now();
      if (store === undefined || !store.mayAsk(nowMs)) return takeHere(charges, nowMs);
      return refusedBefore(tables, charges, nowMs) ?? takeThere(store, charges);
    },
    peekFailures(key, bucket) {
      const nowMs = now();
      const held = failures.size() === 0 ? undefined : failures.find(key, nowMs);
      const here = standing(held?.debt ?? 0, bucket);
      const there = held === undefined ? 0 : refusedForMs(held, nowMs);
      if (there === 0) return here;
      return { allowed: false, remaining: 0, retryMs: Math.max(there, here.retryMs) };
    },
    noteFailure(key, bucket) {
      const nowMs = now();
      charge(failures.obtain(key, bucket, nowMs), bucket, OVERDRAFT);
      if (store === undefined || store.asked() >= SHARING_LIMIT || !store.mayAsk(nowMs)) return;
      store.take([{ key, bucket }]).then((answers) => {
        const [answer] = answers ?? [];
        if (answer?.allowed === false) remember(failures, { key, bucket }, answer.retryMs, now());
      });
    },
  };
}

type Tables = Readonly<Record<Charge["from"], BucketTable>>;

/** @returns The refusal that lasts longest, if any bucket here is empty. */
function peek<C extends Charge>(
  tables: Tables,
  charges: readonly C[],
  nowMs: number,
): Charged<C> | undefined {
  const refusals: Charged<C>[] = [];
  for (const of of charges) {
    const held = tables[of.from].find(of.key, nowMs);
    const taken = standing(held?.debt ?? 0, of.bucket);
    if (!taken.allowed) refusals.push({ ...taken, of });
  }
  return longest(refusals);
}

/** What the store refused a moment ago it would refuse again: others only take more. */
function refusedBefore<C extends Charge>(
  tables: Tables,
  charges: readonly C[],
  nowMs: number,
): Charged<C> | undefined {
  const refusals: Charged<C>[] = [];
  for (const of of charges) {
    const held = tables[of.from].find(of.key, nowMs);
    const retryMs = held === undefined ? 0 : refusedForMs(held, nowMs);
    if (retryMs > 0) refusals.push({ allowed: false, remaining: 0, retryMs, of });
  }
  return longest(refusals);
}

function longest<C extends Charge>(refusals: readonly Charged<C>[]): Charged<C> | undefined {
  return refusals.toSorted((a, b) => b.retryMs - a.retryMs)[0];
}

function remember(
  table: BucketTable,
  { key, bucket }: Pick<Charge, "key" | "bucket">,
  retryMs: number,
  nowMs: number,
): void {
  const held = table.obtain(key, bucket, nowMs);
  held.refusedAtMs = nowMs;
  held.refusedForMs = Math.min(retryMs, bucket.perMs);
}

function nearest<C extends Charge>(charged: readonly Charged<C>[]): Charged<C> {
  return charged.reduce((least, one) => (one.remaining < least.remaining ? one : least));
}
