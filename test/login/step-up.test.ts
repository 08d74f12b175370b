import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Browser, lastOf, openBrowser } from "./browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "./login-gate.ts";
import { type MockProvider, startMockProvider } from "./mock-provider.ts";

const API = { Accept: "application/json", "Sec-Fetch-Mode": "cors" };

const STRONG = `
import { allow, challenge, definePolicy, Type } from "claimgate";
export default definePolicy({
  description: "A second factor",
  claims: Type.Object({ acr: Type.Optional(Type.String()) }),
  evaluate: ({ claims }) => (claims.acr === "mfa" ? allow() : challenge({ acr: ["mfa", "phr"] })),
  cases: [{ name: "strong", claims: { acr: "mfa" }, expect: "allow" }],
});
`;
const RECENT = `
import { allow, challenge, definePolicy, Type } from "claimgate";
export default definePolicy({
  description: "A recent sign-in",
  claims: Type.Object({ auth_time: Type.Number() }),
  evaluate: ({ claims, now }) =>
    now.getTime() / 1000 - claims.auth_time <= 60 ? allow() : challenge({ maxAge: 60 }),
  cases: [{ name: "old", claims: { auth_time: 0 }, expect: "challenge" }],
});
`;

let provider: MockProvider;
let gate: LoginGate;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openLoginGate({
    files: { "policies/strong.ts": STRONG, "policies/recent.ts": RECENT },
    config: ({ upstream }) => ({
      issuers: [issuerEntry(provider.issuer)],
      session: { refresh: "1h" },
      routes: [
        { name: "tool", upstream, login: true, anyAuthenticated: true },
        {
          name: "strong",
          match: { path: "/strong/*" },
          upstream,
          login: true,
          policies: ["strong"],
        },
        {
          name: "both",
          match: { path: "/both/*" },
          upstream,
          login: true,
          policies: ["strong", "recent"],
        },
        {
          name: "recent",
          match: { path: "/recent/*" },
          upstream,
          login: true,
          policies: ["recent"],
        },
      ],
    }),
  });
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

const nowSeconds = () => Math.floor((Date.now() + gate.clock.aheadMs) / 1_000);

beforeEach(() => {
  gate.clock.aheadMs = 0;
  provider.claims = () => ({ auth_time: nowSeconds() });
});

async function signedIn(): Promise<Browser> {
  const browser = openBrowser();
  expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(200);
  return browser;
}

const authorizationsIn = (hops: readonly { readonly url: string }[]) =>
  hops.map(({ url }) => new URL(url)).filter(({ pathname }) => pathname === "/authorize");

describe("a policy's challenge", () => {
  test("sends a browser to the provider with acr_values, and back to the page", async () => {
    const browser = await signedIn();
    provider.claims = { acr: "mfa" };
    const hops = await browser.follow(`${gate.url}/strong/x?y=z`);
    const last = lastOf(hops);
    expect([last.status, last.url]).toEqual([200, `${gate.url}/strong/x?y=z`]);
    const [authorization, ...others] = authorizationsIn(hops);
    expect(others).toEqual([]);
    expect(authorization?.searchParams.get("acr_values")).toBe("mfa phr");
    expect(authorization?.searchParams.has("max_age")).toBe(false);
  });

  test("with maxAge sends it with max_age, and again when that time has passed", async () => {
    const browser = await signedIn();
    gate.clock.aheadMs += 120_000;
    for (let round = 0; round < 2; round += 1) {
      const hops = await browser.follow(`${gate.url}/recent/x`);
      expect(lastOf(hops).status).toBe(200);
      const sent = authorizationsIn(hops).map(({ searchParams }) => searchParams.get("max_age"));
      expect(sent).toEqual(["60"]);
      gate.clock.aheadMs += 120_000;
    }
  });

  test("that the provider does not meet is 403 with a page that says so, not a circle", async () => {
    const browser = await signedIn();
    const hops = await browser.follow(`${gate.url}/strong/x`);
    const last = lastOf(hops);
    expect(authorizationsIn(hops)).toHaveLength(1);
    expect(last.status).toBe(403);
    expect(last.text).toContain("step_up_required");
    expect(last.text).toContain("not in the way");
    // Nor does a second try go round.
    expect((await browser.go(`${gate.url}/strong/x`)).status).toBe(403);
    // The person may: the link asks the provider once more.
    const [, link = ""] = /class="choice main" href="([^"]+)"/.exec(last.text) ?? [];
    provider.claims = { acr: "mfa" };
    const again = await browser.follow(`${gate.url}${link.replaceAll("&#38;", "&")}`);
    expect(lastOf(again).status).toBe(200);
  });

  test("that a provider ignores the age in is 403, too", async () => {
    const browser = await signedIn();
    gate.clock.aheadMs += 120_000;
    provider.claims = { auth_time: 1 };
    const last = lastOf(await browser.follow(`${gate.url}/recent/x`));
    expect(last.status).toBe(403);
  });

  test("beside another one, of which the provider meets one at a time, is no circle either", async () => {
    const browser = await signedIn();
    gate.clock.aheadMs += 120_000;
    provider.claims = { auth_time: 1 };
    const hops = await browser.follow(`${gate.url}/both/x`);
    expect(lastOf(hops).status).toBe(403);
    const sent = authorizationsIn(hops).map(({ searchParams }) => [
      searchParams.get("acr_values"),
      searchParams.get("max_age"),
    ]);
    expect(sent).toEqual([["mfa phr", null]]);
    const other = await signedIn();
    gate.clock.aheadMs += 120_000;
    let asked = 0;
    provider.claims = () => {
      asked += 1;
      return asked === 1 ? { acr: "mfa", auth_time: 1 } : { auth_time: nowSeconds() };
    };
    const again = await other.follow(`${gate.url}/both/x`);
    expect(lastOf(again).status).toBe(403);
    expect(
      authorizationsIn(again).map(({ searchParams }) => [
        searchParams.get("acr_values"),
        searchParams.get("max_age"),
      ]),
    ).toEqual([
      ["mfa phr", null],
      ["mfa phr", "60"],
    ]);
  });

  test("is RFC 9470's for whoever is no browser", async () => {
    const browser = await signedIn();
    const { status, headers } = await browser.go(`${gate.url}/strong/x`, { headers: API });
    expect(status).toBe(401);
    expect(headers.get("www-authenticate")).toBe(
      'Bearer realm="claimgate", error="insufficient_user_authentication", acr_values="mfa phr"',
    );
  });

  test.each(["max_age=-1", "max_age=1e9", "max_age=99999999999", "acr_values=%22", "acr_values="])(
    "cannot be made up as %s",
    async (query) => {
      const answer = await openBrowser().go(`${gate.url}/.claimgate/login?return=/&${query}`);
      expect(answer.status).toBe(400);
    },
  );
});
