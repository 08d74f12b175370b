import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { freePort } from "../support/free-port.ts";
import { type Browser, lastOf, openBrowser } from "./browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "./login-gate.ts";
import { type MockProvider, startMockProvider } from "./mock-provider.ts";

const API = { Accept: "application/json", "Sec-Fetch-Mode": "cors" };
const MINUTE_MS = 60_000;
/** Of gates that are opened one after another. */
const ANOTHER_PORT = freePort();

let provider: MockProvider;
let gate: LoginGate;
/** Of the same store and secrets, as another machine's would be. */
let twin: LoginGate;

const config = ({ upstream }: { upstream: string }) => ({
  session: { idle: "30m", lifetime: "2h", refresh: "5m" },
  issuers: [issuerEntry(provider.issuer, "provider", {}, { claims: { roles: "realm.roles" } })],
  routes: [
    {
      name: "tool",
      upstream,
      login: true,
      policies: ["staff"],
      identityHeaders: { "X-Roles": "roles", "X-Count": "count" },
    },
  ],
});

const STAFF = `
import { allow, definePolicy, deny, Type } from "claimgate";
export default definePolicy({
  description: "Staff alone",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  evaluate: ({ claims }) => (claims.roles.includes("staff") ? allow() : deny("staff_only", "")),
  cases: [{ name: "staff", claims: { roles: ["staff"] }, expect: "allow" }],
});
`;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openLoginGate({ config, files: { "policies/staff.ts": STAFF } });
  twin = await openLoginGate({ config, folder: gate.folder });
});

afterAll(async () => {
  await twin?.[Symbol.asyncDispose]();
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  gate.clock.aheadMs = 0;
  twin.clock.aheadMs = 0;
  provider.failure = undefined;
  provider.claims = { realm: { roles: ["staff"] } };
  provider.answer = {};
  provider.tokenRequests.length = 0;
});

async function signedIn(at = gate): Promise<Browser> {
  const browser = openBrowser();
  expect(lastOf(await browser.follow(`${at.url}/`)).status).toBe(200);
  return browser;
}

const ask = (browser: Browser, at = gate) => browser.go(`${at.url}/`, { headers: API });
const refreshes = () =>
  provider.tokenRequests.filter(({ grant_type }) => grant_type === "refresh_token");
const ahead = (ms: number) => {
  gate.clock.aheadMs += ms;
  twin.clock.aheadMs += ms;
};

