import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JWTPayload,
  jwtVerify,
} from "jose";
import { rotateDevelopmentKeys } from "../../src/identity/development-keys.ts";
import { type RunningIdp, startIdp } from "../../src/idp/server.ts";

// The example of RFC 7636, appendix B.
const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT = "http://127.0.0.1:3000/cb?app=1";

let folder: string;
let idp: RunningIdp;
let clock: { ms: number };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "claimgate-idp-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  clock = { ms: Date.now() };
  idp = await open();
});
afterEach(() => idp.stop());

function open(options: Partial<Parameters<typeof startIdp>[0]> = {}): Promise<RunningIdp> {
  const now = () => clock.ms;
  return startIdp({ hostname: "127.0.0.1", port: 0, folder, audience: "dev", now, ...options });
}

type Fields = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A list repeats its name; an undefined member is left out. */
function encode(fields: Fields): URLSearchParams {
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((one) => [name, one] as [string, string]),
  );
  return new URLSearchParams(pairs);
}

const post = (path: string, fields: Fields, headers: Record<string, string> = {}) =>
  fetch(`${idp.url}${path}`, { method: "POST", body: encode(fields), headers, redirect: "manual" });

const authorize = (changes: Fields = {}) =>
  fetch(
    `${idp.url}/authorize?${encode({
      response_type: "code",
      client_id: "app",
      redirect_uri: REDIRECT,
      scope: "openid profile",
      state: "s t&te",
      nonce: "n-1",
      code_challenge: CHALLENGE,
      code_challenge_method: "S256",
      ...changes,
    })}`,
    { redirect: "manual" },
  );

type Tokens = {
  readonly access_token: string;
  readonly id_token?: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly scope?: string;
};
const tokensOf = async (response: Response) => (await response.json()) as Tokens;

type KeySet = { readonly keys: readonly { readonly kid: string }[] };
const keySet = async () => (await (await fetch(`${idp.url}/jwks`)).json()) as KeySet;

const signInIdOf = (page: string) => / name="sign_in" value="([^"]+)"/.exec(page)?.[1] ?? "";

async function answerPage(answer: Fields = {}, changes: Fields = {}, headers = {}) {
  const sign_in = signInIdOf(await (await authorize(changes)).text());
  const alice = { sign_in, choice: "sign_in", subject: "alice", roles: "staff,admin" };
  return post("/authorize", { ...alice, ...answer }, headers);
}

async function getCode(changes: Fields = {}): Promise<string> {
  const response = await answerPage({}, changes);
  return new URL(response.headers.get("location") ?? "").searchParams.get("code") ?? "";
}

const redeem = (code: string, changes: Fields = {}) =>
  post("/token", {
    grant_type: "authorization_code",
    client_id: "app",
    code,
    redirect_uri: REDIRECT,
    code_verifier: VERIFIER,
    ...changes,
  });

async function verified(token: string, audience: string): Promise<JWTPayload> {
  const keys = createRemoteJWKSet(new URL(`${idp.url}/jwks`));
  const { payload } = await jwtVerify(token, keys, {
    issuer: idp.url,
    audience,
    currentDate: new Date(clock.ms),
  });
  return payload;
}

/** What a raw request is answered, for a `Host` that fetch would not send. */
function statusFor(host: string, path = "/jwks"): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const socket = connect(Number(new URL(idp.url).port), "127.0.0.1", () =>
    socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
  );
  socket.on("data", (bytes) => resolve(Number(bytes.toString("latin1").split(" ")[1])));
  socket.on("error", reject);
  return promise.finally(() => socket.destroy());
}

describe("startIdp()", () => {
  test.each(["0.0.0.0", "::", "192.168.1.5", "example.com", "x.localhost", "::ffff:10.0.0.1", ""])(
    "refuses to listen on %p",
    async (hostname) => {
      await expect(open({ hostname })).rejects.toMatchObject({ code: "usage_wrong" });
    },
  );

  test.each([
    ["[::1]", /^http:\/\/\[::1\]:\d+$/],
    ["localhost", /^http:\/\/localhost:\d+$/],
    ["127.0.0.2", /^http:\/\/127\.0\.0\.2:\d+$/],
    ["::1", /^http:\/\/\[::1\]:\d+$/],
  ])("listens on %s", async (hostname, url) => {
    const other = await open({ hostname });
    expect(other.url).toMatch(url);
    const discovery = await fetch(`${other.url}/.well-known/openid-configuration`);
    expect(await discovery.json()).toMatchObject({ issuer: other.url });
    await other.stop();
  });

  test("names a port that is taken", async () => {
    const port = Number(new URL(idp.url).port);
    await expect(open({ port })).rejects.toMatchObject({
      code: "port_taken",
      message: expect.stringContaining(`${port}`),
    });
  });

  test("mints a token that its own key set verifies", async () => {
    const token = await idp.mint({ subject: "bob", audience: ["x"], claims: { roles: ["staff"] } });
    expect(await verified(token, "x")).toMatchObject({ sub: "bob", roles: ["staff"] });
  });
});

