import { describe, expect, test } from "bun:test";
import { assertRoom, keyOf, revocationOf, type Target } from "../../src/ledger/revocation.ts";
import { ISSUER, NOW, NOW_MS } from "./kit.ts";

const HOUR = 3_600;
const main = { issuer: ISSUER, clockToleranceSeconds: 30, maxLifetimeSeconds: HOUR };
const strict = { issuer: ISSUER, clockToleranceSeconds: 5, maxLifetimeSeconds: 60 };
const long = {
  issuer: "https://long.example",
  clockToleranceSeconds: 90,
  maxLifetimeSeconds: 24 * HOUR,
};

const made = (target: Target) =>
  revocationOf(target, {
    issuers: [strict, main, long],
    reason: "lost",
    author: "cli",
    nowMs: NOW_MS,
    sessionLifetimeMs: 2 * HOUR * 1_000,
  });

describe("revocationOf()", () => {
  test("names what a store knows it by", () => {
    const common = { reason: "lost", author: "cli", atMs: NOW_MS, untilMs: expect.any(Number) };
    const jti = made({ kind: "jti", issuer: ISSUER, id: "t1" });
    expect(jti).toEqual({ kind: "jti", issuer: ISSUER, value: "t1", ...common });
    const subject = made({ kind: "subject", issuer: ISSUER, subject: "alice" });
    expect(subject).toEqual({ kind: "subject", issuer: ISSUER, value: "alice", ...common });
    const issuer = made({ kind: "issuer", issuer: ISSUER });
    expect(issuer).toEqual({ kind: "issuer", issuer: ISSUER, value: "", ...common });
    const token = made({ kind: "token", hash: "h" });
    expect(token).toEqual({ kind: "token", value: "h", ...common });
    const session = made({ kind: "session", id: "s" });
    expect(session).toEqual({ kind: "session", value: "s", ...common });
    const logout = made({ kind: "logout", issuer: ISSUER, sid: "s1" });
    expect(logout).toEqual({ kind: "logout", issuer: ISSUER, value: "sid:s1", ...common });
    const all = made({ kind: "logout", issuer: ISSUER, subject: "alice" });
    expect(all).toEqual({ kind: "logout", issuer: ISSUER, value: "sub:alice", ...common });
  });

  test.each([
    [
      "a token, by its expiry",
      { kind: "jti", issuer: ISSUER, id: "t1", expiresAt: NOW + 100 },
      130,
    ],
    ["a hash, by its expiry", { kind: "token", hash: "h", expiresAt: NOW + 100 }, 190],
  ] as const)(
    "lasts until %s, and as long as any configuration of the issuer tolerates",
    (_, target, seconds) => {
      expect(made(target).untilMs).toBe((NOW + seconds) * 1_000);
    },
  );

  test("ends in a whole millisecond, as stores want it, whatever fractions an issuer writes", () => {
    const expiresAt = NOW + 100.000_123_4;
    expect(made({ kind: "token", hash: "h", expiresAt }).untilMs).toBe((NOW + 190) * 1_000 + 1);
  });

  // What is accepted now expires by now + maxLifetime + tolerance, and is accepted for a tolerance more.
  test.each([
    ["of its issuer", { kind: "jti", issuer: ISSUER, id: "t1" }, HOUR + 60],
    [
      "of a session, for a subject",
      { kind: "subject", issuer: ISSUER, subject: "alice" },
      2 * HOUR + 30,
    ],
    ["of a session, for an issuer", { kind: "issuer", issuer: ISSUER }, 2 * HOUR + 30],
    [
      "of a session, for a provider's one",
      { kind: "logout", issuer: ISSUER, sid: "s1" },
      2 * HOUR + 30,
    ],
    [
      "of any token where that is longer",
      { kind: "subject", issuer: long.issuer, subject: "alice" },
      24 * HOUR + 180,
    ],
    ["of any issuer for a session", { kind: "session", id: "s" }, 24 * HOUR + 180],
    ["of any issuer for a hash", { kind: "token", hash: "h" }, 24 * HOUR + 180],
    [
      "whatever no number says",
      { kind: "token", hash: "h", expiresAt: Number.NaN },
      24 * HOUR + 180,
    ],
  ] as const)("lasts for the longest lifetime %s", (_, target, seconds) => {
    expect(made(target).untilMs).toBe(NOW_MS + seconds * 1_000);
  });

  test("lasts an hour for what has expired", () => {
    const { untilMs } = made({ kind: "token", hash: "h", expiresAt: NOW - 1_000 });
    expect(untilMs).toBe(NOW_MS + 3_600_000);
  });

  test("lasts ten years at the most", () => {
    const { untilMs } = made({ kind: "token", hash: "h", expiresAt: 1e15 });
    expect(untilMs).toBe(NOW_MS + 10 * 365 * 24 * HOUR * 1_000);
  });
});

test("keyOf() cannot be the same for two things", () => {
  expect(keyOf("jti", "a", "bc")).not.toBe(keyOf("jti", "ab", "c"));
  expect(keyOf("jti", "a", "b")).not.toBe(keyOf("subject", "a", "b"));
});

test("assertRoom() leaves room for subjects and issuers", () => {
  expect(() => assertRoom("jti", 99_999)).not.toThrow();
  expect(() => assertRoom("jti", 100_000)).toThrow("revocations are in force");
  expect(() => assertRoom("token", 100_000)).toThrow("revocations are in force");
  expect(() => assertRoom("subject", 109_999)).not.toThrow();
  expect(() => assertRoom("issuer", 110_000)).toThrow("revocations are in force");
});
