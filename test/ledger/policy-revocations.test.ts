import { describe, expect, test } from "bun:test";
import { createPolicyRevocations, type Wish } from "../../src/ledger/policy-revocations.ts";
import { openRevocations } from "../../src/ledger/revocations.ts";
import type { Token } from "../../src/types.ts";
import { type Event, ISSUER, NOW, NOW_MS, storesForTests, tokenOf, until } from "./kit.ts";

const issuers = [{ issuer: ISSUER, clockToleranceSeconds: 30, maxLifetimeSeconds: 3_600 }];

async function partsForTests() {
  const parts = await storesForTests();
  const store = await parts.openStore();
  const deps = parts.deps(store);
  const revocations = await openRevocations(deps);
  const policies = createPolicyRevocations({
    ...deps,
    tokenHash: parts.tokenHash,
    revocations,
    issuers: () => issuers,
    sessionLifetimeMs: () => 0,
  });
  const ask = (token: Token, revoke: Wish["revoke"] = "token", policy = "unusual") =>
    policies.apply({ policy, revoke, code: "stolen", token, requestId: "r1" });
  return {
    ...parts,
    store,
    revocations,
    ask,
    async [Symbol.asyncDispose]() {
      await revocations.close();
      await parts[Symbol.asyncDispose]();
    },
  };
}

const named = (events: readonly Event[], name: string) =>
  events.filter(({ event }) => event === name);

describe("a policy's wish", () => {
  test("for a token with jti is in force at once, and stored", async () => {
    await using parts = await partsForTests();
    const token = tokenOf();
    expect(parts.ask(token)).toEqual([
      {
        kind: "jti",
        issuer: ISSUER,
        value: "t1",
        reason: "stolen",
        author: "policy unusual",
        atMs: NOW_MS,
        untilMs: (NOW + 3_630) * 1_000,
      },
    ]);
    expect(parts.revocations.check(token)).toBeDefined();
    await until(() => named(parts.events, "policy_revocation").length === 1);
    expect(await parts.store.revocations(NOW_MS)).toHaveLength(1);
  });

  test.each([[undefined], [""], ["x".repeat(1_025)]])(
    "for a token with jti %p goes by its hash",
    async (id) => {
      await using parts = await partsForTests();
      const { id: _, ...rest } = tokenOf();
      const token = id === undefined ? rest : { ...rest, id };
      expect(parts.ask(token)).toMatchObject([
        { kind: "token", value: parts.tokenHash.ofDigest("d1") },
      ]);
      expect(parts.revocations.check(token)).toBeDefined();
      expect(parts.revocations.check({ ...token, digest: "d2" })).toBeUndefined();
    },
  );

  test("for a session revokes a bearer token: it has no other", async () => {
    await using parts = await partsForTests();
    expect(parts.ask(tokenOf(), "session")).toMatchObject([{ kind: "jti" }]);
  });

  test.each(["token", "session"] as const)(
    "for a %s revokes the session, if it is one",
    async (revoke) => {
      await using parts = await partsForTests();
      const session = tokenOf({ session: "s".repeat(22) });
      const [made, ...rest] = parts.ask(session, revoke);
      expect(rest).toEqual([]);
      expect(made).toMatchObject({ kind: "session", value: "s".repeat(22) });
      expect(made).not.toHaveProperty("issuer");
      // Its claims are renewed, and with them the token's own id.
      expect(parts.revocations.check({ ...session, id: "t2", digest: "d2" })).toBeDefined();
      expect(parts.revocations.check(tokenOf())).toBeUndefined();
    },
  );

  test("for a subject revokes all that it was given", async () => {
    await using parts = await partsForTests();
    expect(parts.ask(tokenOf(), "subject")).toMatchObject([{ kind: "subject", value: "alice" }]);
    expect(parts.revocations.check(tokenOf({ id: "t2" }))).toBeDefined();
    expect(parts.revocations.check(tokenOf({ id: "t3", issuedAt: NOW + 1 }))).toBeUndefined();
  });

  test("for a subject also revokes a token that is issued ahead of our clock", async () => {
    await using parts = await partsForTests();
    const token = tokenOf({ issuedAt: NOW + 20 });
    expect(parts.ask(token, "subject")).toMatchObject([{ kind: "subject" }, { kind: "jti" }]);
    expect(parts.revocations.check(token)).toBeDefined();
  });

  test("for the subject of a token without one revokes that token, not all who have none", async () => {
    await using parts = await partsForTests();
    expect(parts.ask(tokenOf({ subject: "" }), "subject")).toMatchObject([{ kind: "jti" }]);
    expect(parts.revocations.check(tokenOf({ subject: "", id: "t2" }))).toBeUndefined();
  });

  test("for what is revoked already counts for nothing", async () => {
    await using parts = await partsForTests();
    parts.ask(tokenOf(), "subject");
    for (let n = 0; n < 50; n++) expect(parts.ask(tokenOf(), "subject")).toEqual([]);
    expect(parts.ask(tokenOf({ subject: "bob", id: "t2" }), "subject")).toHaveLength(1);
    expect(named(parts.events, "policy_revocations_limited")).toEqual([]);
  });

  test("for a subject whose token alone is revoked counts", async () => {
    await using parts = await partsForTests();
    parts.ask(tokenOf());
    expect(parts.ask(tokenOf(), "subject")).toMatchObject([{ kind: "subject" }]);
  });

  test("beyond ten a minute does nothing and is told, for this policy alone", async () => {
    await using parts = await partsForTests();
    const token = (n: number) => tokenOf({ id: `t${n}` });
    for (let n = 0; n < 10; n++) expect(parts.ask(token(n))).toHaveLength(1);
    for (let n = 10; n < 15; n++) {
      expect(parts.ask(token(n))).toEqual([]);
      expect(parts.revocations.check(token(n))).toBeUndefined();
    }
    expect(parts.ask(token(20), "token", "other")).toHaveLength(1);
    const told = () => named(parts.events, "policy_revocations_limited");
    const fields = (refused: number) => ({ policy: "unusual", refused });
    expect(told()).toEqual([
      { level: "error", event: "policy_revocations_limited", fields: fields(1) },
    ]);
    parts.clock.uptimeMs += 60_000;
    for (let n = 30; n < 40; n++) expect(parts.ask(token(n))).toHaveLength(1);
    expect(parts.ask(token(40))).toEqual([]);
    expect(told().at(-1)?.fields).toEqual(fields(5));
  });

  test("for a token that was made up does nothing", async () => {
    await using parts = await partsForTests();
    const { id: _, digest: _digest, ...token } = tokenOf();
    expect(parts.ask(token)).toEqual([]);
  });

  test("that cannot be stored is in force all the same, and told", async () => {
    await using parts = await partsForTests();
    await parts.store.close();
    expect(parts.ask(tokenOf())).toHaveLength(1);
    expect(parts.revocations.check(tokenOf())).toBeDefined();
    await until(() => named(parts.events, "policy_revocation_failed").length === 1);
  });
});