describe("discovery", () => {
  test.each(["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"])(
    "tells at %s where everything is",
    async (path) => {
      expect(await (await fetch(`${idp.url}${path}`)).json()).toMatchObject({
        issuer: idp.url,
        authorization_endpoint: `${idp.url}/authorize`,
        token_endpoint: `${idp.url}/token`,
        userinfo_endpoint: `${idp.url}/userinfo`,
        jwks_uri: `${idp.url}/jwks`,
        end_session_endpoint: `${idp.url}/logout`,
        code_challenge_methods_supported: ["S256"],
        authorization_response_iss_parameter_supported: true,
      });
    },
  );

  test("shows no private half of a key", async () => {
    const { keys } = await keySet();
    const members = ["alg", "crv", "kid", "kty", "use", "x", "y"];
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([members]);
  });

  test("answers 404 to other paths", async () => {
    expect((await fetch(`${idp.url}/other`)).status).toBe(404);
  });
});

describe("names of this machine", () => {
  test.each([
    "127.0.0.1",
    "127.0.0.1:80",
    "localhost:9400",
    "LOCALHOST",
    "app.localhost",
    "[::1]:1",
  ])("answers to %s", async (host) => expect(await statusFor(host)).toBe(200));

  test.each([
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "10.0.0.1",
    "a@b",
  ])("does not answer to %s", async (host) => expect(await statusFor(host)).toBe(421));

  test.each(["/jwks", "/token", "/userinfo"])("lets a page on loopback read %s", async (path) => {
    const origin = "http://localhost:5173";
    const response = await fetch(`${idp.url}${path}`, { method: "OPTIONS", headers: { origin } });
    expect(response.status).toBe(204);
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
  });

  test.each(["https://evil.example", "null", "http://localhost.evil.example"])(
    "lets no page of %s read a token",
    async (origin) => {
      const fields = { grant_type: "client_credentials", client_id: "app" };
      const response = await post("/token", fields, { origin });
      expect(response.headers.has("access-control-allow-origin")).toBe(false);
    },
  );
});

describe("client credentials", () => {
  const grant = { grant_type: "client_credentials", client_id: "job" };

  test("give an access token for the audience of the provider", async () => {
    const response = await post("/token", { ...grant, scope: "a b", roles: "staff, admin" });
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const answer = await tokensOf(response);
    expect(answer).toEqual({
      access_token: expect.any(String),
      token_type: "Bearer",
      expires_in: 3600,
      scope: "a b",
    });
    expect(decodeProtectedHeader(answer.access_token)).toMatchObject({
      alg: "ES256",
      typ: "at+jwt",
    });
    expect(await verified(answer.access_token, "dev")).toMatchObject({
      sub: "job",
      client_id: "job",
      scope: "a b",
      roles: ["staff", "admin"],
    });
  });

  test.each([
    [{ audience: "api" }, "api"],
    [{ resource: "https://api.example" }, "https://api.example"],
    [
      { resource: ["https://a.example", "https://b.example"] },
      ["https://a.example", "https://b.example"],
    ],
  ])("give a token for what %p asks", async (asked, aud) => {
    const { access_token } = await tokensOf(await post("/token", { ...grant, ...asked }));
    expect(decodeJwt(access_token).aud).toEqual(aud);
  });

  test.each([
    ["no grant type", { grant_type: undefined }, "invalid_request"],
    ["another grant type", { grant_type: "password" }, "unsupported_grant_type"],
    ["a parameter given twice", { client_id: ["a", "b"] }, "invalid_request"],
    ["a scope that is none", { scope: 'a "b"' }, "invalid_request"],
    ["a relative resource", { resource: "/api" }, "invalid_target"],
    ["a resource with fragment", { resource: "https://a.example/#x" }, "invalid_target"],
    ["an overlong client", { client_id: "c".repeat(257) }, "invalid_request"],
  ])("refuse %s", async (_, changes, error) => {
    const response = await post("/token", { ...grant, ...changes });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error });
  });

  test("refuse a body that is no form, and one without end", async () => {
    const send = (body: string, type: string) =>
      fetch(`${idp.url}/token`, { method: "POST", body, headers: { "content-type": type } });
    expect((await send('{"grant_type":"client_credentials"}', "application/json")).status).toBe(
      400,
    );
    const large = `grant_type=${"x".repeat(70_000)}`;
    expect((await send(large, "application/x-www-form-urlencoded")).status).toBe(413);
  });

  test("hold known clients to their secrets", async () => {
    await idp.stop();
    idp = await open({ clients: new Map([["job", "secret"], ["spa", ""]]) }); // biome-ignore format: one line
    const authorization = `Basic ${btoa("job:secret")}`;
    const basic = { ...grant, client_id: undefined };
    expect((await post("/token", basic, { authorization })).status).toBe(200);
    expect((await post("/token", { ...grant, client_secret: "secret" })).status).toBe(200);
    const wrong = await post("/token", { ...grant, client_secret: "guess" });
    expect(wrong.status).toBe(401);
    expect(wrong.headers.get("www-authenticate")).toStartWith("Basic ");
    expect(await wrong.json()).toMatchObject({ error: "invalid_client" });
    const asPublic = await post("/token", { ...grant, client_id: "spa" });
    expect(await asPublic.json()).toMatchObject({ error: "unauthorized_client" });
    expect((await authorize({ client_id: "other" })).status).toBe(400);
  });
});

