import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { until } from "../e2e/claimgate.ts";
import { createSigner } from "../support/signer.ts";
import { type Browser, lastOf, openBrowser } from "./browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "./login-gate.ts";
import { type MockProvider, startMockProvider } from "./mock-provider.ts";

const API = { Accept: "application/json", "Sec-Fetch-Mode": "cors" };
const EVENT = "http://schemas.openid.net/event/backchannel-logout";

let provider: MockProvider;
let gate: LoginGate;
let twin: LoginGate;

const config = ({ upstream }: { upstream: string }) => ({
  issuers: [issuerEntry(provider.issuer)],
  routes: [{ name: "tool", upstream, login: true, anyAuthenticated: true }],
});

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openLoginGate({ config });
  twin = await openLoginGate({ config, folder: gate.folder });
});

afterAll(async () => {
  await twin?.[Symbol.asyncDispose]();
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

let sids = 0;
beforeEach(() => {
  sids += 1;
  provider.claims = { sid: `sid-${sids}`, sub: `person-${sids}` };
});

async function signedIn(): Promise<Browser> {
  const browser = openBrowser();
  expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(200);
  return browser;
}

const ask = (browser: Browser, at = gate) => browser.go(`${at.url}/`, { headers: API });
const signOut = (browser: Browser, headers: Record<string, string>) =>
  browser.go(`${gate.url}/.claimgate/logout`, { method: "POST", headers });

describe("signing out", () => {
  test("is asked on a page with one button, which works", async () => {
    const browser = await signedIn();
    const page = await browser.go(`${gate.url}/.claimgate/logout`);
    expect(page.status).toBe(200);
    expect(page.text.match(/<button/g)).toHaveLength(1);
    expect(page.text).toContain('<form method="post" action="/.claimgate/logout">');
    expect((await ask(browser)).status).toBe(200);
    // A form without a referrer would have `Origin: null`.
    expect(page.headers.get("referrer-policy")).toBe("same-origin");
  });

  test("ends the session at once, here and everywhere, and goes on to the provider", async () => {
    const browser = await signedIn();
    expect((await ask(browser, twin)).status).toBe(200);
    const id = browser.cookies.get("localhost")?.get("claimgate") ?? "";
    const answer = await signOut(browser, { Origin: gate.url });
    expect(answer.status).toBe(303);
    const to = new URL(answer.headers.get("location") ?? "");
    expect(`${to.origin}${to.pathname}`).toBe(`${provider.issuer}/endsession`);
    expect(to.searchParams.get("post_logout_redirect_uri")).toBe(
      `${gate.url}/.claimgate/signed-out`,
    );
    expect(to.searchParams.get("id_token_hint")?.split(".")).toHaveLength(3);
    expect(browser.cookies.get("localhost")?.has("claimgate")).toBe(false);

    browser.cookies.get("localhost")?.set("claimgate", id);
    const refused = await ask(browser);
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([401, "token_missing"]);
    await until(
      "the other gate's refusal",
      1_000,
      async () => (await ask(browser, twin)).status === 401,
    );
    expect((await browser.go(`${gate.url}/`)).status).toBe(302);
  });

  test("by a browser that says only where it comes from, not of what origin", async () => {
    const browser = await signedIn();
    expect((await signOut(browser, { "Sec-Fetch-Site": "same-origin" })).status).toBe(303);
    expect((await ask(browser)).status).toBe(401);
  });

  test("without a session goes to the page that says so", async () => {
    const answer = await signOut(openBrowser(), { Origin: gate.url });
    expect(answer.headers.get("location")).toBe(`${gate.url}/.claimgate/signed-out`);
  });

  test.each([
    ["another site", { Origin: "https://evil.example" }],
    ["a page without an origin", { Origin: "null" }],
    ["another port", { Origin: "http://localhost:1" }],
    [
      "another site, whatever the rest says",
      { Origin: "https://evil.example", "Sec-Fetch-Site": "same-origin" },
    ],
    ["another site of the same domain", { "Sec-Fetch-Site": "same-site" }],
    ["nobody knows where", {}],
  ] as [string, Record<string, string>][])("is not done for %s", async (_, headers) => {
    const browser = await signedIn();
    const answer = await signOut(browser, { ...headers, Accept: "application/json" });
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([403, "cross_site"]);
    expect((await ask(browser)).status).toBe(200);
  });
});

describe("a logout token", () => {
  const good = (more: object = {}) => {
    const iat = Math.floor(Date.now() / 1_000);
    const usual = {
      iss: provider.issuer,
      aud: "gate",
      iat,
      exp: iat + 120,
      jti: crypto.randomUUID(),
    };
    return { ...usual, events: { [EVENT]: {} }, sid: `sid-${sids}`, ...more };
  };
  const sendText = (body: string, headers: Record<string, string> = {}) =>
    openBrowser().go(`${twin.url}/.claimgate/backchannel-logout`, {
      method: "POST",
      body,
      headers: { Accept: "*/*", "Content-Type": "application/x-www-form-urlencoded", ...headers },
    });
  const send = (token: string) => sendText(`logout_token=${token}`);
  const isOut = async (browser: Browser, at: LoginGate) => (await ask(browser, at)).status === 401;

  test.each([
    ["sid", { sub: undefined }],
    ["sub", { sid: undefined }],
  ])("with a %s ends the session in every gate within a second", async (name) => {
    const browser = await signedIn();
    expect((await ask(browser, twin)).status).toBe(200);
    const who = name === "sid" ? {} : { sid: undefined, sub: `person-${sids}` };
    const answer = await send(await provider.jwt(good(who), { typ: "logout+jwt" }));
    expect([answer.status, answer.headers.get("cache-control")]).toEqual([200, "no-store"]);
    expect(await isOut(browser, twin)).toBe(true);
    await until("the other gate's refusal", 1_000, () => isOut(browser, gate));
    expect((await browser.go(`${gate.url}/`)).status).toBe(302);
    // A provider that goes on with a session that it has ended is not followed in circles.
    if (name === "sid") expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(400);
    provider.claims = { sid: `${sids}-again`, sub: `person-${sids}` };
    gate.clock.aheadMs += 1_000;
    expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(200);
    gate.clock.aheadMs = 0;
  });

  test("with another sid leaves the session be", async () => {
    const browser = await signedIn();
    expect((await send(await provider.jwt(good({ sid: "another" })))).status).toBe(200);
    expect(await isOut(browser, twin)).toBe(false);
  });

  test("is good for once", async () => {
    const token = await provider.jwt(good({ sid: "replayed" }));
    expect((await send(token)).status).toBe(200);
    expect((await send(token)).status).toBe(400);
  });

  const now = () => Math.floor(Date.now() / 1_000);
  test.each([
    ["for another client", () => good({ aud: "someone-else" })],
    ["of an unknown issuer", () => good({ iss: "https://evil.example" })],
    ["made long ago", () => good({ iat: now() - 3_600 })],
    ["made in the future", () => good({ iat: now() + 3_600 })],
    ["that has expired", () => good({ exp: now() - 60 })],
    ["without iat", () => good({ iat: undefined })],
    ["without jti", () => good({ jti: undefined })],
    ["with a nonce, as ID tokens have", () => good({ nonce: "n" })],
    ["without the event", () => good({ events: {} })],
    ["with another event", () => good({ events: { "https://other": {} } })],
    ["with an event that is no object", () => good({ events: { [EVENT]: true } })],
    ["that names nobody", () => good({ sid: undefined })],
    ["with a sid that is no text", () => good({ sid: 7 })],
  ])("%s is refused", async (_, claims) => {
    const browser = await signedIn();
    const answer = await send(await provider.jwt(claims()));
    expect(answer.status).toBe(400);
    expect(await isOut(browser, twin)).toBe(false);
  });

  test.each([
    ["an access token's type", { typ: "at+jwt" }],
    ["a key of its own", { jwk: { kty: "RSA" } }],
  ])("with %s is refused", async (_, header) => {
    expect((await send(await provider.jwt(good(), header))).status).toBe(400);
  });

  test("forged, unsigned, or no token at all is refused", async () => {
    const browser = await signedIn();
    const stranger = await createSigner("RS256");
    const kid = String(
      ((await (await fetch(`${provider.issuer}/jwks`)).json()) as { keys: { kid: string }[] })
        .keys[0]?.kid,
    );
    const forged = await stranger.sign(good(), { kid });
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const unsigned = `${part({ alg: "none" })}.${part(good())}.`;
    for (const token of [forged, unsigned, "", "a.b.c", "x".repeat(20_000)]) {
      expect((await send(token)).status).toBe(400);
    }
    const real = await provider.jwt(good());
    expect((await sendText(`logout_token=${real}&logout_token=${real}`)).status).toBe(400);
    expect((await sendText(real, { "Content-Type": "text/plain" })).status).toBe(400);
    expect((await sendText(`x=${"y".repeat(70_000)}`)).status).toBe(400);
    expect(await isOut(browser, twin)).toBe(false);
  });
});
