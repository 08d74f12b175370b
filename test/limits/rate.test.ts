import { describe, expect, test } from "bun:test";
import { GateError } from "../../src/errors.ts";
import { bucketKey } from "../../src/limits/bucket-key.ts";
import { type Charge, createLimiter } from "../../src/limits/rate.ts";
import type { Bucket, Store } from "../../src/store/store.ts";

const START_MS = 1_767_600_000_000;
const FIVE = { limit: 5, perMs: 5_000 };
const TWO = { limit: 2, perMs: 60_000 };

function of(who: string, bucket: Bucket = FIVE, from: Charge["from"] = "tokens"): Charge {
  return { key: bucketKey("route orders", bucket, who), bucket, from };
}

type TakeTokens = NonNullable<Store["takeTokens"]>;

/** A limiter with a clock that stands still until it is moved. */
function limiterWith(takeTokens?: TakeTokens) {
  const clock = { nowMs: START_MS };
  const warnings: string[] = [];
  const limiter = createLimiter({
    now: () => clock.nowMs,
    warn: (message) => warnings.push(message),
    ...(takeTokens && { takeTokens }),
  });
  const count = async (charges: readonly Charge[], tries: number) => {
    let allowed = 0;
    for (let n = 0; n < tries; n++) if ((await limiter.take(charges)).allowed) allowed++;
    return allowed;
  };
  return { limiter, clock, warnings, count };
}

/** What gates share: a bucket that is never refilled while the clock of a test stands still. */
function sharedStore() {
  const left = new Map<string, number>();
  const asked: string[] = [];
  let state: "up" | "down" | "silent" = "up";
  const takeTokens: TakeTokens = async (wanted) => {
    asked.push(wanted.map(({ key }) => key).join());
    if (state === "silent") return new Promise(() => {});
    if (state === "down") throw new GateError("store_unavailable", "nobody listens");
    const levels = wanted.map(({ key, bucket: { limit } }) => left.get(key) ?? limit);
    const isAllowed = levels.every((level) => level > 0);
    return wanted.map(({ key, bucket: { limit, perMs } }, at) => {
      const level = levels[at] ?? 0;
      const allowed = level > 0;
      if (isAllowed) left.set(key, level - 1);
      const remaining = isAllowed ? level - 1 : level;
      return { allowed, remaining, retryMs: allowed ? 0 : perMs / limit };
    });
  };
  return {
    asked,
    takeTokens,
    become(next: typeof state) {
      state = next;
    },
  };
}

describe("take() in one process", () => {
  test("is exact, and answers at once", () => {
    const { limiter } = limiterWith();
    const answers = Array.from({ length: 7 }, () => limiter.take([of("alice")]));
    expect(answers).toMatchObject([
      { allowed: true, remaining: 4 },
      { allowed: true, remaining: 3 },
      { allowed: true, remaining: 2 },
      { allowed: true, remaining: 1 },
      { allowed: true, remaining: 0 },
      { allowed: false, remaining: 0, retryMs: 1_000 },
      { allowed: false, remaining: 0, retryMs: 1_000 },
    ]);
  });

  test("is each one's own", async () => {
    const { count } = limiterWith();
    expect(await count([of("alice")], 9)).toBe(5);
    expect(await count([of("bob")], 9)).toBe(5);
  });

  test("keeps strangers apart, so that they crowd out nobody who has a token", async () => {
    const { count } = limiterWith();
    expect(await count([of("alice", FIVE, "strangers")], 9)).toBe(5);
    expect(await count([of("alice", FIVE, "tokens")], 9)).toBe(5);
  });

  test("takes from all buckets or from none", async () => {
    const { count, limiter } = limiterWith();
    const both = [of("alice"), of("everyone", TWO)];
    expect(await count(both, 9)).toBe(2);
    expect(limiter.take(both)).toMatchObject({ allowed: false, retryMs: 30_000, of: both[1] });
    expect(await count([of("alice")], 9)).toBe(3);
  });

  test("tells of the bucket that is nearest to empty", () => {
    const { limiter } = limiterWith();
    const both = [of("alice"), of("everyone", TWO)];
    expect(limiter.take(both)).toMatchObject({ allowed: true, remaining: 1, of: both[1] });
  });

  test("of two that are empty tells of the one that is longer so", async () => {
    const { count, limiter } = limiterWith();
    const slow = of("everyone", TWO);
    await count([of("alice")], 5);
    await count([slow], 2);
    expect(limiter.take([slow, of("alice")])).toMatchObject({ retryMs: 30_000, of: slow });
    expect(limiter.take([of("alice"), slow])).toMatchObject({ retryMs: 30_000, of: slow });
  });

  test("goes on when the clock was set back an hour", async () => {
    const { count, clock } = limiterWith();
    await count([of("alice")], 5);
    clock.nowMs -= 3_600_000;
    expect(await count([of("alice")], 3)).toBe(0);
    clock.nowMs += 1_000;
    expect(await count([of("alice")], 3)).toBe(1);
  });
});