describe("the sign-in page", () => {
  test("runs nothing, loads nothing and is framed by nobody", async () => {
    const response = await authorize();
    expect(response.status).toBe(200);
    const policy = response.headers.get("content-security-policy");
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; /);
    expect(policy).toContain("frame-ancestors 'none'");
    // With `no-referrer` browsers would hide the origin of the page's own answer.
    expect(response.headers.get("referrer-policy")).toBe("same-origin");
    expect(response.headers.get("cache-control")).toBe("no-store");
    const page = await response.text();
    expect(page).not.toMatch(/<script|<link|<img|src=|url\(|https?:\/\//);
  });

  test("escapes whatever the client sends", async () => {
    const mark = `"><script>alert('1')</script>&`;
    const page = await (await authorize({ client_id: mark, login_hint: mark })).text();
    expect(page).not.toContain("<script");
    expect(page).toContain("&quot;&gt;&lt;script&gt;");
  });

  test.each([
    ["no client", { client_id: undefined }],
    ["no redirect_uri", { redirect_uri: undefined }],
    ["a redirect_uri elsewhere", { redirect_uri: "https://evil.example/cb" }],
    ["two redirect_uris", { redirect_uri: [REDIRECT, "http://127.0.0.1:4000/"] }],
    ["an overlong state", { state: "s".repeat(2_049) }],
  ])("tells the person, and never redirects, with %s", async (_, changes) => {
    const response = await authorize(changes);
    expect(response.status).toBe(400);
    expect(response.headers.has("location")).toBe(false);
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(await response.text()).not.toContain("evil.example");
  });

  test.each([
    ["another response type", { response_type: "token" }, "unsupported_response_type"],
    ["no response type", { response_type: undefined }, "invalid_request"],
    ["a response mode", { response_mode: "fragment" }, "invalid_request"],
    ["no PKCE", { code_challenge: undefined }, "invalid_request"],
    ["PKCE without method", { code_challenge_method: undefined }, "invalid_request"],
    ["plain PKCE", { code_challenge_method: "plain" }, "invalid_request"],
    ["prompt=none", { prompt: "none" }, "login_required"],
    ["a request object", { request: "a.b.c" }, "request_not_supported"],
    ["a request_uri", { request_uri: "urn:x" }, "request_uri_not_supported"],
    ["a resource that is none", { resource: "x" }, "invalid_target"],
    ["a nonce given twice", { nonce: ["a", "b"] }, "invalid_request"],
  ])("sends the client an error for %s", async (_, changes, error) => {
    const response = await authorize(changes);
    expect(response.status).toBe(303);
    const location = response.headers.get("location") ?? "";
    expect(location).toStartWith(`${REDIRECT}&error=`);
    const sent = Object.fromEntries(new URL(location).searchParams);
    expect(sent).toMatchObject({ error, state: "s t&te", iss: idp.url });
    expect(sent).not.toHaveProperty("code");
  });

  test("answers with code, state and iss", async () => {
    const response = await answerPage();
    expect(response.status).toBe(303);
    const location = response.headers.get("location") ?? "";
    expect(location).toStartWith(`${REDIRECT}&code=`);
    expect(Object.fromEntries(new URL(location).searchParams)).toEqual({
      app: "1",
      code: expect.stringMatching(/^[\w-]{43}$/),
      state: "s t&te",
      iss: idp.url,
    });
  });

  test("tells the client that the person cancelled", async () => {
    const response = await answerPage({ choice: "cancel" });
    const location = new URL(response.headers.get("location") ?? "");
    expect(location.searchParams.get("error")).toBe("access_denied");
    expect(location.searchParams.get("state")).toBe("s t&te");
  });

  test("comes back with what was typed, and can then be answered", async () => {
    const again = await answerPage({ subject: " ", roles: "a<b" });
    expect(again.status).toBe(400);
    const page = await again.text();
    expect(page).toContain('role="alert"');
    expect(page).toContain('value="a&lt;b"');
    const sign_in = signInIdOf(page);
    const response = await post("/authorize", { sign_in, choice: "sign_in", subject: "dora" });
    expect(response.status).toBe(303);
  });

  test("is answered once, and within ten minutes", async () => {
    const sign_in = signInIdOf(await (await authorize()).text());
    const answer = { sign_in, choice: "sign_in", subject: "alice" };
    expect((await post("/authorize", answer)).status).toBe(303);
    expect((await post("/authorize", answer)).status).toBe(400);
    const late = signInIdOf(await (await authorize()).text());
    clock.ms += 600_000;
    expect((await post("/authorize", { ...answer, sign_in: late })).status).toBe(400);
  });

  test("takes no answer from another site", async () => {
    for (const headers of [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "http://127.0.0.1:3000" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ]) {
      const response = await answerPage({}, {}, headers);
      expect([response.status, response.headers.has("location")]).toEqual([400, false]);
    }
    const own = { origin: idp.url, "sec-fetch-site": "same-origin" };
    expect((await answerPage({}, {}, own)).status).toBe(303);
  });
});

describe("codes", () => {
  test("give an access token and an ID token of the person", async () => {
    const code = await getCode({ acr_values: "mfa pwd", audience: "api" });
    const response = await redeem(code);
    expect(response.status).toBe(200);
    const answer = await tokensOf(response);
    const authTime = Math.floor(clock.ms / 1_000);
    const person = {
      sub: "alice",
      roles: ["staff", "admin"],
      name: "alice",
      preferred_username: "alice",
      auth_time: authTime,
      acr: "mfa",
    };
    expect(await verified(answer.access_token, "api")).toEqual({
      ...person,
      iss: idp.url,
      aud: "api",
      client_id: "app",
      scope: "openid profile",
      iat: authTime,
      exp: authTime + 3600,
      jti: expect.any(String),
    });
    const hash = new Bun.CryptoHasher("sha256").update(answer.access_token).digest();
    expect(await verified(answer.id_token ?? "", "app")).toEqual({
      ...person,
      iss: idp.url,
      aud: "app",
      nonce: "n-1",
      iat: authTime,
      exp: authTime + 3600,
      at_hash: Buffer.from(hash.subarray(0, 16)).toString("base64url"),
    });
    expect(decodeProtectedHeader(answer.id_token ?? "").typ).toBe("JWT");
  });

  test("give no ID token without the scope openid", async () => {
    const answer = await tokensOf(await redeem(await getCode({ scope: undefined })));
    expect(Object.keys(answer).sort()).toEqual(["access_token", "expires_in", "token_type"]);
  });

  test("are good once", async () => {
    const code = await getCode();
    expect((await redeem(code)).status).toBe(200);
    const again = await redeem(code);
    expect(again.status).toBe(400);
    expect(await again.json()).toMatchObject({ error: "invalid_grant" });
  });

  test("are good for a minute", async () => {
    const [inTime, late] = [await getCode(), await getCode()];
    clock.ms += 59_999;
    expect((await redeem(inTime)).status).toBe(200);
    clock.ms += 1;
    expect((await redeem(late)).status).toBe(400);
  });

  test.each([
    ["another client", { client_id: "other" }, "invalid_grant"],
    ["another redirect_uri", { redirect_uri: "http://127.0.0.1:3000/cb" }, "invalid_grant"],
    ["another verifier", { code_verifier: "a".repeat(43) }, "invalid_grant"],
    ["another code", { code: "a".repeat(43) }, "invalid_grant"],
    ["an audience beyond what was authorized", { audience: "other" }, "invalid_target"],
  ])("are refused with %s", async (_, changes, error) => {
    const code = await getCode({ audience: "api" });
    const response = await redeem(code, changes);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error });
  });

  test("are used up by a wrong verifier", async () => {
    const code = await getCode();
    await redeem(code, { code_verifier: "a".repeat(43) });
    expect((await redeem(code)).status).toBe(400);
  });

  test.each(["code", "redirect_uri", "code_verifier"])("need %s", async (name) => {
    const response = await redeem(await getCode(), { [name]: undefined });
    expect(await response.json()).toMatchObject({ error: "invalid_request" });
  });
});

