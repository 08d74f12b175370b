/**
 * Recorded decisions by other rules: what changes, what stays as it was, and what nobody can tell.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { DecisionEntry } from "../../src/audit/entry.ts";
import { loadConfig } from "../../src/config/load.ts";
import { type Assembly, assemble } from "../../src/gate/assemble.ts";
import { openReplay, type Replay } from "../../src/gate/replay.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const CONFIG = `issuers:
  - { name: dev, development: true }
  - { name: other, issuer: "https://other.dev", audiences: [api], jwks: jwks.json }
routes:
  - name: home
    match: { path: /*, methods: [GET] }
    upstream: echo
    issuers: [dev]
    policies: [staff]
    identityHeaders: { X-User: sub, X-Team: team }
  - name: asks
    match: { path: /asks/* }
    upstream: echo
    issuers: [dev]
    policies: [asks]
  - name: shadowed
    match: { path: /shadowed/* }
    upstream: echo
    issuers: [dev]
    policies: [staff, { shadow: department }, { shadow: staff-only }]
  - name: open
    match: { path: /open/* }
    upstream: echo
    public: true
`;

const policy = (claims: string, evaluate: string) => `
import { allow, claimAt, definePolicy, deny, Type } from "claimgate";
export default definePolicy({
  description: "A policy",
  claims: Type.Object({ ${claims} }),
  ${evaluate},
});
`;

const POLICIES = {
  "policies/staff.ts": policy(
    "roles: Type.Array(Type.String())",
    `evaluate: ({ claims }) => (claims.roles.includes("staff") ? allow() : deny("role_missing"))`,
  ),
  "policies/staff-only.ts": policy(
    "roles: Type.Array(Type.String())",
    `evaluate: ({ claims }) => (claims.roles.length === 1 ? allow() : deny("more_than_staff"))`,
  ),
  "policies/department.ts": policy(
    "department: Type.Optional(Type.String())",
    `evaluate: ({ claims }) => (claims.department === "it" ? allow() : deny("not_it"))`,
  ),
  "policies/asks.ts": policy(
    "",
    `async evaluate({ claims, token, request, client, now, route, history, fetch, secret }) {
      const passes = (does: boolean) => (does ? allow() : deny("no"));
      switch (request.path.slice("/asks/".length)) {
        case "known":
          return passes(
            token.subject === "alice" && claims.sub === "alice" && token.issuer === claims.iss &&
              token.expiresAt.getTime() > now.getTime() && token.issuedAt !== undefined &&
              request.method === "GET" && request.host === "app.acme.dev" && request.id === "id-1" &&
              client.ip === "10.0.0.7" && client.country === "AT" && client.device.browser === "curl" &&
              route.name === "asks" && now.toISOString() === "2026-01-05T10:00:00.000Z",
          );
        case "query": return passes(request.query.get("page") === "2");
        case "other-query": return passes(request.query.has("other"));
        case "whole-query": return passes([...request.query].length > 0);
        case "url": return passes(request.url.endsWith("/"));
        case "header": return passes(request.headers.get("X-Case") === "7");
        case "headers": return passes([...request.headers].length > 0);
        case "scopes": return passes(token.scopes.includes("orders"));
        case "audience": return passes(token.audience.length > 0);
        case "id": return passes(token.id === "one");
        case "history": return passes((await history()).requests > 1);
        case "fetch": return passes((await fetch("https://hr.acme.dev/")).ok);
        case "secret": return passes(secret("CLAIMGATE_TEST_NO_SUCH") !== "");
        case "has": return passes("email" in claims);
        case "own": return passes(Object.hasOwn(claims, "email"));
        case "keys": return passes(Object.keys(claims).length > 3);
        case "path": return passes(claimAt(claims, "org.plan") === "pro");
        case "plain-path": return passes(claims.org === undefined);
        case "no-path": return passes(claimAt(claims, "org.plan") === undefined);
        case "absent": return passes(claims.gone === undefined);
        case "throws": throw new Error("broken");
        default: return allow();
      }
    }`,
  ),
};

let folder: TempFolder;
let assembly: Assembly;
let replay: Replay;

beforeAll(async () => {
  folder = await tempFolder({
    "claimgate.yaml": CONFIG,
    "jwks.json": JSON.stringify({ keys: [] }),
    ...POLICIES,
  });
  const config = await loadConfig(`${folder.path}/claimgate.yaml`, {});
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  const assembled = await assemble(config.value, "claimgate.yaml");
  if (!assembled.ok) throw new Error(JSON.stringify(assembled.error));
  assembly = assembled.value;
  replay = openReplay(assembly, () => ({}));
});

afterAll(async () => {
  assembly.policies.dispose();
  await folder[Symbol.asyncDispose]();
});

const FORWARDED: DecisionEntry = {
  kind: "decision",
  requestId: "id-1",
  at: "2026-01-05T10:00:00.000Z",
  method: "GET",
  scheme: "https",
  host: "app.acme.dev",
  path: "/a",
  client: {
    ip: "10.0.0.7",
    country: "AT",
    device: { platform: "linux", browser: "curl", mobile: false },
  },
  route: "home",
  decision: "forward",
  status: 200,
  token: {
    issuer: "dev",
    subject: "alice",
    id: "k3yed",
    issuedAt: "2026-01-05T09:59:00.000Z",
    expiresAt: "2026-01-05T10:05:00.000Z",
  },
  claims: { sub: "alice", roles: ["staff"] },
  policies: [],
  ms: 1,
};

const denied = (code: string, more: Partial<DecisionEntry> = {}): DecisionEntry => ({
  ...FORWARDED,
  decision: "deny",
  status: 403,
  code,
  ...more,
});

/** No credential, or none that holds. */
const nobody = { token: undefined, claims: undefined } as const;
const unrouted = { ...nobody, route: undefined } as const;

