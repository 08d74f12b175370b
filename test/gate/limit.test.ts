import { describe, expect, test } from "bun:test";
import type { RouteConfig } from "../../src/config/resolved.ts";
import { limitAddress, limitSubject, noteFailure, type Passing } from "../../src/gate/limit.ts";
import { createLimiter } from "../../src/limits/rate.ts";
import type { Denial, DenialCode, Inquiry, RateLimit, Token } from "../../src/types.ts";

const LIMIT = { limit: 2, perMs: 60_000 };
const FAILURES = { ...LIMIT, of: "failures" } as const;

function limiterAt(nowMs = 1_767_600_000_000) {
  return createLimiter({ now: () => nowMs, warn: () => {} });
}

function inquiryFrom(ip: string): Inquiry {
  return { client: { ip } } as Inquiry;
}

const TOKEN: Token = {
  issuer: "https://issuer.example",
  issuerName: "issuer",
  subject: "alice",
  audience: ["api"],
  id: "token-1",
  digest: "digest-1",
  expiresAt: 1_767_603_600,
  scopes: [],
  claims: {},
};

function passing(given: {
  route?: string;
  rateLimit?: RouteConfig["rateLimit"];
  token?: { readonly [M in keyof Token]?: Token[M] | undefined } | "none";
  ip?: string;
  rateLimits?: readonly RateLimit[];
}): Passing {
  const { route = "orders", rateLimit, token = {}, ip = "192.0.2.1", rateLimits } = given;
  return {
    route: { name: route, ...(rateLimit && { rateLimit }) } as RouteConfig,
    token: token === "none" ? undefined : ({ ...TOKEN, ...token } as Token),
    inquiry: inquiryFrom(ip),
    rateLimits,
  };
}

/** Whether the second of the two finds an empty bucket when the first has taken both tokens. */
async function share(one: Parameters<typeof passing>[0], other: Parameters<typeof passing>[0]) {
  const limiter = limiterAt();
  for (let n = 0; n < 2; n++) await limitSubject(limiter, passing(one));
  expect((await limitSubject(limiter, passing(one))).ok).toBe(false);
  return !(await limitSubject(limiter, passing(other))).ok;
}

describe("limitAddress() and noteFailure()", () => {
  const failing = (code: DenialCode, ip = "192.0.2.1", times = 2) => {
    const limiter = limiterAt();
    const denial: Denial = { status: 401, code };
    for (let n = 0; n < times; n++) noteFailure(limiter, FAILURES, inquiryFrom(ip), denial);
    return (from: string) => limitAddress(limiter, FAILURES, inquiryFrom(from));
  };

  test("turn an address away that has failed too often", () => {
    expect(failing("token_invalid")("192.0.2.1")).toEqual({
      status: 429,
      code: "rate_limited",
      reason: "address_failures",
      retryAfterSeconds: 30,
      rateLimit: { limit: 2, remaining: 0, resetSeconds: 30, windowSeconds: 60 },
    });
    expect(failing("token_invalid")("192.0.2.2")).toBeUndefined();
    expect(failing("token_invalid", "192.0.2.1", 1)("192.0.2.1")).toBeUndefined();
  });

  test.each(["token_invalid", "token_expired", "token_revoked"] as const)("%s counts", (code) => {
    expect(failing(code)("192.0.2.1")).toBeDefined();
  });

  test.each([
    "token_missing",
    "request_malformed",
    "step_up_required",
    "policy_denied",
    "insufficient_scope",
    "policy_fault",
    "route_not_found",
    "keys_unavailable",
    "store_unavailable",
    "rate_limited",
  ] as const)("%s does not count", (code) => {
    expect(failing(code, "192.0.2.1", 9)("192.0.2.1")).toBeUndefined();
  });

  test("take an IPv6 network of 64 bits for one address", () => {
    const limitOf = failing("token_invalid", "2001:db8:1:2::1");
    expect(limitOf("2001:db8:1:2:ffff::9")).toBeDefined();
    expect(limitOf("2001:db8:1:3::1")).toBeUndefined();
  });

  test("limit nobody where the owner switched it off", () => {
    const limiter = limiterAt();
    const from = inquiryFrom("192.0.2.1");
    const denial: Denial = { status: 401, code: "token_invalid" };
    for (let n = 0; n < 9; n++) noteFailure(limiter, undefined, from, denial);
    expect(limitAddress(limiter, undefined, from)).toBeUndefined();
  });
});

