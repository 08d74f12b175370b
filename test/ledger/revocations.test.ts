import { describe, expect, test } from "bun:test";
import { openRevocations } from "../../src/ledger/revocations.ts";
import { ISSUER, NOW, NOW_MS, revoked, storesForTests, tokenOf, until } from "./kit.ts";

describe("check()", () => {
  test("finds a token by issuer and jti, and no other", async () => {
    await using parts = await storesForTests();
    const revocations = await openRevocations(parts.deps(await parts.openStore()));
    const token = tokenOf();
    expect(revocations.check(token)).toBeUndefined();
    void revocations.revoke(revoked({ reason: "lost" }));
    expect(revocations.check(token)).toMatchObject({ kind: "jti", reason: "lost" });
    expect(revocations.check(tokenOf({ id: "t2" }))).toBeUndefined();
    expect(revocations.check(tokenOf({ issuer: "https://other.example" }))).toBeUndefined();
    const { id: _, ...without } = tokenOf();
    expect(revocations.check(without)).toBeUndefined();
    await revocations.close();
  });

  test("finds a token by its keyed hash", async () => {
    await using parts = await storesForTests();
    const revocations = await openRevocations(parts.deps(await parts.openStore()));
    const value = parts.tokenHash.ofDigest("d1");
    await revocations.revoke({
      kind: "token",
      value,
      reason: "",
      author: "cli",
      atMs: NOW_MS,
      untilMs: NOW_MS + 1,
    });
    expect(revocations.check(tokenOf())).toMatchObject({ kind: "token" });
    expect(revocations.check(tokenOf({ digest: "d2" }))).toBeUndefined();
    await revocations.close();
  });

  test.each([
    ["in an earlier second", { issuedAt: NOW - 1 }, true],
    ["in the same second", { issuedAt: NOW }, true],
    ["later within the same second", { issuedAt: NOW + 0.9 }, true],
    ["in the next second", { issuedAt: NOW + 1 }, false],
    ["at an unknown time", { issuedAt: undefined }, true],
  ] as const)("of a token issued %s", async (_, { issuedAt }, isRefused) => {
    await using parts = await storesForTests();
    const store = await parts.openStore();
    for (const kind of ["subject", "issuer"] as const) {
      const revocations = await openRevocations(parts.deps(store));
      const { issuedAt: _given, ...rest } = tokenOf({ id: "other" });
      const token = issuedAt === undefined ? rest : { ...rest, issuedAt };
      await revocations.revoke(revoked({ kind, value: kind === "subject" ? "alice" : "" }));
      expect(revocations.check(token) !== undefined).toBe(isRefused);
      expect(revocations.check({ ...token, issuer: "https://other.example" })).toBeUndefined();
      const bob = revocations.check({ ...token, subject: "bob" });
      expect(bob !== undefined).toBe(kind === "issuer" && isRefused);
      await revocations.unrevoke(kind, ISSUER, kind === "subject" ? "alice" : "");
      expect(revocations.check(token)).toBeUndefined();
      await revocations.close();
    }
  });

  test("a subject that is revoked again is cut off anew", async () => {
    await using parts = await storesForTests();
    const store = await parts.openStore();
    const revocations = await openRevocations(parts.deps(store));
    const token = tokenOf({ issuedAt: NOW + 100 });
    await revocations.revoke(revoked({ kind: "subject", value: "alice" }));
    expect(revocations.check(token)).toBeUndefined();
    await revocations.revoke(revoked({ kind: "subject", value: "alice", atMs: NOW_MS + 200_000 }));
    expect(revocations.check(token)).toBeDefined();
    // An older one that arrives late takes nothing back.
    await revocations.revoke(revoked({ kind: "subject", value: "alice" }));
    expect(revocations.check(token)).toBeDefined();
    expect(await store.revocations(NOW_MS)).toHaveLength(1);
    await revocations.close();
  });
});

async function openedForTests() {
  const parts = await storesForTests();
  const revocations = await openRevocations(parts.deps(await parts.openStore()));
  return {
    revocations,
    async [Symbol.asyncDispose]() {
      await revocations.close();
      await parts[Symbol.asyncDispose]();
    },
  };
}