describe("failures", () => {
  test("empty a bucket; looking at it does not", () => {
    const { limiter } = limiterWith();
    for (let n = 0; n < 5; n++) {
      for (let looks = 0; looks < 3; looks++) {
        expect(limiter.peekFailures("10.0.0.1", FIVE).allowed).toBe(true);
      }
      limiter.noteFailure("10.0.0.1", FIVE);
    }
    expect(limiter.peekFailures("10.0.0.1", FIVE)).toEqual({
      allowed: false,
      remaining: 0,
      retryMs: 1_000,
    });
    expect(limiter.peekFailures("10.0.0.2", FIVE).allowed).toBe(true);
  });

  test("are made good", () => {
    const { limiter, clock } = limiterWith();
    for (let n = 0; n < 5; n++) limiter.noteFailure("10.0.0.1", FIVE);
    clock.nowMs += 1_000;
    expect(limiter.peekFailures("10.0.0.1", FIVE).allowed).toBe(true);
    limiter.noteFailure("10.0.0.1", FIVE);
    expect(limiter.peekFailures("10.0.0.1", FIVE).allowed).toBe(false);
  });

  test("that were under way when it ran empty count, too, but not without end", () => {
    const { limiter, clock } = limiterWith();
    for (let n = 0; n < 1_000; n++) limiter.noteFailure("10.0.0.1", FIVE);
    clock.nowMs += 5_999;
    expect(limiter.peekFailures("10.0.0.1", FIVE).allowed).toBe(false);
    clock.nowMs += 1;
    expect(limiter.peekFailures("10.0.0.1", FIVE).allowed).toBe(true);
  });
});

describe("take() with a store that gates share", () => {
  test("is exact for all gates together", async () => {
    const store = sharedStore();
    const [here, there] = [limiterWith(store.takeTokens), limiterWith(store.takeTokens)];
    expect(await here.count([of("alice")], 3)).toBe(3);
    expect(await there.count([of("alice")], 9)).toBe(2);
    expect(await here.count([of("alice")], 9)).toBe(0);
  });

  test("takes from all buckets or from none, in one round trip", async () => {
    const store = sharedStore();
    const { count, limiter } = limiterWith(store.takeTokens);
    const both = [of("alice"), of("everyone", TWO)];
    expect(await count(both, 2)).toBe(2);
    expect(store.asked).toHaveLength(2);
    expect(await limiter.take(both)).toMatchObject({ allowed: false, of: both[1] });
    expect(store.asked).toHaveLength(3);
    expect(await limiter.take(both)).toMatchObject({ allowed: false, retryMs: 30_000 });
    expect(store.asked).toHaveLength(3);
    expect(await count([of("alice")], 9)).toBe(3);
  });

  test("does not ask again what was refused, until it may have changed", async () => {
    const store = sharedStore();
    const { count, clock, limiter } = limiterWith(store.takeTokens);
    await count([of("alice")], 6);
    store.asked.length = 0;
    clock.nowMs += 999;
    expect(limiter.take([of("alice")])).toMatchObject({ allowed: false, retryMs: 1 });
    expect(store.asked).toEqual([]);
    clock.nowMs += 1;
    await count([of("alice")], 1);
    expect(store.asked).toHaveLength(1);
  });

  test("asks again when the clock was set back, rather than refuse for an hour", async () => {
    const store = sharedStore();
    const { count, clock } = limiterWith(store.takeTokens);
    await count([of("alice")], 6);
    store.asked.length = 0;
    clock.nowMs -= 3_600_000;
    await count([of("alice")], 1);
    expect(store.asked).toHaveLength(1);
  });

  test.each(["down", "silent"] as const)(
    "of a store that is %s goes on with what passed here, and says so once",
    async (state) => {
      const store = sharedStore();
      const { count, warnings } = limiterWith(store.takeTokens);
      await count([of("alice")], 2);
      store.become(state);
      expect(await count([of("alice")], 9)).toBe(3);
      expect(await count([of("bob")], 9)).toBe(5);
      const why = state === "down" ? "nobody listens" : "no answer within 250 ms";
      expect(warnings).toEqual([
        `the store is lost: this gate keeps rate limits on its own (${why})`,
      ]);
      expect(store.asked).toHaveLength(3);
    },
  );

  test("tries a lost store once a second, and warns once a minute", async () => {
    const store = sharedStore();
    const { limiter, clock, warnings } = limiterWith(store.takeTokens);
    store.become("down");
    for (let seconds = 0; seconds < 60; seconds++) {
      await Promise.all([of("a"), of("b"), of("c")].map((one) => limiter.take([one])));
      clock.nowMs += 1_000;
    }
    // At first nobody knew: all three asked.
    expect(store.asked).toHaveLength(62);
    expect(warnings).toHaveLength(1);
    await limiter.take([of("a")]);
    expect(warnings).toHaveLength(2);
  });

  test("goes back to a store that answers again", async () => {
    const store = sharedStore();
    const { count, clock } = limiterWith(store.takeTokens);
    store.become("down");
    await count([of("alice")], 5);
    store.become("up");
    clock.nowMs += 1_000;
    store.asked.length = 0;
    expect(await count([of("alice")], 9)).toBe(5);
    expect(store.asked).toHaveLength(6);
  });

  test("failures at one gate are felt at the next, with its own next failure", async () => {
    const store = sharedStore();
    const [here, there] = [limiterWith(store.takeTokens), limiterWith(store.takeTokens)];
    for (let n = 0; n < 5; n++) here.limiter.noteFailure("10.0.0.1", FIVE);
    there.limiter.noteFailure("10.0.0.1", FIVE);
    await Bun.sleep(0); // one turn, in which the store answers
    expect(there.limiter.peekFailures("10.0.0.1", FIVE)).toMatchObject({
      allowed: false,
      retryMs: 1_000,
    });
  });

  test("failures of a flood wait for the store in bounded number", () => {
    const store = sharedStore();
    const { limiter } = limiterWith(store.takeTokens);
    store.become("silent");
    for (let n = 0; n < 1_000; n++) limiter.noteFailure(`10.0.${n >> 8}.${n & 255}`, FIVE);
    expect(store.asked).toHaveLength(64);
  });
});