/** `unchanged`, `denied CODE REASON`, `allowed`, or what is lacking. */
async function outcomeOf(entry: DecisionEntry): Promise<string> {
  const { before, after, lacking } = await replay.judge(entry);
  if (lacking.length > 0) return `lacks ${lacking.join(", ")}`;
  if (before.decision !== after.decision) {
    return after.decision === "forward" ? "allowed" : `denied ${after.code} ${after.reason}`;
  }
  return before === after || before.decision === "forward" ? "unchanged" : `still ${after.code}`;
}

describe("what the rules decide", () => {
  test.each<[string, DecisionEntry, string]>([
    ["who passed passes", FORWARDED, "unchanged"],
    [
      "who has not the role",
      { ...FORWARDED, claims: { sub: "a", roles: [] } },
      "denied policy_denied role_missing",
    ],
    [
      "a claim that was looked for and not there",
      { ...FORWARDED, claims: { sub: "a" }, claimsAbsent: ["roles"] },
      "denied policy_denied claims_mismatch",
    ],
    [
      "who was denied and has the role",
      denied("policy_denied", { policy: "staff", reason: "role_missing" }),
      "allowed",
    ],
    [
      "who was denied by another policy",
      denied("policy_denied", { policy: "old", reason: "old", claims: { sub: "a", roles: [] } }),
      "still policy_denied",
    ],
    ["an upstream that failed", denied("upstream_timeout", { status: 504 }), "unchanged"],
    [
      "no route any more for the method",
      { ...FORWARDED, method: "POST" },
      "denied method_not_allowed undefined",
    ],
    [
      "an issuer that the route does not trust",
      { ...FORWARDED, token: { ...FORWARDED.token, issuer: "other" } as never },
      "denied token_invalid issuer_unknown",
    ],
    ["a public route", { ...FORWARDED, ...nobody, route: "open", path: "/open/a" }, "unchanged"],
    [
      "what had no token and is public now",
      denied("token_missing", { ...nobody, path: "/open/a" }),
      "allowed",
    ],
    [
      "what had no route and is public now",
      denied("route_not_found", { ...unrouted, path: "/open/a" }),
      "allowed",
    ],
    [
      "what had no method and has none",
      denied("method_not_allowed", { ...unrouted, method: "POST", status: 405 }),
      "unchanged",
    ],
    [
      "a policy that breaks",
      { ...FORWARDED, route: "asks", path: "/asks/throws" },
      "denied policy_fault threw",
    ],
    ["everything that is known", { ...FORWARDED, route: "asks", path: "/asks/known" }, "unchanged"],
    [
      "a claim that was not there, by name",
      { ...FORWARDED, path: "/asks/absent", claimsAbsent: ["gone"] },
      "unchanged",
    ],
    [
      "a query that was kept",
      { ...FORWARDED, path: "/asks/query", query: { page: "2" } },
      "unchanged",
    ],
    [
      "scopes that were kept",
      { ...FORWARDED, path: "/asks/scopes", claims: { scopes: ["orders"] } },
      "unchanged",
    ],
    [
      "a dotted path that was kept",
      { ...FORWARDED, path: "/asks/path", claims: { "org.plan": "pro" } },
      "unchanged",
    ],
    [
      "a dotted path that led nowhere",
      { ...FORWARDED, path: "/asks/no-path", claimsAbsent: ["org.plan"] },
      "unchanged",
    ],
    [
      "a dotted path into what was kept",
      { ...FORWARDED, path: "/asks/path", claims: { org: { plan: "pro" } } },
      "unchanged",
    ],
  ])("%s", async (_, entry, expected) => {
    expect(await outcomeOf(entry)).toBe(expected);
  });
});

