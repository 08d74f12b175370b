import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { mergeSightings } from "../../src/store/merge-sighting.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import type { Sighting, Store } from "../../src/store/store.ts";
import type { Trace } from "../../src/types.ts";
import { describeWith } from "../support/needs.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { sighting, trace } from "./sighting.ts";

describe("mergeSightings()", () => {
  test("adds up counts, widens bounds, and takes from the later what changes", () => {
    const there = sighting("a", {
      requests: 5,
      denials: 2,
      client: "old",
      jti: "7",
      lastMs: 3_000,
    });
    const added = sighting("a", {
      requests: 3,
      denials: 1,
      client: "new",
      issuedAtMs: 400,
      firstMs: 2_000,
      lastMs: 4_000,
      expiresAtMs: 70_000,
    });
    expect(mergeSightings(there, added)).toMatchObject({
      requests: 8,
      denials: 3,
      client: "new",
      jti: "7",
      issuedAtMs: 400,
      firstMs: 1_000,
      lastMs: 4_000,
      expiresAtMs: 70_000,
    });
    expect(mergeSightings(added, there)).toMatchObject({ client: "new", lastMs: 4_000 });
  });

  test.each([
    ["all denied: they go on", { requests: 2, denials: 2, deniedInRow: 2, lastMs: 5_000 }, 5],
    ["one passed, then one denied", { requests: 2, denials: 1, deniedInRow: 1, lastMs: 5_000 }, 1],
    ["the last passed", { requests: 2, denials: 1, deniedInRow: 0, lastMs: 5_000 }, 0],
    ["passed before what is known", { requests: 1, denials: 0, deniedInRow: 0, lastMs: 500 }, 3],
  ])("counts denials in a row: %s", (_, added, expected) => {
    const there = sighting("a", { requests: 3, denials: 3, deniedInRow: 3, lastMs: 3_000 });
    expect(mergeSightings(there, sighting("a", added)).deniedInRow).toBe(expected);
  });

  test.each([
    ["the same minute adds up", { minute: 7, minuteRequests: 4 }, [7, 14, 20]],
    ["the next makes it an earlier one", { minute: 8, minuteRequests: 4 }, [8, 4, 20]],
    ["an earlier one may be the busiest", { minute: 6, minuteRequests: 90 }, [7, 10, 90]],
    ["what was busiest stays", { minute: 8, minuteRequests: 1, busiestMinute: 30 }, [8, 1, 30]],
  ] as const)("minutes: %s", (_, added, [minute, minuteRequests, busiestMinute]) => {
    const there = sighting("a", { minute: 7, minuteRequests: 10, busiestMinute: 20 });
    expect(mergeSightings(there, sighting("a", added))).toMatchObject({
      minute,
      minuteRequests,
      busiestMinute,
    });
  });

  test("a minute that ends with more than any before it is the busiest", () => {
    const there = sighting("a", { minute: 7, minuteRequests: 50, busiestMinute: 20 });
    const added = sighting("a", { minute: 8, minuteRequests: 1 });
    expect(mergeSightings(there, added)).toMatchObject({ busiestMinute: 50, minuteRequests: 1 });
  });

  test("an address keeps the country that it was last known in", () => {
    const location = { latitude: 1, longitude: 2 };
    const there = sighting("a", { addresses: [trace("x", { country: "DE", location })] });
    const added = sighting("a", { addresses: [trace("x", { lastMs: 2_000, country: "FR" })] });
    const expected = { ...trace("x", { lastMs: 2_000, requests: 2, country: "FR" }), location };
    expect(mergeSightings(there, added).addresses).toEqual([expected]);
  });

  test("counts alike in whatever order parts are brought", () => {
    fc.assert(
      fc.property(fc.array(anySighting(), { minLength: 2, maxLength: 6 }), (parts) => {
        const [forth, back] = [parts, parts.toReversed()].map((order) =>
          order.reduce<Sighting | undefined>(mergeSightings, undefined),
        );
        const sums = ({ requests, denials, firstMs, lastMs, expiresAtMs }: Sighting) => {
          return { requests, denials, firstMs, lastMs, expiresAtMs };
        };
        expect(back && sums(back)).toEqual(forth && sums(forth));
      }),
    );
  });
});

function optional<T>(name: string, value: fc.Arbitrary<T>): fc.Arbitrary<Record<string, T>> {
  return fc.option(value).map((one) => (one === null ? {} : { [name]: one }));
}

/** Few of each, so that they meet. */
function anySighting(): fc.Arbitrary<Sighting> {
  const ms = fc.nat(40).map((at) => 1_767_600_000_000 + at);
  const few = fc.nat(9);
  const degrees = fc.integer({ min: -900_000, max: 900_000 }).map((n) => n / 10_000);
  const traceParts = fc.tuple(
    fc.record({ name: fc.constantFrom(...names(50)), firstMs: ms, lastMs: ms, requests: few }),
    optional("country", fc.constantFrom("DE", "FR")),
    optional("location", fc.record({ latitude: degrees, longitude: degrees })),
  );
  const traces = fc.array(
    traceParts.map((parts): Trace => Object.assign({}, ...parts)),
    { maxLength: 40 },
  );
  const signal = fc.constantFrom("one", "two");
  const unusual = fc.array(fc.record({ signal, policy: signal, atMs: ms }), { maxLength: 12 });
  const lint = fc.uniqueArray(fc.constantFrom(...names(30)), { maxLength: 12 });
  return fc
    .tuple(
      fc.record({
        expiresAtMs: ms,
        firstMs: ms,
        lastMs: ms,
        requests: few,
        denials: few,
        deniedInRow: few,
        minute: fc.nat(3),
        minuteRequests: few,
        busiestMinute: few,
        addresses: traces,
        devices: traces,
        routes: traces,
        lint: lint.map((list) => list.sort()),
        unusual,
      }),
      optional("client", signal),
      optional("jti", signal),
      optional("issuedAtMs", ms),
    )
    .map((parts): Sighting => sighting("a", Object.assign({}, ...parts)));
}

const names = (most: number) => Array.from({ length: most }, (_, at) => `é/"name ${at}`);

describeWith("redis-server", "merged by Redis", () => {
  let server: RedisServer;
  let store: Store;
  beforeAll(async () => {
    server = await startRedis();
    const place = { kind: "redis", url: server.url, prefix: "cg:" } as const;
    store = await openRedisStore(place, { now: () => 1_767_600_000_000 });
  });
  afterAll(async () => {
    await store.close();
    await server[Symbol.asyncDispose]();
  });

  test("is the same as merged here", async () => {
    let id = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(anySighting(), { minLength: 1, maxLength: 5 }), async (parts) => {
        const batch = parts.map((part) => ({ ...part, id: String(id) }));
        for (const one of batch) await store.noteSightings([one]);
        const here = batch.reduce<Sighting | undefined>(mergeSightings, undefined);
        expect(await store.sightings({ id: String(id++), limit: 1 })).toEqual(here ? [here] : []);
      }),
      { numRuns: 150 },
    );
  });
});