describe("sessions and sign-outs", () => {
  const session = tokenOf({ session: "s".repeat(22), claims: { sid: "provider-1" } });
  const { issuer: _, ...ofSession } = revoked({ kind: "session", value: "s".repeat(22) });
  const bearer = tokenOf({ claims: { sid: "provider-1" } });

  test("a session is found by its public id, and no token by it", async () => {
    await using opened = await openedForTests();
    const { revocations } = opened;
    await revocations.revoke(ofSession);
    expect(revocations.check(session)).toMatchObject({ kind: "session" });
    expect(revocations.check({ ...session, session: "t".repeat(22) })).toBeUndefined();
    expect(revocations.check(bearer)).toBeUndefined();
  });

  test("a provider's sign-out ends its sessions, and marks bearer tokens", async () => {
    await using opened = await openedForTests();
    const { revocations } = opened;
    expect(revocations.signedOutAt(bearer)).toBeUndefined();
    await revocations.revoke(revoked({ kind: "logout", value: "sid:provider-1" }));
    expect(revocations.check(session)).toMatchObject({ kind: "logout" });
    expect(revocations.check(bearer)).toBeUndefined();
    expect(revocations.signedOutAt(bearer)).toBe(NOW_MS);
    const others = [
      { ...session, claims: { sid: "provider-2" } },
      { ...session, claims: {} },
      { ...session, claims: { sid: ["provider-1"] } },
      { ...session, issuer: "https://other.example" },
    ];
    for (const other of others) {
      expect(revocations.check(other)).toBeUndefined();
      expect(revocations.signedOutAt(other)).toBeUndefined();
    }
  });

  test("a subject's sign-out ends what began before, and nothing after", async () => {
    await using opened = await openedForTests();
    const { revocations } = opened;
    await revocations.revoke(revoked({ kind: "logout", value: "sub:alice" }));
    expect(revocations.check(session)).toMatchObject({ kind: "logout" });
    expect(revocations.check(bearer)).toBeUndefined();
    expect(revocations.signedOutAt(bearer)).toBe(NOW_MS);
    const after = { ...session, issuedAt: NOW + 1 };
    expect(revocations.check(after)).toBeUndefined();
    expect(revocations.signedOutAt(after)).toBeUndefined();
    expect(revocations.check({ ...session, subject: "bob" })).toBeUndefined();
    expect(revocations.check({ ...session, subject: "" })).toBeUndefined();
  });

  test("of two sign-outs the later is told", async () => {
    await using opened = await openedForTests();
    const { revocations } = opened;
    await revocations.revoke(revoked({ kind: "logout", value: "sub:alice", atMs: NOW_MS + 9 }));
    await revocations.revoke(revoked({ kind: "logout", value: "sid:provider-1" }));
    expect(revocations.signedOutAt(bearer)).toBe(NOW_MS + 9);
  });
});

describe("another process", () => {
  test("has a revocation in force, and taken back, soon", async () => {
    await using parts = await storesForTests();
    const here = await openRevocations(parts.deps(await parts.openStore()));
    const there = await openRevocations(parts.deps(await parts.openStore()));
    const token = tokenOf();
    await here.revoke(revoked({ value: "other" }));
    expect([here.check(token), there.check(token)]).toEqual([undefined, undefined]);
    await here.revoke(revoked());
    await until(() => there.check(token) !== undefined);
    await there.unrevoke("jti", ISSUER, "t1");
    expect(there.check(token)).toBeUndefined();
    await until(() => here.check(token) === undefined);
    await Promise.all([here.close(), there.close()]);
  });

  test("notices without being told", async () => {
    await using parts = await storesForTests();
    const store = { ...(await parts.openStore()), onRevocation() {} };
    const there = await openRevocations(parts.deps(store));
    await (await parts.openStore()).revoke(revoked());
    await until(() => there.check(tokenOf()) !== undefined);
    await there.close();
  });

  test("notices what no revision told of, at the next full look", async () => {
    await using parts = await storesForTests();
    const real = await parts.openStore();
    let asked = 0;
    const revision = async () => {
      asked += 1;
      return "epoch.1";
    };
    const there = await openRevocations(parts.deps({ ...real, onRevocation() {}, revision }));
    await real.revoke(revoked());
    const before = asked;
    await until(() => asked >= before + 2);
    expect(there.check(tokenOf())).toBeUndefined();
    parts.clock.uptimeMs += 30_000;
    await until(() => there.check(tokenOf()) !== undefined);
    await there.close();
  });

  test("finds everything after a restart, but for what has expired", async () => {
    await using parts = await storesForTests();
    const first = await openRevocations(parts.deps(await parts.openStore()));
    await first.revoke(revoked());
    await first.revoke(revoked({ value: "short", untilMs: NOW_MS + 10 }));
    await first.close();
    parts.clock.nowMs += 20;
    const second = await openRevocations(parts.deps(await parts.openStore()));
    expect(second.list().map(({ value }) => value)).toEqual(["t1"]);
    expect(second.state()).toEqual({ fresh: true, syncedAtMs: NOW_MS + 20 });
    await second.close();
  });

  test("a clock that is set back puts in force again what was forgotten", async () => {
    await using parts = await storesForTests();
    const revocations = await openRevocations(parts.deps(await parts.openStore()));
    await revocations.revoke(revoked());
    parts.clock.nowMs += 2 * 3_600_000;
    parts.clock.uptimeMs += 30_000;
    await until(() => revocations.check(tokenOf()) === undefined);
    parts.clock.nowMs -= 2 * 3_600_000;
    await until(() => revocations.check(tokenOf()) !== undefined);
    await revocations.close();
  });
});