describe("what stays as it was recorded", () => {
  test.each<[string, DecisionEntry]>([
    [
      "a token that was missing",
      denied("token_missing", { ...nobody, status: 401, reason: "credential_missing" }),
    ],
    [
      "a token that was bad",
      denied("token_invalid", { ...nobody, status: 401, reason: "signature_invalid" }),
    ],
    [
      "a token that had expired",
      denied("token_expired", { ...nobody, status: 401, reason: "token_expired" }),
    ],
    ["keys that were not at hand", denied("keys_unavailable", { ...nobody, status: 503 })],
    ["a revocation", denied("token_revoked", { status: 401, reason: "jti_revoked" })],
    ["a foreign site", denied("cross_site", { reason: "origin_foreign" })],
    [
      "a credential given twice",
      denied("request_malformed", { ...nobody, status: 400, reason: "credential_twice" }),
    ],
    ["a rate limit", denied("rate_limited", { status: 429 })],
    ["a rate limit by address", denied("rate_limited", { ...unrouted, status: 429 })],
    [
      "a request that could not be read",
      denied("request_malformed", { ...unrouted, host: "", path: "", status: 400 }),
    ],
    ["a fault", denied("internal_fault", { status: 500 })],
    [
      "a path of the gate's own",
      denied("route_not_found", { ...unrouted, path: "/.claimgate/x", status: 404 }),
    ],
  ])("%s", async (_, entry) => {
    expect(await outcomeOf(entry)).toBe("unchanged");
  });
});

describe("what nobody can tell", () => {
  const asking = (what: string): DecisionEntry => ({
    ...FORWARDED,
    route: "asks",
    path: `/asks/${what}`,
  });

  test.each<[string, DecisionEntry]>([
    ["claim roles", { ...FORWARDED, claims: { sub: "alice" } }],
    ["query page", asking("query")],
    ["query other", { ...asking("other-query"), query: { page: "2" } }],
    ["the query", { ...asking("whole-query"), query: { page: "2" } }],
    ["the query", asking("url")],
    ["header x-case", asking("header")],
    ["the headers", asking("headers")],
    ["claim scopes", asking("scopes")],
    ["claim aud", asking("audience")],
    ["claim jti", asking("id")],
    ["history()", asking("history")],
    ["fetch()", asking("fetch")],
    ["secret CLAIMGATE_TEST_NO_SUCH", asking("secret")],
    ["claim org", { ...asking("plain-path"), claimsAbsent: ["org.plan"] }],
    ["claim email", asking("has")],
    ["claim email", asking("own")],
    ["a credential: none was looked for", denied("route_not_found", unrouted)],
    ["a credential: none was looked for", { ...FORWARDED, ...nobody }],
    [
      "issuer gone in the configuration",
      { ...FORWARDED, token: { ...FORWARDED.token, issuer: "gone" } as never },
    ],
    ["claim team", denied("policy_denied", { reason: "identity_unfit" })],
  ])("%s", async (what, entry) => {
    expect(await outcomeOf(entry)).toBe(`lacks ${what}`);
  });

  test("all of the claims", async () => {
    expect(await outcomeOf(asking("keys"))).toContain("all claims");
  });

  test("by a policy under shadow, does not hide the decision", async () => {
    const entry = { ...FORWARDED, route: "shadowed", path: "/shadowed/a" };
    const { lacking, after, shadow } = await replay.judge({
      ...entry,
      claims: { sub: "alice", roles: ["staff", "reader"] },
    });
    expect({ lacking, decision: after.decision }).toEqual({ lacking: [], decision: "forward" });
    // That of `department` is not known, and so is not told.
    expect(shadow.map(({ name, verdict, code }) => [name, verdict, code])).toEqual([
      ["staff-only", "deny", "more_than_staff"],
    ]);
  });
});
