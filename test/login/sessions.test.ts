import { describe, expect, test } from "bun:test";
import { GateError } from "../../src/errors.ts";
import type { Grant, Provider, Renewal } from "../../src/login/provider.ts";
import { createKeyRing } from "../../src/login/seal.ts";
import { openSessions } from "../../src/login/sessions.ts";
import { err, ok } from "../../src/result.ts";

const START_MS = Date.UTC(2026, 0, 5, 10);
const MINUTE_MS = 60_000;
const CONFIG = {
  idleMs: 30 * MINUTE_MS,
  lifetimeMs: 600 * MINUTE_MS,
  refreshMs: 5 * MINUTE_MS,
  secrets: [],
};

/** Values with their ends, as both stores keep them. */
function memoryStore(now: () => number) {
  const values = new Map<string, { value: string; untilMs: number }>();
  const there = (key: string) => {
    const one = values.get(key);
    return one !== undefined && now() < one.untilMs ? one.value : undefined;
  };
  return {
    values,
    get: async (key: string) => there(key),
    put: async (key: string, value: string, untilMs: number) =>
      void values.set(key, { value, untilMs }),
    async putNew(key: string, value: string, untilMs: number) {
      if (there(key) !== undefined) return false;
      values.set(key, { value, untilMs });
      return true;
    },
    async replace(key: string, expected: string, value: string, untilMs: number) {
      if (there(key) !== expected) return false;
      values.set(key, { value, untilMs });
      return true;
    },
    remove: async (key: string) => void values.delete(key),
  };
}

function setUp() {
  const clock = { nowMs: START_MS };
  const now = () => clock.nowMs;
  const store = memoryStore(now);
  const ring = createKeyRing(["secret"]);
  const issuer = {
    name: "a",
    issuer: "https://id.example",
    claims: {},
    requiredClaims: ["sub"],
    clockToleranceSeconds: 30,
  };
  const grant: Grant = {
    claims: { sub: "alice", aud: "gate" },
    userInfo: {},
    idToken: "a.b.c",
    refreshToken: "first",
    expiresMs: START_MS + 60 * MINUTE_MS,
  };
  const renewal: Renewal = {
    userInfo: {},
    refreshToken: "second",
    expiresMs: START_MS + 120 * MINUTE_MS,
  };
  const spent: string[] = [];
  const provider = {
    issuer: { config: issuer },
    login: {},
    async refresh(token: string) {
      spent.push(token);
      return spent.length > 1 ? err({ kind: "refused", reason: "spent" }) : ok(renewal);
    },
  } as unknown as Provider;
  const revoked: string[] = [];
  const sessions = openSessions({
    store,
    ring: async () => ring,
    revocations: { revoke: async ({ value }) => void revoked.push(value) },
    config: () => CONFIG,
    providerOf: () => provider,
    log: { event: () => {} },
    now,
  });
  const begin = async () => {
    const begun = await sessions.begin({ host: "h", provider, grant, stepUp: undefined });
    if (begun === undefined) throw new Error("Cannot begin a session");
    return begun;
  };
  const find = async (id: string) => sessions.find(id, "h", now());
  return { clock, store, ring, sessions, spent, revoked, begin, find };
}

function commonLength(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length += 1;
  return length;
}