describe("a store that is lost", () => {
  test("leaves in force what is known, and makes it stale in time", async () => {
    await using parts = await storesForTests();
    const { state, store } = parts.seen(await parts.openStore());
    const revocations = await openRevocations(parts.deps(store));
    await revocations.revoke(revoked());
    state.current = undefined;
    await until(() => state.refused > 1);
    expect(revocations.check(tokenOf())).toBeDefined();
    parts.clock.uptimeMs += 30_000;
    expect(revocations.state().fresh).toBe(true);
    parts.clock.uptimeMs += 1;
    expect(revocations.state()).toEqual({ fresh: false, syncedAtMs: NOW_MS });
    await revocations.close();
    expect(parts.events.filter(({ event }) => event === "store_lost")).toHaveLength(1);
  });

  test("has what was revoked meanwhile as soon as it is back", async () => {
    await using parts = await storesForTests();
    const real = await parts.openStore();
    const { state, store } = parts.seen(real);
    const revocations = await openRevocations(parts.deps(store));
    state.current = undefined;
    const revoking = revocations.revoke(revoked());
    expect(revocations.check(tokenOf())).toBeDefined();
    expect(revoking).rejects.toMatchObject({ code: "store_unavailable" });
    await revoking.catch(() => {});
    await until(() => parts.events.some(({ event }) => event === "store_lost"));
    state.current = real;
    await until(async () => (await real.revocations(NOW_MS)).length === 1);
    await until(() => parts.events.some(({ event }) => event === "store_back"));
    expect(revocations.check(tokenOf())).toBeDefined();
    await revocations.close();
  });

  test("never gets what was taken back before it was stored", async () => {
    await using parts = await storesForTests();
    const real = await parts.openStore();
    const { state, store } = parts.seen(real);
    const revocations = await openRevocations(parts.deps(store));
    state.current = undefined;
    await revocations.revoke(revoked()).catch(() => {});
    state.current = real;
    expect(await revocations.unrevoke("jti", ISSUER, "t1")).toBe(true);
    await revocations.revoke(revoked({ value: "t2" }));
    await until(() => revocations.state().fresh && revocations.list().length === 1);
    parts.clock.nowMs += 5;
    await until(() => revocations.state().syncedAtMs === NOW_MS + 5);
    expect(revocations.check(tokenOf())).toBeUndefined();
    expect((await real.revocations(NOW_MS)).map(({ value }) => value)).toEqual(["t2"]);
    await revocations.close();
  });

  test("gets at the end what it could not take before", async () => {
    await using parts = await storesForTests();
    const real = await parts.openStore();
    const { state, store } = parts.seen(real);
    const revocations = await openRevocations(parts.deps(store));
    // Else the look that is under way would store it.
    parts.clock.nowMs += 5;
    await until(() => revocations.state().syncedAtMs === NOW_MS + 5);
    await Bun.sleep(0);
    state.current = undefined;
    await revocations.revoke(revoked()).catch(() => {});
    const closing = revocations.close();
    state.current = real;
    await closing;
    expect(await real.revocations(NOW_MS)).toEqual([revoked()]);
    expect(parts.events.filter(({ event }) => event === "revocations_lost")).toEqual([]);
  });

  test("that is gone to the end loses revocations, which is told", async () => {
    await using parts = await storesForTests();
    const { state, store } = parts.seen(await parts.openStore());
    const revocations = await openRevocations(parts.deps(store));
    state.current = undefined;
    await revocations.revoke(revoked()).catch(() => {});
    await revocations.close();
    const lost = { level: "error", event: "revocations_lost", fields: { count: 1 } };
    expect(parts.events).toContainEqual(lost);
  });

  test("keeps what it could not take back", async () => {
    await using parts = await storesForTests();
    const { state, store } = parts.seen(await parts.openStore());
    const revocations = await openRevocations(parts.deps(store));
    await revocations.revoke(revoked());
    state.current = undefined;
    const unrevoking = revocations.unrevoke("jti", ISSUER, "t1");
    expect(unrevoking).rejects.toMatchObject({ code: "store_unavailable" });
    await unrevoking.catch(() => {});
    expect(revocations.check(tokenOf())).toBeDefined();
    await revocations.close();
  });

  test("at the start leaves the state stale until it answers", async () => {
    await using parts = await storesForTests();
    const real = await parts.openStore();
    await real.revoke(revoked());
    const { state, store } = parts.seen(real);
    state.current = undefined;
    const revocations = await openRevocations(parts.deps(store));
    expect(revocations.state()).toEqual({ fresh: false });
    state.current = real;
    await until(() => revocations.state().fresh);
    expect(revocations.check(tokenOf())).toBeDefined();
    await revocations.close();
  });

  test("and comes back empty gets back what is known, but for what has expired", async () => {
    await using parts = await storesForTests();
    const { state, store } = parts.seen(await parts.openStore());
    const revocations = await openRevocations(parts.deps(store));
    await revocations.revoke(revoked());
    await revocations.revoke(revoked({ kind: "subject", value: "bob" }));
    await revocations.revoke(revoked({ value: "short", untilMs: NOW_MS + 10 }));
    const empty = await parts.openStore("another.db");
    state.current = undefined;
    await until(() => state.refused > 0);
    parts.clock.nowMs += 20;
    state.current = empty;
    await until(async () => (await empty.revocations(0)).length > 0);
    await until(() => revocations.list().length === 2);
    expect(revocations.check(tokenOf())).toBeDefined();
    expect(revocations.check(tokenOf({ id: "x", subject: "bob" }))).toBeDefined();
    const values = (await empty.revocations(0)).map(({ value }) => value);
    expect(values.sort()).toEqual(["bob", "t1"]);
    const restored = parts.events.filter(({ event }) => event === "revocations_restored");
    expect(restored).toEqual([
      { level: "warn", event: "revocations_restored", fields: { count: 2 } },
    ]);
    await revocations.close();
  });

  test("what was unrevoked elsewhere is not put back for it", async () => {
    await using parts = await storesForTests();
    const real = await parts.openStore();
    const { state, store } = parts.seen(real);
    const revocations = await openRevocations(parts.deps(store));
    await revocations.revoke(revoked());
    await revocations.revoke(revoked({ value: "t2" }));
    state.current = undefined;
    await until(() => parts.events.some(({ event }) => event === "store_lost"));
    await real.unrevoke("jti", ISSUER, "t1");
    state.current = real;
    await until(() => revocations.check(tokenOf()) === undefined);
    expect(revocations.check(tokenOf({ id: "t2" }))).toBeDefined();
    await revocations.close();
    expect((await real.revocations(NOW_MS)).map(({ value }) => value)).toEqual(["t2"]);
  });
});

