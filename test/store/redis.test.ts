import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { openRedisStore } from "../../src/store/redis.ts";
import type { Store } from "../../src/store/store.ts";
import { describeWith } from "../support/needs.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { faultOf, record, revocation, testStore } from "./contract.ts";
import { messageOf, openAt, take } from "./redis-place.ts";
import { sighting } from "./sighting.ts";

describeWith("redis-server", "the contract on Redis", () => {
  let server: RedisServer;
  let places = 0;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  testStore(async () => {
    const prefix = `cg${++places}:`;
    return {
      open: (clock) => openRedisStore({ kind: "redis", url: server.url, prefix }, { now: clock }),
      async [Symbol.asyncDispose]() {},
    };
  });
});

describeWith("redis-server", "Redis, one server for all", () => {
  let server: RedisServer;
  let stores: Store[] = [];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterEach(async () => {
    await Promise.all(stores.map((store) => store.close()));
    stores = [];
    await server.ask("FLUSHALL");
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function open(prefix?: string): Promise<Store> {
    const store = await openAt(server.url, prefix);
    stores.push(store);
    return store;
  }

  test("every key has the prefix, and an end or a bound", async () => {
    const store = await open("mine:");
    await store.append([
      record("a", 1, { requestId: "r", subject: "s", route: "o", code: "c", denied: true }),
      record("a", 2, { kind: "act" }),
    ]);
    await store.revoke(revocation());
    await take(store, ["alice", 3, 60_000]);
    const unusual = [{ signal: "s", policy: "p", atMs: 1_000 }];
    await store.noteSightings([sighting("a", { kind: "session", lint: ["x"], unusual })]);
    await store.put("k", "v", 9_000);
    const keys = (await server.ask("KEYS", "*")) as string[];
    expect(keys.filter((key) => !key.startsWith("mine:"))).toEqual([]);
    const endless = [];
    for (const key of keys) if ((await server.ask("PTTL", key)) === -1) endless.push(key);
    expect(endless.sort()).toEqual(["mine:meta", "mine:revoked", "mine:revoked:until"]);
    expect(keys).toHaveLength(endless.length + 1 + 1 + 1 + 7 + 1 + 7 + 2);
  });

  test("two prefixes know nothing of each other", async () => {
    const one = await open("one:");
    const other = await open("other:");
    await one.revoke(revocation());
    await one.append([record("a", 1)]);
    expect(await other.revocations(2_000)).toEqual([]);
    expect(await other.find({ limit: 5 })).toEqual([]);
    expect(await other.revision()).not.toBe(await one.revision());
  });

  test("an emptied one is another one", async () => {
    const store = await open();
    const epochOf = async () => (await store.revision()).replace(/\.\d+$/, "");
    const before = await epochOf();
    await server.ask("FLUSHALL");
    const after = await epochOf();
    expect(after).not.toBe(before);
    expect(await epochOf()).toBe(after);
  });

  test("scripts that the server has lost are sent again", async () => {
    const store = await open();
    await server.ask("SCRIPT", "FLUSH");
    await store.revoke(revocation());
    expect(await store.revocations(2_000)).toHaveLength(1);
  });

  test("a newer layout is refused, untouched", async () => {
    await server.ask("HSET", "cg:meta", "version", "99", "id", "x", "revision", "5");
    expect(await messageOf(openAt(server.url))).toContain("newer than this claimgate knows");
    expect(await faultOf(openAt(server.url))).toBe("store_damaged");
    expect(await server.ask("HGET", "cg:meta", "revision")).toBe("5");
    expect(await server.ask("KEYS", "*")).toEqual(["cg:meta"]);
  });

  test("another program's keys are refused", async () => {
    await server.ask("SET", "cg:meta", "theirs");
    expect(await faultOf(openAt(server.url))).toBe("store_damaged");
    expect(await server.ask("GET", "cg:meta")).toBe("theirs");
  });

  test("a revocation that has gone missing is a fault, not a list without it", async () => {
    const store = await open();
    await store.revoke(revocation());
    await server.ask("DEL", "cg:revoked");
    expect(await faultOf(store.revocations(2_000))).toBe("store_damaged");
  });

  test("sightings are kept until they expire, and as long after it as the last sweep left", async () => {
    const store = await open();
    const day = 24 * 3_600_000;
    await store.noteSightings([sighting("a", { expiresAtMs: 62_000 })]);
    expect(await server.ask("PTTL", "cg:sighting:a")).toBeWithin(7 * day, 7 * day + 60_001);
    await store.sweepSightings(2_000 - day);
    await store.noteSightings([sighting("a"), sighting("b", { expiresAtMs: 1_000 })]);
    expect(await server.ask("PTTL", "cg:sighting:a")).toBeWithin(day, day + 60_001);
    expect(await server.ask("PTTL", "cg:sighting:b")).toBeWithin(day - 1_000, day + 1);
  });

  describe("takeTokens()", () => {
    const HOUR_MS = 3_600_000;

    test("gives the burst, then refuses and takes nothing", async () => {
      const store = await open();
      const takeOne = async () => (await take(store, ["alice", 2, HOUR_MS]))?.[0];
      expect(await takeOne()).toEqual({ allowed: true, remaining: 1, retryMs: 0 });
      expect(await takeOne()).toEqual({ allowed: true, remaining: 0, retryMs: 0 });
      const refused = await takeOne();
      expect(refused).toMatchObject({ allowed: false, remaining: 0 });
      for (let more = 0; more < 20; more++) await takeOne();
      expect((await takeOne())?.retryMs).toBeLessThanOrEqual(refused?.retryMs ?? 0);
      expect(refused?.retryMs).toBeGreaterThan(1_790_000);
      expect(refused?.retryMs).toBeLessThanOrEqual(1_800_000);
    });

    test("takes from all of several, or from none", async () => {
      const store = await open();
      const both = () => take(store, ["few", 2, HOUR_MS], ["many", 5, HOUR_MS]);
      expect(await both()).toEqual([
        { allowed: true, remaining: 1, retryMs: 0 },
        { allowed: true, remaining: 4, retryMs: 0 },
      ]);
      await both();
      for (let more = 0; more < 5; more++) {
        expect(await both()).toMatchObject([
          { allowed: false, remaining: 0 },
          { allowed: true, remaining: 3, retryMs: 0 },
        ]);
      }
      expect(await take(store, ["many", 5, HOUR_MS])).toMatchObject([{ remaining: 2 }]);
    });

    test("is exact for all who ask at once, by every connection", async () => {
      const [one, other] = [await open(), await open()];
      const asked = Array.from({ length: 100 }, (_, at) =>
        take(at % 2 === 0 ? one : other, ["k", 20, HOUR_MS], [`k${at % 4}`, 4, HOUR_MS]),
      );
      const taken = await Promise.all(asked);
      const passed = taken.filter((answers) => answers?.every(({ allowed }) => allowed));
      expect(passed).toHaveLength(16);
    });

    test("allows again after the time it names", async () => {
      const store = await open();
      const takeOne = async () => (await take(store, ["k", 2, 400]))?.[0];
      let refused = await takeOne();
      while (refused?.allowed) refused = await takeOne();
      await Bun.sleep((refused?.retryMs ?? 0) + 1);
      expect(await takeOne()).toMatchObject({ allowed: true });
    });

    test("keeps a bucket apart for each key, none longer than until it is full", async () => {
      const store = await open();
      await take(store, ["a", 1, 60_000]);
      expect(await take(store, ["b", 1, 60_000])).toMatchObject([{ allowed: true }]);
      await take(store, ["x".repeat(10_000), 1, 60_000]);
      const keys = ((await server.ask("KEYS", "cg:bucket:*")) as string[]).sort();
      expect(keys).toHaveLength(3);
      for (const key of keys) {
        expect(key.length).toBeLessThan(64);
        expect(await server.ask("PTTL", key)).toBeWithin(1, 60_002);
      }
    });
  });
});
