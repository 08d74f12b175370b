import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Browser, lastOf, openBrowser } from "./browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "./login-gate.ts";
import { type MockProvider, startMockProvider } from "./mock-provider.ts";

let provider: MockProvider;
let gate: LoginGate;
let browser: Browser;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openLoginGate({
    config: ({ upstream }) => ({
      issuers: [issuerEntry(provider.issuer, "provider", {}, { audiences: ["api"] })],
      routes: [
        { name: "tool", upstream, login: true, anyAuthenticated: true },
        {
          name: "lax",
          match: { path: "/lax/*" },
          upstream,
          login: true,
          anyAuthenticated: true,
          crossSite: "allow",
        },
      ],
    }),
  });
  browser = openBrowser();
  expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(200);
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

const UPGRADE = {
  Connection: "Upgrade",
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const FOREIGN: readonly [string, Record<string, string>][] = [
  ["another site", { Origin: "https://evil.example" }],
  ["no origin that it would name", { Origin: "null" }],
  ["another port", { Origin: "http://localhost:1" }],
  ["another host of the gate", { Origin: "http://app.localhost" }],
  ["another site, by Sec-Fetch-Site alone", { "Sec-Fetch-Site": "cross-site" }],
];

describe("with a session", () => {
  test.each(FOREIGN)("an unsafe method from %s is refused", async (_, headers) => {
    for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
      const before = gate.upstream.seen.length;
      const answer = await browser.go(`${gate.url}/`, {
        method,
        headers: { ...headers, Accept: "*/*" },
      });
      expect([answer.status, JSON.parse(answer.text).code]).toEqual([403, "cross_site"]);
      expect(gate.upstream.seen).toHaveLength(before);
    }
  });

  test.each(FOREIGN)("a WebSocket from %s is refused", async (_, headers) => {
    const all = { ...headers, ...UPGRADE, Accept: "*/*" };
    const answer = await browser.go(`${gate.url}/`, { headers: all });
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([403, "cross_site"]);
  });

  test.each(FOREIGN)("a GET from %s passes", async (_, headers) => {
    expect((await browser.go(`${gate.url}/`, { headers })).status).toBe(200);
  });

  test("an unsafe method from the same origin, or from no browser, passes", async () => {
    for (const headers of [{ Origin: gate.url }, { "Sec-Fetch-Site": "same-origin" }, {}]) {
      const answer = await browser.go(`${gate.url}/`, { method: "POST", headers });
      expect(answer.status).toBe(200);
    }
  });

  test("everything passes where the route says so", async () => {
    const headers = { Origin: "https://partner.example" };
    expect((await browser.go(`${gate.url}/lax/x`, { method: "POST", headers })).status).toBe(200);
  });
});

test("a bearer token, which no browser sends by itself, may come from anywhere", async () => {
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { iss: provider.issuer, aud: "api", sub: "machine", iat, exp: iat + 60 };
  const headers = {
    Origin: "https://spa.example",
    Authorization: `Bearer ${await provider.jwt(claims)}`,
  };
  expect((await browser.go(`${gate.url}/`, { method: "POST", headers })).status).toBe(200);
});
