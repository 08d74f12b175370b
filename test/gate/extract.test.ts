import { describe, expect, test } from "bun:test";
import type { CredentialPlace } from "../../src/config/resolved.ts";
import { extractCredential, extractSession } from "../../src/gate/extract.ts";
import type { Inquiry } from "../../src/types.ts";

const AUTHORIZATION: CredentialPlace = { kind: "authorization" };

function extract(
  given: { headers?: Record<string, string> | [string, string][]; query?: string },
  ...places: CredentialPlace[]
) {
  const inquiry = { headers: new Headers(given.headers), query: given.query ?? "" } as Inquiry;
  const found = extractCredential(inquiry, places.length === 0 ? [AUTHORIZATION] : places);
  return found.ok ? found.value : found.error.code;
}

describe("extractCredential() from Authorization", () => {
  test.each([
    ["Bearer abc.def.ghi", "abc.def.ghi"],
    ["bearer abc", "abc"],
    ["BEARER    abc", "abc"],
    ["Bearer a-b_c~d+e/f.==", "a-b_c~d+e/f.=="],
    ["Basic dXNlcjpwYXNz", "token_missing"],
    ['Digest username="a", realm="b"', "token_missing"],
    ["Bearerabc", "token_missing"],
    ["Bearer", "token_invalid"],
    ["Bearer ", "token_invalid"],
    ["Bearer a b", "token_invalid"],
    ["Bearer a\tb", "token_invalid"],
    ["Bearer\tabc", "token_missing"],
    ["Bearer abc,def", "token_invalid"],
    ["Bearer =abc", "token_invalid"],
    ['Bearer "abc"', "token_invalid"],
    ["Bearer abc\u00e9", "token_invalid"],
  ])("%j gives %s", (value, expected) => {
    expect(extract({ headers: { authorization: value } })).toBe(expected);
  });

  test("nothing is token_missing", () => {
    expect(extract({})).toBe("token_missing");
  });

  test.each([
    ["Bearer a", "Bearer b"],
    ["Bearer a", "Basic b"],
    ["Basic b", "Bearer a"],
    ["Bearer a", ""],
  ])("two lines, %j and %j, are malformed", (first, second) => {
    const headers: [string, string][] = [
      ["Authorization", first],
      ["Authorization", second],
    ];
    expect(extract({ headers })).toBe("request_malformed");
  });
});

describe("extractCredential() from other places", () => {
  const HEADER: CredentialPlace = { kind: "header", name: "X-Token" };
  const COOKIE: CredentialPlace = { kind: "cookie", name: "access" };
  const QUERY: CredentialPlace = { kind: "query", name: "access_token" };

  test("a header holds it bare or with Bearer", () => {
    expect(extract({ headers: { "x-token": "abc" } }, HEADER)).toBe("abc");
    expect(extract({ headers: { "x-token": "Bearer abc" } }, HEADER)).toBe("abc");
    expect(extract({ headers: { "x-token": "Bearer" } }, HEADER)).toBe("token_invalid");
    expect(extract({ headers: { "x-token": "Basic abc" } }, HEADER)).toBe("token_invalid");
  });

  test("a cookie is found by its exact name", () => {
    const headers = { cookie: "a=1; xaccess=no; access=abc; Access=no" };
    expect(extract({ headers }, COOKIE)).toBe("abc");
    expect(extract({ headers: { cookie: "access=a; b=1; access=b" } }, COOKIE)).toBe(
      "request_malformed",
    );
    expect(extract({ headers: { cookie: "access=" } }, COOKIE)).toBe("token_invalid");
  });

  test("a query parameter is found by its exact name", () => {
    expect(extract({ query: "?q=1&access_token=a.b.c" }, QUERY)).toBe("a.b.c");
    expect(extract({ query: "?access_token=a&access_token=b" }, QUERY)).toBe("request_malformed");
    expect(extract({ query: "?access%5Ftoken=a&access_token=b" }, QUERY)).toBe("request_malformed");
  });

  test("a place that the route does not name is not looked at", () => {
    expect(extract({ query: "?access_token=a" })).toBe("token_missing");
    expect(extract({ headers: { authorization: "Bearer a" } }, COOKIE)).toBe("token_missing");
  });

  test("two places filled are malformed, also where both hold the same", () => {
    const given = { headers: { authorization: "Bearer a" }, query: "?access_token=a" };
    expect(extract(given, AUTHORIZATION, QUERY)).toBe("request_malformed");
  });

  test("another scheme leaves the next place to be looked at", () => {
    const headers = { authorization: "Basic abc", cookie: "access=a" };
    expect(extract({ headers }, AUTHORIZATION, COOKIE)).toBe("a");
  });
});

describe("extractSession()", () => {
  const session = (cookie: string, ...places: CredentialPlace[]) => {
    const inquiry = { headers: new Headers({ cookie }) } as Inquiry;
    const found = extractSession(inquiry, places, "claimgate");
    return found.ok ? found.value : found.error.code;
  };
  const SESSION: CredentialPlace = { kind: "session" };

  test.each([
    ["claimgate=a", "a"],
    ["x=y; claimgate=a", "a"],
    ["claimgate=a; claimgate=a", "a"],
    ["claimgate=a; claimgate=b", "request_malformed"],
    ["__Host-claimgate=a", undefined],
    ["claimgate-login-x=a; xclaimgate=b", undefined],
    ["", undefined],
  ])("%j gives %s", (cookie, expected) => {
    expect(session(cookie, AUTHORIZATION, SESSION)).toBe(expected);
  });

  test("is not looked for where the route does not take it", () => {
    expect(session("claimgate=a", AUTHORIZATION)).toBeUndefined();
    expect(session("claimgate=a; claimgate=b", AUTHORIZATION)).toBeUndefined();
  });

  test("is no place of a token", () => {
    expect(extract({ headers: { cookie: "claimgate=a" } }, SESSION)).toBe("token_missing");
  });
});