describe("claims of a session", () => {
  test("are the ID token's, mapped", async () => {
    await signedIn();
    expect(gate.upstream.seen.at(-1)?.headers.get("x-roles")).toBe("staff");
  });

  test("are renewed every `refresh`, so that what was taken away is gone", async () => {
    const browser = await signedIn();
    provider.claims = { realm: { roles: ["guest"] } };
    expect((await ask(browser)).status).toBe(200);
    ahead(5 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(403);
    expect(refreshes()).toHaveLength(1);
    provider.claims = {};
    ahead(5 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(403);
  });

  test("are renewed once for twenty requests at a time, over two gates", async () => {
    const browser = await signedIn();
    expect((await ask(browser, twin)).status).toBe(200);
    ahead(5 * MINUTE_MS);
    const many = Array.from({ length: 20 }, (_, at) => ask(browser, at % 2 === 0 ? gate : twin));
    const answers = await Promise.all(many);
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(refreshes()).toHaveLength(1);
    // What the provider gave instead is what is spent next.
    ahead(5 * MINUTE_MS);
    expect((await ask(browser, twin)).status).toBe(200);
    const [first, second] = refreshes();
    expect(second?.refresh_token).not.toBe(first?.refresh_token ?? "");
  });

  test("end with the session when the provider refuses to renew them, in every gate", async () => {
    const browser = await signedIn();
    expect((await ask(browser, twin)).status).toBe(200);
    provider.failure = { status: 400, body: { error: "invalid_grant" } };
    ahead(5 * MINUTE_MS);
    const answer = await ask(browser);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([401, "token_missing"]);
    provider.failure = undefined;
    expect((await ask(browser)).status).toBe(401);
    expect((await ask(browser, twin)).status).toBe(401);
  });

  test.each([
    ["another person's ID token", { claims: { sub: "mallory" } }],
    ["an ID token for another client", { claims: { aud: "someone-else" } }],
    ["an expired ID token", { claims: { exp: 1 } }],
  ])("end with the session when %s comes back", async (_, change) => {
    const browser = await signedIn();
    Object.assign(provider, change);
    ahead(5 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(401);
    expect((await ask(browser, twin)).status).toBe(401);
  });

  test("outlive a provider that is down, until they expire by its own word", async () => {
    provider.answer = { expires_in: 600 };
    provider.claims = { realm: { roles: ["staff"] }, exp: Math.floor(Date.now() / 1_000) + 600 };
    const browser = await signedIn();
    provider.failure = { status: 503, body: {} };
    ahead(6 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(200);
    // Not asked again by each request.
    const asked = refreshes().length;
    expect((await ask(browser)).status).toBe(200);
    expect(refreshes()).toHaveLength(asked);
    ahead(5 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(401);
    // And come back with it.
    provider.failure = undefined;
    provider.answer = {};
    provider.claims = { realm: { roles: ["staff"] } };
    ahead(MINUTE_MS);
    expect((await ask(browser)).status).toBe(200);
  });

  test("do not end when the provider does not know the client any more", async () => {
    const browser = await signedIn();
    provider.failure = { status: 401, body: { error: "invalid_client" } };
    ahead(5 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(200);
  });

  test("without a refresh token are as long as the session", async () => {
    provider.answer = { refresh_token: undefined, expires_in: 60 };
    const browser = await signedIn();
    ahead(20 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(200);
    expect(refreshes()).toHaveLength(0);
  });

  test("that the provider left out because they are too many are told of", async () => {
    provider.claims = {
      realm: { roles: ["staff"] },
      _claim_names: { groups: "src1" },
      _claim_sources: { src1: { endpoint: "https://graph.example/me/groups" } },
    };
    await signedIn();
    const line = gate.log.find(({ event }) => event === "claims_overage");
    expect(String(line?.message)).toContain("groups");
  });
});

describe("a session", () => {
  beforeEach(() => {
    provider.answer = { refresh_token: undefined };
  });

  test("ends when nobody has used it for `idle`, and not before", async () => {
    const browser = await signedIn();
    for (let hour = 0; hour < 3; hour += 1) {
      ahead(25 * MINUTE_MS);
      expect((await ask(browser)).status).toBe(200);
      await gate.told();
    }
    ahead(31 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(401);
    expect((await ask(browser, twin)).status).toBe(401);
  });

  test("that is used at one gate is in use for the other", async () => {
    const browser = await signedIn();
    expect((await ask(browser, twin)).status).toBe(200);
    ahead(25 * MINUTE_MS);
    expect((await ask(browser, twin)).status).toBe(200);
    await twin.told();
    ahead(25 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(200);
  });

  test("ends after `lifetime`, however much it is used", async () => {
    const browser = await signedIn();
    for (let count = 0; count < 5; count += 1) {
      ahead(23 * MINUTE_MS);
      expect((await ask(browser)).status).toBe(200);
      await gate.told();
    }
    ahead(6 * MINUTE_MS);
    expect((await ask(browser)).status).toBe(401);
  });

  test("outlives a restart, and so does a sign-in under way", async () => {
    const browser = openBrowser();
    let away: string;
    {
      await using first = await openLoginGate({ config, folder: gate.folder, port: ANOTHER_PORT });
      await browser.follow(`${first.url}/`);
      const begun = await browser.go(`${first.url}/.claimgate/login?return=/later`);
      away = begun.headers.get("location") ?? "";
    }
    await using second = await openLoginGate({ config, folder: gate.folder, port: ANOTHER_PORT });
    expect((await ask(browser, second)).status).toBe(200);
    const last = lastOf(await browser.follow(away));
    expect([last.status, last.url]).toEqual([200, `${second.url}/later`]);
  });

  test("of a subject that is revoked is refused, and one signed in afterwards is not", async () => {
    const browser = await signedIn();
    const atMs = Date.now();
    const subject = { kind: "subject", issuer: provider.issuer, value: "alice" } as const;
    const why = { reason: "", author: "cli", atMs, untilMs: atMs + 3_600_000 };
    await gate.gate.ledger.revocations.revoke({ ...subject, ...why });
    const answer = await ask(browser);
    expect([answer.status, JSON.parse(answer.text).code]).toEqual([401, "token_revoked"]);
    ahead(2_000);
    const after = await signedIn();
    expect((await ask(after)).status).toBe(200);
    await gate.gate.ledger.revocations.unrevoke("subject", provider.issuer, "alice");
  });
});

describe("secrets", () => {
  test("may be changed: the first writes, all read", async () => {
    const secrets = ["a".repeat(40), "b".repeat(40)];
    const withSecrets = (secret: readonly string[]) => (about: { upstream: string }) => ({
      ...config(about),
      session: { secret },
    });
    const browser = openBrowser();
    const one = { folder: gate.folder, port: ANOTHER_PORT };
    {
      await using old = await openLoginGate({ ...one, config: withSecrets([secrets[0] ?? ""]) });
      await browser.follow(`${old.url}/`);
    }
    {
      await using both = await openLoginGate({
        ...one,
        config: withSecrets([...secrets].reverse()),
      });
      expect((await ask(browser, both)).status).toBe(200);
    }
    await using other = await openLoginGate({ ...one, config: withSecrets([secrets[1] ?? ""]) });
    expect((await ask(browser, other)).status).toBe(401);
  });
});
