/**
 * A gate that other proxies ask at `/.claimgate/verify`, and their questions.
 *
 * @module
 */
import { issuerEntry, type LoginGate, openLoginGate } from "../login/login-gate.ts";
import type { MockProvider } from "../login/mock-provider.ts";
import { type RawAnswer, rawRequest } from "../support/raw-request.ts";

const routesFor = (upstream: string) => [
  {
    name: "app",
    match: { host: "app.localhost", path: "/*" },
    login: true,
    anyAuthenticated: true,
    identityHeaders: { "X-User": "sub", "X-Team": "team" },
  },
  {
    name: "admin",
    match: { host: "app.localhost", path: "/admin/*" },
    login: true,
    policies: [{ "require-roles": { anyOf: ["admin"] } }],
    identityHeaders: { "X-User": "sub" },
  },
  {
    name: "read-only",
    match: { host: "app.localhost", path: "/read-only", methods: ["GET"] },
    anyAuthenticated: true,
  },
  {
    name: "limited",
    match: { host: "app.localhost", path: "/limited" },
    anyAuthenticated: true,
    rateLimit: { limit: 1, per: "1h", by: "subject" },
  },
  {
    name: "site",
    match: { host: "app.localhost", path: "/site/*" },
    policies: ["revoker"],
  },
  { name: "open", match: { host: "app.localhost", path: "/open/*" }, public: true },
  { name: "live", match: { path: "/live" }, upstream, public: true },
];

const REVOKER = `import { allow, definePolicy, deny } from "claimgate";
export default definePolicy({
  description: "Revokes what is stolen",
  evaluate({ request, client }) {
    if (request.headers.has("x-forwarded-uri") || request.headers.has("x-original-url"))
      return deny("proxy_seen");
    if (request.query.has("steal")) return deny("stolen", "", { revoke: "token" });
    return allow({ headers: { "X-Seen": [request.method, request.url, client.ip].join(" ") } });
  },
});
`;

export const openVerifyGate = (
  provider: MockProvider,
  trustedProxies: readonly string[],
): Promise<LoginGate> =>
  openLoginGate({
    files: { "policies/revoker.ts": REVOKER },
    config: ({ upstream }) => ({
      trustedProxies,
      issuers: [issuerEntry(provider.issuer, "provider", {}, { audiences: ["api"] })],
      routes: routesFor(upstream),
    }),
  });

export const tokenFor = (provider: MockProvider, sub: string, more: object = {}) => {
  const now = Math.floor(Date.now() / 1_000);
  return provider.jwt(
    { iss: provider.issuer, aud: "api", sub, iat: now, exp: now + 600, ...more },
    { typ: "JWT" },
  );
};

export type Fields = readonly (readonly [name: string, value: string])[];

/** As bytes: a client library would tidy up what must not be. */
export function askAt(port: number, target: string, fields: Fields): Promise<RawAnswer> {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const host = fields.some(([name]) => name === "Host") ? "" : "Host: gate.internal\r\n";
  return rawRequest(port, `GET ${target} HTTP/1.1\r\n${host}${lines}\r\n`);
}

export const forwarded = (uri: string, method = "GET", host = "app.localhost"): Fields => [
  ["X-Forwarded-Method", method],
  ["X-Forwarded-Proto", "http"],
  ["X-Forwarded-Host", host],
  ["X-Forwarded-Uri", uri],
  ["X-Forwarded-For", "192.0.2.7"],
];

export const original = (uri: string, method = "GET", host = "app.localhost"): Fields => [
  ["X-Original-URL", `http://${host}${uri}`],
  ["X-Original-Method", method],
];

export const bearer = (token: string): Fields => [["Authorization", `Bearer ${token}`]];
export const VERIFY = "/.claimgate/verify";
export const BROWSER: Fields = [
  ["Accept", "text/html,*/*;q=0.8"],
  ["Sec-Fetch-Mode", "navigate"],
];

export const codeOf = ({ status, body }: RawAnswer) => [status, body && JSON.parse(body).code];
