import { describe, expect, test } from "bun:test";
import { canonicalType, checkHeader } from "../../src/identity/header-rules.ts";
import { configOf } from "./kit.ts";

const check = (header: unknown, more = {}) =>
  checkHeader(JSON.parse(JSON.stringify(header)), configOf(more));

describe("checkHeader()", () => {
  test("tells what selects the key", () => {
    expect(check({ alg: "RS256", kid: "a", typ: "JWT", cty: "x" })).toEqual({
      ok: true,
      value: { algorithm: "RS256", kid: "a" },
    });
    expect(check({ alg: "ES512" })).toEqual({
      ok: true,
      value: { algorithm: "ES512", kid: undefined },
    });
  });

  test("EdDSA and Ed25519 are one, in the token and in the configuration", () => {
    const value = { algorithm: "EdDSA", kid: undefined };
    for (const alg of ["EdDSA", "Ed25519"]) {
      for (const allowed of ["EdDSA", "Ed25519"]) {
        expect(check({ alg }, { algorithms: [allowed] })).toEqual({ ok: true, value });
      }
    }
  });

  test.each("jwk jku x5u x5c crit b64 zip".split(" "))("refuses %s by its presence", (name) => {
    for (const value of [null, "", "x", [], {}, true, false, "DEF"]) {
      expect(check({ alg: "RS256", [name]: value })).toEqual({
        ok: false,
        error: "header_member_refused",
      });
    }
  });

  test.each([
    ["none"],
    ["None"],
    ["NONE"],
    [""],
    ["HS256"],
    ["HS384"],
    ["HS512"],
    ["rs256"],
    ["RS256 "],
    ["RS1"],
    ["ES256K"],
    ["ES521"],
    ["RSA-OAEP-256"],
    ["dir"],
    ["__proto__"],
    ["constructor"],
    ["ML-DSA-44"],
    [null],
    [1],
    [["RS256"]],
    [{ toString: "RS256" }],
  ])("refuses alg %p", (alg) => {
    expect(check({ alg })).toEqual({ ok: false, error: "algorithm_refused" });
  });

  test("refuses a header without alg, and an alg that the issuer may not use", () => {
    expect(check({})).toEqual({ ok: false, error: "algorithm_refused" });
    expect(check({ alg: "RS256" }, { algorithms: ["ES256"] })).toEqual({
      ok: false,
      error: "algorithm_refused",
    });
    // A mistake elsewhere does not open the door.
    expect(check({ alg: "HS256" }, { algorithms: ["HS256", "none"] }).ok).toBe(false);
    expect(check({ alg: "none" }, { algorithms: ["HS256", "none"] }).ok).toBe(false);
  });

  test.each([[1], [null], [["a"]], [{}], [true]])("refuses kid %p", (kid) => {
    expect(check({ alg: "RS256", kid })).toEqual({ ok: false, error: "kid_refused" });
  });

  test.each(["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "APPLICATION/JWT"])(
    "takes typ %s where no tokenTypes are written",
    (typ) => {
      expect(check({ alg: "RS256", typ }).ok).toBe(true);
    },
  );

  test.each([
    [""],
    [null],
    [1],
    [["JWT"]],
    ["JOSE"],
    ["logout+jwt"],
    ["secevent+jwt"],
    ["dpop+jwt"],
    ["application/"],
    ["application/application/jwt"],
    [" JWT"],
    ["JWT\u0000"],
    ["text/jwt"],
  ])("refuses typ %p", (typ) => {
    expect(check({ alg: "RS256", typ })).toEqual({ ok: false, error: "type_refused" });
  });

  test("with tokenTypes only these, and an absent typ is refused", () => {
    const tokenTypes = ["at+jwt"];
    expect(check({ alg: "RS256", typ: "application/AT+jwt" }, { tokenTypes }).ok).toBe(true);
    for (const header of [
      { alg: "RS256" },
      { alg: "RS256", typ: "JWT" },
      { alg: "RS256", typ: "" },
    ]) {
      expect(check(header, { tokenTypes })).toEqual({ ok: false, error: "type_refused" });
    }
  });
});

describe("canonicalType()", () => {
  test("does not fold letters beyond ASCII", () => {
    expect(canonicalType("to\u212aen")).toBeUndefined();
  });
});
