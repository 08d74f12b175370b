import { afterAll, beforeAll, expect, test } from "bun:test";
import { lastOf, openBrowser } from "../login/browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "../login/login-gate.ts";
import { type MockProvider, startMockProvider } from "../login/mock-provider.ts";

const API = { Accept: "application/json", "Sec-Fetch-Mode": "cors" };
const MINUTE_MS = 60_000;

let provider: MockProvider;
let gate: LoginGate;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openLoginGate({
    config: ({ upstream }) => ({
      session: { refresh: "5m" },
      issuers: [issuerEntry(provider.issuer)],
      routes: [{ name: "tool", upstream, login: true, anyAuthenticated: true }],
    }),
  });
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

const JSON_TYPE = { "Content-Type": "application/json" };

// What a balancer says in the provider's place would otherwise sign everybody out at once.
test.each([
  [
    "a page",
    () => new Response("<h1>Back soon</h1>", { headers: { "Content-Type": "text/html" } }),
  ],
  ["a redirect", () => Response.redirect("https://status.example/", 302)],
  ["an empty answer", () => new Response(null, { status: 204 })],
  ["half an answer", () => new Response('{"access_token":', { headers: JSON_TYPE })],
])(
  "a session outlasts %s in the provider's place, and no longer than its claims",
  async (_, answer) => {
    gate.clock.aheadMs = 0;
    provider.answer = { refresh_token: "a", expires_in: 3_600 };
    const browser = openBrowser();
    expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(200);
    const statusNow = async () => (await browser.go(`${gate.url}/`, { headers: API })).status;

    await provider.stop();
    const { hostname, port } = new URL(provider.issuer);
    const other = Bun.serve({ hostname, port: Number(port), fetch: answer });
    try {
      gate.clock.aheadMs = 6 * MINUTE_MS;
      expect(await statusNow()).toBe(200);
      gate.clock.aheadMs = 30 * MINUTE_MS;
      expect(await statusNow()).toBe(200);
      gate.clock.aheadMs = 62 * MINUTE_MS;
      expect(await statusNow()).toBe(401);
    } finally {
      await other.stop(true);
      await provider.start();
    }
  },
);
