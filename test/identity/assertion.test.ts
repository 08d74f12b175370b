import { describe, expect, test } from "bun:test";
import { createLocalJWKSet, jwtVerify } from "jose";
import type { AssertionConfig } from "../../src/config/resolved.ts";
import { GateError } from "../../src/errors.ts";
import { createAssertions } from "../../src/identity/assertion.ts";
import {
  type AssertionKeyDependencies,
  openAssertionKeys,
} from "../../src/identity/assertion-keys.ts";
import { createKeyRing } from "../../src/login/seal.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Store } from "../../src/store/store.ts";
import type { Token } from "../../src/types.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { NOW, NOW_MS } from "./kit.ts";

const DAY_MS = 24 * 60 * 60_000;
const ISSUER = "https://gate.example";
const ring = createKeyRing(["a secret for this test alone"]);

const ROUTE: AssertionConfig = {
  header: "X-Claimgate-Assertion",
  audience: "orders",
  lifetimeMs: 60_000,
  claims: ["sub", "roles", "nowhere"],
};

const tokenOf = (more: Partial<Token> = {}): Token => ({
  issuer: "https://issuer.example",
  issuerName: "main",
  subject: "alice",
  audience: ["api"],
  expiresAt: NOW + 3_600,
  scopes: [],
  claims: {
    sub: "alice",
    roles: ["staff"],
    secret: "not asked for",
    iss: "https://issuer.example",
  },
  ...more,
});

type Clock = { nowMs: number };

async function openStore(clock: Clock): Promise<Store & AsyncDisposable> {
  const folder = await tempFolder();
  const store = await openSqliteStore(`${folder.path}/claimgate.db`, { now: () => clock.nowMs });
  return {
    ...store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** One gate: what it has in memory, on a store that others share. */
function openGate(clock: Clock, store: AssertionKeyDependencies["store"], by = ring) {
  const warnings: string[] = [];
  const keys = openAssertionKeys({
    store,
    seal: (content) => by.seal("assertion", content),
    open: (text) => by.open("assertion", text),
    now: () => clock.nowMs,
    warn: (message) => warnings.push(message),
  });
  const assertions = createAssertions(keys, () => ISSUER);
  return { keys, assertions, warnings, [Symbol.dispose]: () => assertions.close() };
}

type Gate = ReturnType<typeof openGate>;

async function check(jwt: string, gate: Gate, nowMs: number) {
  const keys = createLocalJWKSet({ keys: [...(await gate.assertions.keys())] });
  const currentDate = new Date(nowMs);
  return jwtVerify(jwt, keys, { issuer: ISSUER, audience: "orders", currentDate });
}

const kidsOf = async ({ assertions }: Gate) => (await assertions.keys()).map(({ kid }) => kid);

describe("an assertion", () => {
  test("says who it is, for whom and until when, and no more than was asked for", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    using gate = openGate(clock, store);
    const jwt = await gate.assertions.assert(ROUTE, tokenOf(), NOW_MS);
    const { payload, protectedHeader } = await check(jwt, gate, NOW_MS);
    expect(payload).toEqual({
      iss: ISSUER,
      aud: "orders",
      sub: "alice",
      idp: "https://issuer.example",
      roles: ["staff"],
      iat: NOW,
      exp: NOW + 60,
    });
    const [kid] = await kidsOf(gate);
    expect(protectedHeader).toEqual({ alg: "ES256", typ: "JWT", ...(kid && { kid }) });
  });

  test("ends with its token, but is never good for less than ten seconds", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    using gate = openGate(clock, store);
    for (const [left, lifetime] of [
      [30, 30],
      [1, 10],
      [-20, 10],
    ] as const) {
      const token = tokenOf({ expiresAt: NOW + left });
      const jwt = await gate.assertions.assert(ROUTE, token, NOW_MS);
      expect((await check(jwt, gate, NOW_MS)).payload.exp).toBe(NOW + lifetime);
    }
  });

  test("is kept for its token and route, at once, until half of its life is over", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    using gate = openGate(clock, store);
    const token = tokenOf();
    const ask = (config: AssertionConfig, atMs: number) =>
      gate.assertions.assert(config, token, atMs);
    const first = await ask(ROUTE, NOW_MS);
    expect(ask(ROUTE, NOW_MS + 29_999)).toBe(first);
    expect(await ask({ ...ROUTE }, NOW_MS)).not.toBe(first);
    expect(await gate.assertions.assert(ROUTE, tokenOf({ subject: "bob" }), NOW_MS)).not.toBe(
      first,
    );
    const next = await ask(ROUTE, NOW_MS + 30_000);
    expect((await check(next, gate, NOW_MS)).payload.exp).toBe(NOW + 90);
    // A clock that is set back.
    expect(ask(ROUTE, NOW_MS)).toBeInstanceOf(Promise);
  });

  test("is signed once for requests that come together", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    using gate = openGate(clock, store);
    const token = tokenOf();
    const all = Array.from({ length: 20 }, () => gate.assertions.assert(ROUTE, token, NOW_MS));
    expect(new Set(await Promise.all(all)).size).toBe(1);
  });
});