describe("sessions", () => {
  test("are one and the same token until something changes", async () => {
    const { begin, find, clock } = setUp();
    const { id, token } = await begin();
    expect(await find(id)).toBe(token);
    clock.nowMs += 5 * MINUTE_MS;
    const renewed = await find(id);
    expect(renewed).not.toBe(token);
    expect(await find(id)).toBe(renewed as typeof token);
  });

  test("are asked for by a hash, so that a good guess takes as long as a bad one", async () => {
    const { begin, find, store } = setUp();
    const { id } = await begin();
    const last = id.endsWith("A") ? "B" : "A";
    const first = id.startsWith("A") ? "B" : "A";
    const guesses = [`${id.slice(0, -1)}${last}`, `${first}${id.slice(1)}`, "A".repeat(43)];
    const asked: string[] = [];
    const { get } = store;
    store.get = (key) => {
      asked.push(key);
      return get(key);
    };
    for (const guess of guesses) expect(await find(guess)).toBeUndefined();
    const [there = ""] = store.values.keys();
    expect(asked).toHaveLength(guesses.length);
    expect(there).not.toContain(id.slice(0, 8));
    for (const key of asked) {
      expect(key).toStartWith("session:");
      // Nothing that is compared on the way tells how near the guess was.
      expect(commonLength(key, there)).toBeLessThan("session:".length + 6);
    }
  });

  test("that are renewed while the store is told of them go on", async () => {
    const { begin, find, clock, store } = setUp();
    const { id } = await begin();
    const { replace } = store;
    const told = Promise.withResolvers<void>();
    store.replace = async (key, expected, value, untilMs) => {
      // What tells that it is in use comes to the store after what renews it.
      if (expected === value) await told.promise;
      const done = await replace(key, expected, value, untilMs);
      told.resolve();
      return done;
    };
    clock.nowMs += 2 * MINUTE_MS;
    expect(await find(id)).toBeDefined();
    clock.nowMs += 3 * MINUTE_MS;
    expect(await find(id)).toBeDefined();
    expect(await find(id)).toBeDefined();
  });

  test("are renewed once, however the store answers", async () => {
    const { begin, find, clock, store, spent } = setUp();
    const { id } = await begin();
    const { replace } = store;
    let fails = 2;
    store.replace = async (...args) => {
      // Written, but nobody hears of it.
      const done = await replace(...args);
      if (fails-- > 0) throw new GateError("store_unavailable", "away");
      return done;
    };
    clock.nowMs += 5 * MINUTE_MS;
    expect(await find(id)).toBeDefined();
    expect(spent).toEqual(["first"]);
    expect(await find(id)).toBeDefined();
  });

  test("signed out during their renewal stay signed out", async () => {
    const { begin, find, clock, store, sessions, revoked } = setUp();
    const { id, token } = await begin();
    const { replace } = store;
    store.replace = async (...args) => {
      store.replace = replace;
      await sessions.end(id, "signed out");
      return replace(...args);
    };
    clock.nowMs += 5 * MINUTE_MS;
    expect(await find(id)).toBeUndefined();
    expect(await find(id)).toBeUndefined();
    expect(revoked).toEqual([token.session ?? ""]);
    expect([...store.values.keys()].filter((key) => key.startsWith("session:"))).toEqual([]);
  });

  test("that somebody put under another key, or sealed with another one, are none", async () => {
    const { begin, find, store, ring } = setUp();
    const { id: mine } = await begin();
    const { id: theirs } = await begin();
    const [mineKey = "", theirsKey = ""] = store.values.keys();
    const value = store.values.get(theirsKey)?.value ?? "";
    store.values.set(mineKey, { value, untilMs: Number.POSITIVE_INFINITY });
    const { sessions } = setUp();
    expect(await sessions.find(mine, "h", START_MS)).toBeUndefined();

    const other = setUp();
    for (const [key, one] of store.values) other.store.values.set(key, one);
    expect(await other.find(mine)).toBeUndefined();
    expect(await other.find(theirs)).toBeDefined();
    const forged = await createKeyRing(["guess"]).seal(
      "session",
      (await ring.open("session", value)) as object,
    );
    const third = setUp();
    third.store.values.set(theirsKey, { value: forged, untilMs: Number.POSITIVE_INFINITY });
    expect(await third.find(theirs)).toBeUndefined();
    expect(await find(theirs)).toBeDefined();
  });

  test("with more than the store takes lose the ID token, not their person", async () => {
    const { sessions, store } = setUp();
    const provider = {
      issuer: {
        config: {
          name: "a",
          issuer: "https://id.example",
          claims: {},
          requiredClaims: [],
          clockToleranceSeconds: 0,
        },
      },
      login: {},
    } as unknown as Provider;
    const claims = {
      sub: "alice",
      aud: "gate",
      groups: Array.from({ length: 400 }, (_, at) => `group-${at}`),
    };
    const grant = { claims, userInfo: {}, idToken: "x".repeat(60_000), expiresMs: START_MS };
    const begun = await sessions.begin({ host: "h", provider, grant, stepUp: undefined });
    expect(begun?.token.claims.groups).toHaveLength(400);
    expect([...store.values.values()].every(({ value }) => value.length <= 64 * 1024)).toBe(true);
  });
});