describe("UserInfo", () => {
  const ask = (token: string) =>
    fetch(`${idp.url}/userinfo`, { headers: { authorization: `Bearer ${token}` } });

  test("tells of the person", async () => {
    const { access_token } = await tokensOf(await redeem(await getCode()));
    const response = await ask(access_token);
    expect(await response.json()).toEqual({
      sub: "alice",
      roles: ["staff", "admin"],
      name: "alice",
      preferred_username: "alice",
    });
  });

  test("refuses an ID token, an expired one, another issuer's, and none", async () => {
    const { access_token, id_token } = await tokensOf(await redeem(await getCode()));
    const foreign = await idp.mint({ subject: "a", claims: { iss: "x", scope: "openid" } });
    for (const token of [id_token ?? "", foreign, `${access_token}x`]) {
      const response = await ask(token);
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toContain('error="invalid_token"');
    }
    clock.ms += 3_600_000;
    expect((await ask(access_token)).status).toBe(401);
    const none = await fetch(`${idp.url}/userinfo`);
    expect([none.status, none.headers.get("www-authenticate")]).toEqual([
      401,
      'Bearer realm="claimgate idp"',
    ]);
  });

  test("needs the scope openid", async () => {
    const response = await ask(await idp.mint({ subject: "a" }));
    expect(response.status).toBe(403);
    expect(response.headers.get("www-authenticate")).toContain('error="insufficient_scope"');
  });
});

