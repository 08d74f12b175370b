import { describe, expect, test } from "bun:test";
import { decisionEntry, entryPlan, recordIndex } from "../../src/audit/entry.ts";
import type { Inquiry, Token } from "../../src/types.ts";
import { actEntry, denyEntry, forwardEntry } from "./entries.ts";

const inquiry: Inquiry = {
  id: "0199-id",
  method: "GET",
  scheme: "https",
  host: "api.acme.dev",
  authority: "api.acme.dev:8443",
  path: "/orders/1",
  query: "?page=2&secret=s3cret&tag=a&tag=b",
  headers: new Headers({ cookie: "c00kie" }),
  client: {
    ip: "10.0.0.7",
    country: "CH",
    device: { platform: "linux", browser: "curl", mobile: false },
  },
  nowMs: Date.UTC(2026, 0, 5, 10, 0, 0, 123),
};

const token: Token = {
  issuer: "https://acme.okta.com",
  issuerName: "okta",
  subject: "alice",
  audience: ["api"],
  id: "jti-1",
  issuedAt: 1_767_600_000,
  expiresAt: 1_767_607_200.5,
  scopes: [],
  claims: { sub: "alice", roles: ["admin"], email: "alice@acme.dev", iss: "https://acme.okta.com" },
};

const staff = { name: "staff", verdict: "allow", ms: 0.1, shadow: false } as const;
const plan = entryPlan({ claims: "declared", query: [] }, []);
const parts = {
  inquiry,
  route: "orders",
  token,
  tokenId: "k3yed",
  declaredClaims: ["roles", "team"],
  policies: [staff],
  status: 200,
  ms: 1.25,
};

describe("decisionEntry()", () => {
  test("keeps what a dotted path leads to, and names the path that leads nowhere", () => {
    const nested = { ...token, claims: { sub: "alice", org: { plan: "pro", seats: 7 } } };
    const named = { ...parts, token: nested, declaredClaims: ["org.plan", "org.team"] };
    const { claims, claimsAbsent } = decisionEntry(plan, named);
    expect({ claims: { ...claims }, claimsAbsent }).toEqual({
      claims: { sub: "alice", "org.plan": "pro" },
      claimsAbsent: ["org.team"],
    });
  });

  test("tells a forwarded request whole", () => {
    expect(decisionEntry(plan, parts)).toEqual({
      kind: "decision",
      requestId: "0199-id",
      at: "2026-01-05T10:00:00.123Z",
      method: "GET",
      scheme: "https",
      host: "api.acme.dev",
      path: "/orders/1",
      client: {
        ip: "10.0.0.7",
        country: "CH",
        device: { platform: "linux", browser: "curl", mobile: false },
      },
      route: "orders",
      decision: "forward",
      status: 200,
      token: {
        issuer: "okta",
        subject: "alice",
        id: "k3yed",
        issuedAt: "2026-01-05T08:00:00.000Z",
        expiresAt: "2026-01-05T10:00:00.500Z",
      },
      claims: { sub: "alice", roles: ["admin"] },
      claimsAbsent: ["team"],
      policies: [staff],
      ms: 1.25,
    });
  });

  test("tells a denial with all that the client may not know", () => {
    const denial = {
      status: 403,
      code: "policy_fault",
      reason: "threw",
      detail: "TypeError: x",
      policy: "staff",
      stack: "at staff.ts:3",
    } as const;
    const entry = decisionEntry(plan, { ...parts, denial });
    expect(entry).toMatchObject({ decision: "deny", ...denial });
  });

  test("tells of a request without route and token what there is", () => {
    const { id, method, nowMs } = inquiry;
    const unread = {
      ...{ id, method, nowMs, host: "", path: "", query: "" },
      scheme: "http",
      client: { ip: "unix" },
    } as const;
    const denial = { status: 400, code: "request_malformed", reason: "host_invalid" } as const;
    expect(decisionEntry(plan, { inquiry: unread, policies: [], denial, ms: 0.1 })).toEqual({
      kind: "decision",
      requestId: "0199-id",
      at: "2026-01-05T10:00:00.123Z",
      method: "GET",
      scheme: "http",
      host: "",
      path: "",
      client: { ip: "unix" },
      decision: "deny",
      ...denial,
      policies: [],
      ms: 0.1,
    });
  });

  test("keeps of the claims those that the owner lists, and no others", () => {
    const listed = entryPlan({ claims: ["email", "absent"], query: [] }, []);
    expect(decisionEntry(listed, parts).claims).toEqual({ email: "alice@acme.dev" });
  });

  test("keeps no claim that is not the token's own", () => {
    const listed = entryPlan({ claims: ["constructor", "__proto__"], query: [] }, []);
    expect(JSON.stringify(decisionEntry(listed, parts).claims)).toBe("{}");
    const claims = JSON.parse('{"__proto__":"mine"}');
    const kept = decisionEntry(listed, { ...parts, token: { ...token, claims } }).claims;
    expect(JSON.stringify(kept)).toBe('{"__proto__":"mine"}');
  });

  test("keeps nothing of the query, the headers or the token itself unless asked", () => {
    const text = JSON.stringify(decisionEntry(plan, parts));
    for (const secret of ["page", "s3cret", "c00kie", "jti-1", "acme.dev:8443"]) {
      expect(text).not.toContain(secret);
    }
  });

  test("keeps of the query the names that the owner lists", () => {
    const listed = entryPlan({ claims: "declared", query: ["page", "tag", "none"] }, []);
    expect(decisionEntry(listed, parts).query).toEqual({ page: "2", tag: ["a", "b"] });
    const bare = { ...parts, inquiry: { ...inquiry, query: "?" } };
    expect(decisionEntry(listed, bare).query).toBeUndefined();
  });

  test("never keeps a parameter in which a route takes its credential", () => {
    const credentials = [{ kind: "query", name: "secret" } as const];
    const listed = entryPlan({ claims: [], query: ["secret", "page"] }, [{ credentials }]);
    expect(decisionEntry(listed, parts).query).toEqual({ page: "2" });
  });

  test("takes times that no date holds for the farthest there is", () => {
    const far = { ...token, issuedAt: -1e300, expiresAt: 1e300 };
    expect(decisionEntry(plan, { ...parts, token: far }).token).toMatchObject({
      issuedAt: "-271821-04-20T00:00:00.000Z",
      expiresAt: "+275760-09-13T00:00:00.000Z",
    });
  });
});

describe("recordIndex()", () => {
  test("names what decisions are searched by", () => {
    expect(recordIndex(denyEntry(1))).toEqual({
      kind: "decision",
      requestId: "request-1",
      subject: "alice",
      route: "orders",
      code: "policy_denied",
      denied: true,
    });
    const { token: _, route: __, ...bare } = forwardEntry(2);
    expect(recordIndex(bare)).toEqual({
      kind: "decision",
      requestId: "request-2",
      denied: false,
    });
  });

  test("tells acts from decisions", () => {
    expect(recordIndex(actEntry(1))).toEqual({ kind: "act", denied: false });
  });
});
