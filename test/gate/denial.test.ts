import { describe, expect, test } from "bun:test";
import { answerDenial, prefersHtml } from "../../src/gate/denial.ts";
import type { Denial } from "../../src/types.ts";

const ID = "01890a5d-ac96-774b-bcce-b302099a8057";

describe("answerDenial() as problem details", () => {
  test("has exactly type, title, status, code and requestId", async () => {
    const response = answerDenial({ status: 403, code: "policy_denied" }, ID, null);
    expect(response.status).toBe(403);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-request-id")).toBe(ID);
    expect(response.headers.get("www-authenticate")).toBeNull();
    expect(await response.json()).toEqual({
      type: "urn:claimgate:denial:policy_denied",
      title: "Access is denied",
      status: 403,
      code: "policy_denied",
      requestId: ID,
    });
  });

  test("is alike for every cause of one code, and names none", async () => {
    const plain: Denial = { status: 401, code: "token_invalid" };
    const detailed: Denial = {
      ...plain,
      reason: "audience_mismatch",
      detail: "expected api://internal",
      policy: "secret-rule",
    };
    const [a, b] = [answerDenial(plain, ID, null), answerDenial(detailed, ID, null)];
    expect(await a.text()).toBe(await b.text());
    expect([...a.headers]).toEqual([...b.headers]);
  });

  test.each([
    [{ status: 401, code: "token_missing" }, 'Bearer realm="claimgate"'],
    [{ status: 401, code: "token_invalid" }, 'Bearer realm="claimgate", error="invalid_token"'],
    [{ status: 401, code: "token_expired" }, 'Bearer realm="claimgate", error="invalid_token"'],
    [
      { status: 403, code: "insufficient_scope", challenge: { scope: ["a", "b"] } },
      'Bearer realm="claimgate", error="insufficient_scope", scope="a b"',
    ],
    [
      { status: 401, code: "step_up_required", challenge: { acr: ["gold"], maxAge: 300 } },
      'Bearer realm="claimgate", error="insufficient_user_authentication", acr_values="gold", max_age="300"',
    ],
  ] as [Denial, string][])("%j challenges with %s", (denial, expected) => {
    expect(answerDenial(denial, ID, null).headers.get("www-authenticate")).toBe(expected);
  });

  test("a policy's words cannot break out of the challenge", () => {
    const challenge = { scope: ['a", error="x', "b\\\r\nX: 1"] };
    const denial: Denial = { status: 403, code: "insufficient_scope", challenge };
    expect(answerDenial(denial, ID, null).headers.get("www-authenticate")).toBe(
      'Bearer realm="claimgate", error="insufficient_scope", scope="a,error=x bX:1"',
    );
  });

  test("405 says what is allowed", () => {
    const denial: Denial = { status: 405, code: "method_not_allowed", allow: ["GET", "HEAD"] };
    expect(answerDenial(denial, ID, null).headers.get("allow")).toBe("GET, HEAD");
  });
});

describe("answerDenial() of a limit", () => {
  const rateLimit = { limit: 100, remaining: 0, resetSeconds: 30, windowSeconds: 60 };
  const denial: Denial = { status: 429, code: "rate_limited", retryAfterSeconds: 30, rateLimit };

  test("says when to come again, and what the limit is", async () => {
    const response = answerDenial(denial, ID, null);
    expect(response.headers.get("retry-after")).toBe("30");
    expect(response.headers.get("ratelimit-policy")).toBe('"default";q=100;w=60');
    expect(response.headers.get("ratelimit")).toBe('"default";r=0;t=30');
    expect(response.headers.get("www-authenticate")).toBeNull();
    expect(await response.json()).toEqual({
      type: "urn:claimgate:denial:rate_limited",
      title: "Too many requests: try again a little later",
      status: 429,
      code: "rate_limited",
      requestId: ID,
    });
  });

  test("says so beside a page, too", () => {
    const { headers } = answerDenial(denial, ID, "text/html");
    expect([headers.get("retry-after"), headers.get("ratelimit")]).toEqual([
      "30",
      '"default";r=0;t=30',
    ]);
  });

  test("no other denial has such headers", () => {
    const { headers } = answerDenial({ status: 503, code: "store_unavailable" }, ID, null);
    const names = ["retry-after", "ratelimit", "ratelimit-policy"];
    expect(names.filter((name) => headers.has(name))).toEqual([]);
  });
});

describe("answerDenial() as a page", () => {
  test("shows the code, the id and the line for the operator, and loads nothing", async () => {
    const response = answerDenial({ status: 403, code: "policy_denied" }, ID, "text/html");
    const page = await response.text();
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(page).toContain(`claimgate explain ${ID}`);
    expect(page).toContain("policy_denied");
    expect(page).not.toMatch(/<script|<img|<link|https?:|url\(|@import/i);
  });
});

describe("prefersHtml()", () => {
  test.each([
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true],
    ["text/html;q=0.5, application/json", false],
    ["application/json, text/html;q=0.9", false],
    ["TEXT/HTML", true],
    ["text/html;q=0", false],
    ["*/*", false],
    ["application/json", false],
    [null, false],
    [`text/html${",a/b".repeat(400)}`, false],
  ])("%j: %p", (accept, expected) => {
    expect(prefersHtml(accept)).toBe(expected);
  });
});
