import { describe, expect, test } from "bun:test";
import * as sdk from "../../src/policy/sdk.ts";

const { allow, challenge, claimAt, definePolicy, deny, inRange, milliseconds } = sdk;

test("policies find these names and no others", () => {
  expect(Object.keys(sdk).sort()).toEqual(
    "Type allow cached challenge claimAt definePolicy deny inRange milliseconds".split(" "),
  );
});

describe("verdicts", () => {
  test("are plain data", () => {
    expect(allow()).toEqual({ verdict: "allow" });
    expect(allow({ headers: { "X-A": "1" } })).toEqual({
      verdict: "allow",
      headers: { "X-A": "1" },
    });
    const rateLimit = { limit: 5, per: "1m", by: { key: "exports" } };
    expect(allow({ rateLimit })).toEqual({ verdict: "allow", rateLimit });
    expect(allow({ headers: { "X-A": "1" }, rateLimit })).toEqual({
      verdict: "allow",
      headers: { "X-A": "1" },
      rateLimit,
    });
    expect(deny("no")).toEqual({ verdict: "deny", code: "no" });
    expect(deny("no", "why")).toEqual({ verdict: "deny", code: "no", detail: "why" });
    expect(deny("no", undefined, { revoke: "token" })).toEqual({
      verdict: "deny",
      code: "no",
      revoke: "token",
    });
    expect(challenge({ acr: "mfa", maxAge: 60 })).toEqual({
      verdict: "challenge",
      acr: "mfa",
      maxAge: 60,
    });
  });
});

describe("definePolicy()", () => {
  test("freezes what it is given", () => {
    const defined = definePolicy({ description: "x", evaluate: () => allow() });
    expect(Object.isFrozen(defined)).toBe(true);
  });
});

describe("inRange()", () => {
  test.each([
    ["10.1.2.3", ["10.0.0.0/8"], true],
    ["::ffff:10.1.2.3", ["10.0.0.0/8"], true],
    ["11.1.2.3", ["10.0.0.0/8"], false],
    ["11.1.2.3", ["10.0.0.0/8", "11.0.0.0/8"], true],
    ["2001:db8::1", ["2001:db8::/32"], true],
    ["10.1.2.3", [], false],
    ["unix", ["0.0.0.0/0", "::/0"], false],
    ["no address", ["0.0.0.0/0"], false],
  ])("%s in %p is %p", (ip, ranges, expected) => {
    expect(inRange(ip, ranges)).toBe(expected);
    expect(inRange(ip, ranges)).toBe(expected);
  });

  test("throws for what is no range", () => {
    expect(() => inRange("10.1.2.3", ["10.0.0.0/33"])).toThrow(RangeError);
  });
});

describe("claimAt()", () => {
  const claims = {
    plain: 1,
    "a.b": 2,
    a: { b: 3, c: { d: 4 } },
    "https://x.dev/groups": ["g"],
    none: null,
  };

  test.each([
    ["plain", 1],
    ["a.b", 2],
    ["a.c.d", 4],
    ["https://x.dev/groups", ["g"]],
    ["none", null],
    ["none.more", undefined],
    ["plain.more", undefined],
    ["a.x", undefined],
    ["", undefined],
    ["constructor", undefined],
    ["a.constructor", undefined],
    ["a.__proto__", undefined],
  ])("%s is %p", (path, expected) => {
    expect(claimAt(claims, path)).toEqual(expected);
  });
});

describe("milliseconds()", () => {
  test("reads what the configuration reads", () => {
    expect(milliseconds("1.5h")).toBe(5_400_000);
  });

  test.each(["", "15", "15 m", "-1s", "m"])("throws for %p", (text) => {
    expect(() => milliseconds(text)).toThrow(RangeError);
  });
});