describe("rotation", () => {
  const kids = async () => (await keySet()).keys.map(({ kid }) => kid);

  test("signs with a new key, and old tokens still verify", async () => {
    const old = await idp.mint({ subject: "a" });
    const response = await fetch(`${idp.url}/rotate`, { method: "POST" });
    expect(response.status).toBe(200);
    const fresh = await idp.mint({ subject: "a" });
    expect(decodeProtectedHeader(fresh).kid).not.toBe(decodeProtectedHeader(old).kid ?? "");
    expect(await verified(old, "dev")).toMatchObject({ sub: "a" });
    expect(await verified(fresh, "dev")).toMatchObject({ sub: "a" });
    expect(await response.json()).toEqual({ keys: await kids() });
  });

  test("by another process counts at once", async () => {
    const [newest] = await rotateDevelopmentKeys(folder);
    expect((await kids())[0]).toBe(newest?.kid ?? "");
    expect(decodeProtectedHeader(await idp.mint({ subject: "a" })).kid).toBe(newest?.kid ?? "");
  });

  test("is not for pages, nor for GET", async () => {
    const before = await kids();
    for (const headers of [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: idp.url },
      { "sec-fetch-site": "cross-site" },
      { referer: "https://evil.example/" },
    ] as const) {
      const response = await fetch(`${idp.url}/rotate`, { method: "POST", headers });
      expect(response.status).toBe(403);
    }
    expect((await fetch(`${idp.url}/rotate`)).status).toBe(404);
    expect(await kids()).toEqual(before);
  });
});

describe("sign-out", () => {
  test("goes back to an address on this machine with the state", async () => {
    const back = {
      post_logout_redirect_uri: "http://localhost:8080/.claimgate/signed-out",
      state: "x",
    };
    const location = "http://localhost:8080/.claimgate/signed-out?state=x";
    const byGet = await fetch(`${idp.url}/logout?${encode(back)}`, { redirect: "manual" });
    expect([byGet.status, byGet.headers.get("location")]).toEqual([303, location]);
    const byPost = await post("/logout", back);
    expect([byPost.status, byPost.headers.get("location")]).toEqual([303, location]);
  });

  test("stays here otherwise", async () => {
    expect((await fetch(`${idp.url}/logout`)).status).toBe(200);
    const away = await post("/logout", { post_logout_redirect_uri: "https://evil.example/" });
    expect([away.status, away.headers.has("location")]).toEqual([400, false]);
  });
});