describe("limitSubject()", () => {
  const bySubject = { ...LIMIT, by: "subject" } as const;
  const byToken = { ...LIMIT, by: "token" } as const;
  const byAddress = { ...LIMIT, by: "address" } as const;

  test("tells where the client stands, then refuses", () => {
    const limiter = limiterAt();
    const answers = [1, 2, 3].map(() =>
      limitSubject(limiter, passing({ rateLimit: { limit: 2, perMs: 1_000, by: "subject" } })),
    );
    const rateLimit = { limit: 2, remaining: 0, resetSeconds: 1, windowSeconds: 1 };
    expect(answers).toEqual([
      { ok: true, value: { ...rateLimit, remaining: 1 } },
      { ok: true, value: rateLimit },
      {
        ok: false,
        error: {
          status: 429,
          code: "rate_limited",
          reason: "route_limit",
          retryAfterSeconds: 1,
          rateLimit,
        },
      },
    ]);
  });

  test("tells sessions apart, which have no jti", () => {
    const limiter = limiterAt();
    const rateLimit = { limit: 1, perMs: 1_000, by: "token" } as const;
    const of = (session: string) => {
      const one = passing({ rateLimit });
      const { id: _, ...token } = one.token as Token;
      return limitSubject(limiter, { ...one, token: { ...token, session } });
    };
    expect(of("session-1")).toMatchObject({ ok: true });
    expect(of("session-2")).toMatchObject({ ok: true });
    expect(of("session-1")).toMatchObject({ ok: false });
  });

  test("leaves alone what has no limit", () => {
    expect(limitSubject(limiterAt(), passing({}))).toEqual({ ok: true, value: undefined });
  });

  test.each([
    ["another token of the subject", bySubject, { token: { id: "token-2" } }, true],
    ["another subject", bySubject, { token: { subject: "bob" } }, false],
    [
      "a subject of that name elsewhere",
      bySubject,
      { token: { issuer: "https://b.example" } },
      false,
    ],
    [
      "a subject that begins as the issuer ends",
      bySubject,
      { token: { issuer: "https://issuer.examplea", subject: "lice" } },
      false,
    ],
    ["another address", bySubject, { ip: "192.0.2.9" }, true],
    ["another route", bySubject, { route: "invoices" }, false],
    ["another token", byToken, { token: { id: "token-2" } }, false],
    ["the same token elsewhere", byToken, { ip: "192.0.2.9" }, true],
    ["a token of that name elsewhere", byToken, { token: { issuer: "https://b.example" } }, false],
    ["another subject at that address", byAddress, { token: { subject: "bob" } }, true],
    ["another address, by address", byAddress, { ip: "192.0.2.9" }, false],
  ] as const)("%s (%j, %j) shares the bucket: %p", async (_what, rateLimit, other, shares) => {
    expect(await share({ rateLimit }, { rateLimit, ...other })).toBe(shares);
  });

  test("without a name of its own a token goes by its digest", async () => {
    const one = { rateLimit: byToken, token: { id: undefined } };
    const other = { ...one, token: { ...one.token, digest: "digest-2" } };
    expect(await share(one, one)).toBe(true);
    expect(await share(one, other)).toBe(false);
  });

  test("without a subject it goes by the token: nobody shares the nameless one's", async () => {
    const one = { rateLimit: bySubject, token: { subject: "" } };
    expect(await share(one, { ...one, token: { subject: "", id: "token-2" } })).toBe(false);
  });

  test("on a public route it goes by the address", async () => {
    const one = { rateLimit: bySubject, token: "none" } as const;
    expect(await share(one, one)).toBe(true);
    expect(await share(one, { ...one, ip: "192.0.2.9" })).toBe(false);
  });

  describe("for policies", () => {
    const tier: RateLimit = { policy: "tier", ...bySubject };

    test("names the policy that refused, to the operator", async () => {
      const limiter = limiterAt();
      const limits = [tier, { ...tier, policy: "wider", limit: 9 }];
      const one = passing({ rateLimits: limits, rateLimit: { ...bySubject, limit: 5 } });
      await limitSubject(limiter, one);
      await limitSubject(limiter, one);
      expect(await limitSubject(limiter, one)).toMatchObject({
        error: { status: 429, reason: "policy_limit", policy: "tier", rateLimit: { limit: 2 } },
      });
    });

    test("their limits are their own, over all routes", async () => {
      const one = { rateLimits: [tier] };
      expect(await share(one, { ...one, route: "invoices" })).toBe(true);
      expect(await share(one, { rateLimits: [{ ...tier, policy: "other" }] })).toBe(false);
      expect(await share(one, { rateLimits: [{ ...tier, limit: 3 }] })).toBe(false);
      expect(await share(one, { rateLimit: bySubject })).toBe(false);
    });

    test("a key is shared by all who get it", async () => {
      const exports = { rateLimits: [{ ...tier, by: { key: "exports" } }] };
      const imports = { rateLimits: [{ ...tier, by: { key: "imports" } }] };
      expect(await share(exports, { ...exports, token: { subject: "bob" } })).toBe(true);
      expect(await share(exports, imports)).toBe(false);
    });

    test("the same one twice counts once", async () => {
      const limiter = limiterAt();
      const twice = passing({ rateLimits: [tier, tier] });
      expect(await limitSubject(limiter, twice)).toMatchObject({ value: { remaining: 1 } });
    });

    test("all apply, or none is taken from", async () => {
      const limiter = limiterAt();
      const wide: RateLimit = { ...tier, policy: "wide", limit: 4 };
      for (let n = 0; n < 9; n++) {
        await limitSubject(limiter, passing({ rateLimits: [wide, tier] }));
      }
      expect(await limitSubject(limiter, passing({ rateLimits: [wide] }))).toMatchObject({
        value: { remaining: 1 },
      });
    });
  });
});