describe("the keys", () => {
  test("have no private part where they are published, and lie sealed in the store", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    using gate = openGate(clock, store);
    const [key] = await gate.assertions.keys();
    expect(Object.keys(key ?? {}).sort()).toEqual("alg crv kid kty use x y".split(" "));
    const text = await store.get("assertion-keys");
    expect(text?.split(".")).toHaveLength(5);
    expect(text).not.toContain(key?.x ?? "");
  });

  test("are the same for all gates of a store, also for those that start at once", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    const gates = Array.from({ length: 8 }, () => openGate(clock, store));
    const kids = await Promise.all(gates.map(kidsOf));
    expect(new Set(kids.flat()).size).toBe(1);
    for (const gate of gates) gate.assertions.close();
  });

  test("change after thirty days: published first, then signing, the old one a day longer", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    using first = openGate(clock, store);
    const [old = ""] = await kidsOf(first);

    clock.nowMs += 30 * DAY_MS;
    using second = openGate(clock, store);
    const both = await kidsOf(second);
    expect(both).toEqual([old, expect.any(String)]);
    const signer = (gate: Gate) => gate.keys.signer(clock.nowMs)?.kid;
    expect(signer(second)).toBe(old);
    clock.nowMs += 15 * 60_000;
    expect(signer(second)).toBe(both[1]);

    clock.nowMs += DAY_MS - 1;
    using third = openGate(clock, store);
    expect(await kidsOf(third)).toEqual(both);
    clock.nowMs += 1;
    using fourth = openGate(clock, store);
    expect(await kidsOf(fourth)).toEqual(both.slice(1));
  });

  test("are made anew, and that is said, where no secret opens them any more", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    using before = openGate(clock, store);
    const old = await kidsOf(before);
    using after = openGate(clock, store, createKeyRing(["another secret"]));
    expect(await kidsOf(after)).not.toEqual(old);
    expect(after.warnings.join()).toContain("session.secret");
    using both = openGate(clock, store, createKeyRing(["a third", "another secret"]));
    expect(await kidsOf(both)).toEqual(await kidsOf(after));
  });

  test("cannot be had while the store is down, and come when it is back", async () => {
    const clock = { nowMs: NOW_MS };
    await using store = await openStore(clock);
    let isDown = true;
    let asked = 0;
    using gate = openGate(clock, {
      ...store,
      async get(key) {
        asked++;
        if (isDown) throw new GateError("store_unavailable", "down");
        return store.get(key);
      },
    });
    const ask = async () => gate.assertions.assert(ROUTE, tokenOf(), NOW_MS);
    await expect(ask()).rejects.toMatchObject({ code: "store_unavailable" });
    await expect(ask()).rejects.toMatchObject({ code: "store_unavailable" });
    expect(asked).toBe(1);
    isDown = false;
    clock.nowMs += 1_000;
    expect((await ask()).split(".")).toHaveLength(3);
  });
});
