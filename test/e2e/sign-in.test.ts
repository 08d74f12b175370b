import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Browser, type Hop, lastOf, openBrowser } from "../login/browser.ts";
import { freePort } from "../support/free-port.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { createSigner } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type RunningServe, serve, until } from "./claimgate.ts";
import { type ProviderProcess, startProvider } from "./provider-process.ts";

const TEST_LIMIT_MS = 60_000;
const API = { Accept: "application/json", "Sec-Fetch-Mode": "cors" };

let provider: ProviderProcess;
let upstream: RecordingUpstream;
let folder: TempFolder;
let gate: RunningServe;
let url: string;

const CLIENTS = {
  basic: { token_endpoint_auth_method: "client_secret_basic", client_secret: "with:colon & more%" },
  post: { token_endpoint_auth_method: "client_secret_post", client_secret: "for-this-test-only" },
  key: { token_endpoint_auth_method: "private_key_jwt" },
  public: { token_endpoint_auth_method: "none" },
} as const;

beforeAll(async () => {
  const [signer, clientKey] = await Promise.all([createSigner("RS256"), createSigner("ES256")]);
  const [port, providerPort] = [freePort(), freePort()];
  url = `http://localhost:${port}`;
  const common = {
    redirect_uris: [`${url}/.claimgate/callback`],
    post_logout_redirect_uris: [`${url}/.claimgate/signed-out`],
    backchannel_logout_uri: `http://127.0.0.1:${port}/.claimgate/backchannel-logout`,
    backchannel_logout_session_required: true,
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
  };
  provider = await startProvider({
    port: providerPort,
    keys: [signer.privateJwk],
    resources: {},
    signIn: {
      clients: Object.entries(CLIENTS).map(([client_id, client]) => ({
        client_id,
        ...common,
        ...client,
        ...(client_id === "key" && { jwks: { keys: [clientKey.publicJwk] } }),
      })),
      people: { alice: { roles: ["staff"] }, bob: { roles: ["guest"] } },
      ttl: { IdToken: 4, AccessToken: 4 },
    },
  });
  upstream = recordingUpstream();
  const login: Record<keyof typeof CLIENTS, string> = {
    basic: `{ clientId: basic, clientSecret: "with:colon & more%", scopes: [openid, offline_access] }`,
    post: `{ clientId: post, clientSecret: for-this-test-only, clientAuth: post }`,
    key: `{ clientId: key, clientKey: "file:client.jwk", clientAuth: private_key_jwt }`,
    public: `{ clientId: public, clientAuth: none }`,
  };
  const issuers = Object.entries(login).map(
    ([name, one]) => `  - { name: ${name}, issuer: ${provider.issuer}, login: ${one} }`,
  );
  const routes = Object.keys(login).map(
    (name) =>
      `  - { name: ${name}, match: { path: /${name}/* }, upstream: "${upstream.origin}", issuers: [${name}], login: ${name}, policies: [{ require-roles: { anyOf: [staff] } }], identityHeaders: { X-User: sub } }`,
  );
  folder = await tempFolder({
    "claimgate.yaml": `listen: 127.0.0.1:${port}
publicUrl: ${url}
session: { refresh: 2s }
issuers:
${issuers.join("\n")}
routes:
${routes.join("\n")}
`,
    "client.jwk": JSON.stringify(clientKey.privateJwk),
  });
  gate = await serve([], { folder: folder.path });
}, TEST_LIMIT_MS);

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

/** What a person does at the provider's pages: a name, any password, and yes. */
async function signIn(browser: Browser, start: string, name: string): Promise<Hop> {
  let last = lastOf(await browser.follow(start));
  for (const prompt of ["login", "consent"]) {
    if (!last.url.includes("/interaction/")) break;
    const form = new URLSearchParams({ prompt, login: name, password: "any" });
    last = lastOf(await browser.follow(last.url, { method: "POST", body: form }));
  }
  return last;
}

describe("with oidc-provider", () => {
  test.each(Object.keys(CLIENTS))(
    "a person signs in through client %s",
    async (client) => {
      const browser = openBrowser();
      const last = await signIn(browser, `${url}/${client}/page?q=1`, "alice");
      expect([last.status, last.url]).toEqual([200, `${url}/${client}/page?q=1`]);
      expect(upstream.seen.at(-1)?.headers.get("x-user")).toBe("alice");
    },
    TEST_LIMIT_MS,
  );

  test("a person without the role is denied, with a page that says so", async () => {
    const last = await signIn(openBrowser(), `${url}/basic/`, "bob");
    expect([last.status, last.url]).toEqual([403, `${url}/basic/`]);
    expect(last.text).toContain("claimgate explain");
    expect(last.text).not.toContain("staff");
    expect(last.text).toContain('href="/.claimgate/logout">Sign in as somebody else</a>');
  });

  test(
    "a session outlives its tokens, by its refresh token",
    async () => {
      const browser = openBrowser();
      expect((await signIn(browser, `${url}/basic/`, "alice")).status).toBe(200);
      const ends = performance.now() + 6_500;
      while (performance.now() < ends) {
        const answers = await Promise.all(
          Array.from({ length: 10 }, () => browser.go(`${url}/basic/`, { headers: API })),
        );
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        await Bun.sleep(500);
      }
    },
    TEST_LIMIT_MS,
  );

  test(
    "signing out at the gate signs out at the provider, and back",
    async () => {
      const browser = openBrowser();
      await signIn(browser, `${url}/basic/`, "alice");
      const headers = { Origin: url };
      const logout = `${url}/.claimgate/logout`;
      const asked = lastOf(await browser.follow(logout, { method: "POST", headers }));
      // The provider asks, too, by a form of its own.
      const [, xsrf = ""] = /name="xsrf" value="([^"]+)"/.exec(asked.text) ?? [];
      const body = new URLSearchParams({ xsrf, logout: "yes" });
      const confirm = `${provider.issuer}/session/end/confirm`;
      const last = lastOf(await browser.follow(confirm, { method: "POST", body }));
      expect(last.url).toBe(`${url}/.claimgate/signed-out`);
      expect((await browser.go(`${url}/basic/`, { headers: API })).status).toBe(401);
      // Nor does the provider know the person any more.
      expect(lastOf(await browser.follow(`${url}/basic/`)).url).toContain("/interaction/");
    },
    TEST_LIMIT_MS,
  );

  test(
    "signing out at the provider ends the session here, by its back channel",
    async () => {
      const browser = openBrowser();
      await signIn(browser, `${url}/post/`, "alice");
      expect((await browser.go(`${url}/post/`, { headers: API })).status).toBe(200);
      const page = await browser.go(`${provider.issuer}/session/end`);
      const [, xsrf = ""] = /name="xsrf" value="([^"]+)"/.exec(page.text) ?? [];
      const body = new URLSearchParams({ xsrf, logout: "yes" });
      await browser.go(`${provider.issuer}/session/end/confirm`, { method: "POST", body });
      await until("the refusal", 2_000, async () => {
        return (await browser.go(`${url}/post/`, { headers: API })).status === 401;
      });
    },
    TEST_LIMIT_MS,
  );
});
