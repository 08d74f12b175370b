import { describe, expect, test } from "bun:test";
import { checkClaims, checkTimes } from "../../src/identity/claim-rules.ts";
import { configOf, NOW, payloadOf } from "./kit.ts";

const check = (more: Record<string, unknown>) => checkClaims(payloadOf(more), configOf());

describe("checkClaims()", () => {
  test("reads the standard claims", () => {
    expect(check({ aud: ["other", "api"], jti: "1", nbf: NOW })).toEqual({
      ok: true,
      value: {
        subject: "alice",
        id: "1",
        audience: ["other", "api"],
        times: { expiresAt: NOW + 300, notBefore: NOW, issuedAt: NOW },
      },
    });
  });

  test.each([
    [undefined],
    [null],
    [1],
    [{}],
    [{ 0: "api" }],
    [["api", 1]],
    [["api", null]],
    [[["api"]]],
    [true],
  ])("refuses aud %p", (aud) => {
    const payload = JSON.parse(JSON.stringify(payloadOf({ aud })));
    expect(checkClaims(payload, configOf())).toEqual({ ok: false, error: "audience_refused" });
  });

  test.each([["other"], ["API"], ["api "], [""], [[]], [["other"]], ["api,other"]])(
    "finds no audience of ours in %p",
    (aud) => {
      expect(check({ aud })).toEqual({ ok: false, error: "audience_mismatch" });
    },
  );

  test("one of several audiences is enough", () => {
    expect(checkClaims(payloadOf({ aud: "b" }), configOf({ audiences: ["a", "b"] })).ok).toBe(true);
  });

  test.each([[1], [null], [["alice"]], [{}], [true], ["\ud800"]])(
    "refuses sub and jti %p",
    (value) => {
      expect(check({ sub: value })).toEqual({ ok: false, error: "subject_refused" });
      expect(check({ jti: value })).toEqual({ ok: false, error: "id_refused" });
    },
  );

  test("sub and jti may be absent here", () => {
    const { sub: _, ...payload } = payloadOf();
    expect(checkClaims(payload, configOf()).ok).toBe(true);
  });

  test.each(["exp", "nbf", "iat"])("%s must be a finite number", (name) => {
    for (const value of [
      null,
      String(NOW + 300),
      "",
      [NOW],
      {},
      true,
      JSON.parse("1e999"),
      JSON.parse("-1e999"),
    ]) {
      expect(check({ [name]: value })).toEqual({ ok: false, error: "time_refused" });
    }
  });

  test("exp must be there", () => {
    const { exp: _, ...payload } = payloadOf();
    expect(checkClaims(payload, configOf())).toEqual({ ok: false, error: "time_refused" });
  });
});

describe("checkTimes()", () => {
  const rules = configOf({ clockToleranceSeconds: 30, maxLifetimeSeconds: 3_600 });
  const at = (times: { exp?: number; nbf?: number; iat?: number }, now = NOW) =>
    checkTimes(
      { expiresAt: times.exp ?? NOW + 300, notBefore: times.nbf, issuedAt: times.iat },
      rules,
      now,
    );

  test.each([
    ["good", {}, undefined],
    ["expiring within the tolerance", { exp: NOW - 29.9 }, undefined],
    ["expired by the whole tolerance", { exp: NOW - 30 }, "token_expired"],
    ["expired long ago", { exp: -1e300 }, "token_expired"],
    ["issued within the tolerance ahead", { iat: NOW + 30 }, undefined],
    ["issued further ahead", { iat: NOW + 30.1 }, "issued_in_future"],
    ["valid within the tolerance ahead", { nbf: NOW + 30 }, undefined],
    ["valid further ahead", { nbf: NOW + 30.1 }, "not_yet_valid"],
    ["living as long as it may", { iat: NOW, exp: NOW + 3_600 }, undefined],
    ["living a second longer", { iat: NOW, exp: NOW + 3_601 }, "lifetime_exceeded"],
    ["issued long ago, ending soon", { iat: NOW - 7_000, exp: NOW + 10 }, "lifetime_exceeded"],
    ["without iat, as long as it may with the tolerance", { exp: NOW + 3_630 }, undefined],
    ["without iat, longer", { exp: NOW + 3_631 }, "lifetime_exceeded"],
    ["endless", { exp: 1e300 }, "lifetime_exceeded"],
    ["issued at the beginning of time", { iat: -1e308, exp: 1e308 }, "lifetime_exceeded"],
    ["expired and too long-lived", { iat: NOW - 9_000, exp: NOW - 100 }, "lifetime_exceeded"],
    ["expired and not yet valid", { nbf: NOW + 100, exp: NOW - 100 }, "not_yet_valid"],
  ] as const)("%s", (_, times, expected) => {
    expect(at(times)).toBe(expected);
  });
});