describe("a list that was read before a revocation", () => {
  test("does not undo it", async () => {
    await using parts = await storesForTests();
    const real = await parts.openStore();
    let reading: PromiseWithResolvers<void> | undefined;
    let isRead = false;
    const store = {
      ...real,
      onRevocation() {},
      async revocations(nowMs: number) {
        const list = await real.revocations(nowMs);
        isRead = true;
        await reading?.promise;
        return list;
      },
    };
    const revocations = await openRevocations(parts.deps(store));
    reading = Promise.withResolvers();
    isRead = false;
    parts.clock.uptimeMs += 30_000;
    await until(() => isRead);
    await revocations.revoke(revoked());
    reading.resolve();
    reading = undefined;
    const began = revocations.state().syncedAtMs ?? 0;
    parts.clock.nowMs += 5;
    await until(() => {
      expect(revocations.check(tokenOf())).toBeDefined();
      return (revocations.state().syncedAtMs ?? 0) > began;
    });
    expect(revocations.check(tokenOf())).toBeDefined();
    await revocations.close();
  });
});

test("a store that is full refuses tokens before subjects, and drops nothing", async () => {
  await using parts = await storesForTests();
  const real = await parts.openStore();
  const many = Array.from({ length: 100_000 }, (_, n) => revoked({ value: `many-${n}` }));
  const store = { ...real, revocations: async () => many, revision: async () => "full.1" };
  const revocations = await openRevocations(parts.deps(store));
  const full = revocations.revoke(revoked());
  expect(full).rejects.toMatchObject({ code: "revocations_full" });
  await full.catch(() => {});
  expect(revocations.check(tokenOf())).toBeUndefined();
  await revocations.revoke(revoked({ value: "many-7", reason: "again" }));
  await revocations.revoke(revoked({ kind: "subject", value: "alice" }));
  expect(revocations.check(tokenOf())).toMatchObject({ kind: "subject" });
  expect(revocations.list()).toHaveLength(100_001);
  await revocations.close();
});
