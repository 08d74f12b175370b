import { describe, expect, test } from "bun:test";
import { findLint, findTokens, type Known } from "../../src/admin/token-lists.ts";
import type { Revocation, Sighting, SightingQuery } from "../../src/store/store.ts";

const NOW = Date.UTC(2026, 0, 5, 10);

const sighting = (count: number): Sighting => ({
  id: `id-${count}`,
  kind: "token",
  issuer: "https://id.acme.dev",
  subject: `user-${count}`,
  jti: `jti-${count}`,
  issuedAtMs: NOW - 60_000,
  expiresAtMs: NOW + 60_000,
  firstMs: NOW - 1_000,
  lastMs: NOW,
  requests: 1,
  denials: 0,
  deniedInRow: 0,
  minute: 0,
  minuteRequests: 1,
  busiestMinute: 0,
  addresses: [],
  devices: [],
  routes: [],
  lint: count % 2 === 0 ? ["jti_missing"] : [],
  unusual: [],
});

const revoked = (count: number): Revocation => ({
  kind: "jti",
  issuer: "https://id.acme.dev",
  value: `jti-${count}`,
  reason: "",
  author: "cli",
  atMs: NOW,
  untilMs: NOW + 60_000,
});

/** As many tokens as that, of which the first are revoked. */
function known(all: number, revocations: number, mostLookedAt = 1_000) {
  const asked: SightingQuery[] = [];
  const told: Known = {
    async sightings(query) {
      asked.push(query);
      return Array.from({ length: Math.min(all, query.limit) }, (_, count) => sighting(count));
    },
    revocations: async () => Array.from({ length: revocations }, (_, count) => revoked(count)),
    issuers: [],
    nowMs: NOW,
    mostLookedAt,
  };
  return { asked, told };
}

describe("findTokens()", () => {
  test("looks at one more than it shows, to tell whether there are more", async () => {
    const { asked, told } = known(50, 0);
    const found = await findTokens(told, { limit: 10 });
    expect([found.tokens.length, found.more]).toEqual([10, true]);
    expect(asked.map(({ limit }) => limit)).toEqual([11]);
    expect(await findTokens(told, { limit: 50 })).toMatchObject({ more: false });
  });

  test("looks further when what it finds is revoked", async () => {
    const { asked, told } = known(200, 100);
    const found = await findTokens(told, { active: true, limit: 10 });
    expect(found.tokens.map(({ id }) => id)).toEqual(
      Array.from({ length: 10 }, (_, count) => `id-${100 + count}`),
    );
    expect(found.more).toBe(true);
    expect(asked.map(({ limit }) => limit)).toEqual([11, 44, 176]);
  });

  test("and not without end", async () => {
    const { asked, told } = known(5_000, 5_000, 300);
    const found = await findTokens(told, { active: true, limit: 10 });
    expect(found).toEqual({ tokens: [], more: true });
    expect(asked.at(-1)?.limit).toBe(300);
  });

  test("ends where there are no more", async () => {
    const { told } = known(30, 25);
    const found = await findTokens(told, { active: true, limit: 10 });
    expect([found.tokens.length, found.more]).toEqual([5, false]);
  });

  test("sifts what is both unusual and unhealthy", async () => {
    const { asked, told } = known(10, 0);
    const found = await findTokens(told, { unusual: true, lint: true, limit: 10 });
    expect(found.tokens.map(({ id }) => id)).toEqual(["id-0", "id-2", "id-4", "id-6", "id-8"]);
    expect(asked.at(-1)).toMatchObject({ having: "unusual" });
  });
});

test("findLint() looks at a bounded number of tokens", async () => {
  const { asked, told } = known(5_000, 0, 300);
  const found = await findLint(told, { limit: 1 });
  expect([found.lint.length, found.tokens]).toEqual([1, 300]);
  expect(asked).toEqual([{ having: "lint", limit: 300 }]);
});
