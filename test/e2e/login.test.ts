import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import * as oauth from "oauth4webapi";
import { type Browser, type Hop, lastOf, openBrowser } from "../login/browser.ts";
import { compiledExecutable } from "../support/executable.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { createSigner, type Signer } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type RunningServe, run, serve, until } from "./claimgate.ts";
import { type ProviderProcess, startProvider } from "./provider-process.ts";

const TEST_LIMIT_MS = 60_000;
const AUDIENCE = "https://api.test";
/** So short that every use renews it first. */
const TOKEN_SECONDS = 30;

let provider: ProviderProcess;
let upstream: RecordingUpstream;
let elsewhere: RecordingUpstream;
let folder: TempFolder;
let gate: RunningServe;
let clientKey: Signer;
let origin: string;

beforeAll(async () => {
  const [signer, key] = await Promise.all([createSigner("RS256"), createSigner("ES256")]);
  clientKey = key;
  const machine = { grant_types: ["client_credentials"], redirect_uris: [], response_types: [] };
  provider = await startProvider({
    port: freePort(),
    keys: [signer.privateJwk],
    resources: { [AUDIENCE]: { alg: "RS256", lifetimeSeconds: TOKEN_SECONDS } },
    signIn: {
      clients: [
        {
          client_id: "cli",
          application_type: "native",
          token_endpoint_auth_method: "none",
          redirect_uris: ["http://127.0.0.1/callback"],
          response_types: ["code"],
          grant_types: [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:device_code",
          ],
        },
        {
          client_id: "robot",
          ...machine,
          token_endpoint_auth_method: "private_key_jwt",
          jwks: { keys: [clientKey.publicJwk] },
        },
      ],
      people: { alice: { roles: ["staff"] } },
      ttl: { AccessToken: TOKEN_SECONDS },
    },
  });
  elsewhere = recordingUpstream();
  upstream = recordingUpstream(({ target }) =>
    target === "/away" ? Response.redirect(`${elsewhere.origin}/got`, 302) : new Response("api"),
  );
  folder = await tempFolder({
    "claimgate.yaml": `listen: 127.0.0.1:${freePort()}
issuers:
  - { name: acme, issuer: ${provider.issuer}, audiences: ["${AUDIENCE}"] }
routes:
  - { name: api, upstream: "${upstream.origin}", anyAuthenticated: true, identityHeaders: { X-User: sub } }
`,
  });
  gate = await serve([], { folder: folder.path });
  origin = gate.urls[0];
  const token = await provider.token(AUDIENCE);
  await until("keys", 15_000, async () => {
    const headers = { Authorization: `Bearer ${token}` };
    return (await fetch(`${origin}/`, { headers })).status === 200;
  });
}, TEST_LIMIT_MS);

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
  await elsewhere?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

/** A person's machine, with a configuration folder of its own. */
async function openDesk() {
  const home = await tempFolder();
  const environment = { XDG_CONFIG_HOME: home.path };
  return {
    logins: join(home.path, "claimgate/logins"),
    run: (...args: string[]) => run(args, { folder: folder.path, environment }),
    /** `claimgate login`, which waits for the person. */
    async login(...args: string[]) {
      const child = Bun.spawn([await compiledExecutable(), "login", ...args], {
        cwd: folder.path,
        env: { ...process.env, ...environment },
        stdin: "ignore",
        stdout: "ignore",
        stderr: "pipe",
        timeout: TEST_LIMIT_MS,
      });
      let text = "";
      const reading = (async () => {
        const decoder = new TextDecoder();
        for await (const chunk of child.stderr) text += decoder.decode(chunk, { stream: true });
      })();
      return {
        async says(pattern: RegExp): Promise<string> {
          await until(String(pattern), 15_000, () => pattern.test(text));
          return pattern.exec(text)?.[1] ?? "";
        },
        async ended() {
          const exitCode = await child.exited;
          await reading;
          return { exitCode, err: text };
        },
      };
    },
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  };
}

/** What a person does at the provider's pages: a name, any password, and yes. */
async function answerPages(browser: Browser, first: Hop): Promise<Hop> {
  let last = first;
  for (const prompt of ["login", "consent"]) {
    if (!last.url.includes("/interaction/")) break;
    const form = new URLSearchParams({ prompt, login: "alice", password: "any" });
    last = lastOf(await browser.follow(last.url, { method: "POST", body: form }));
  }
  return last;
}

const SIGN_IN = ["--issuer", "acme", "--client-id", "cli", "--resource", AUDIENCE];
const SCOPES = ["--scope", "openid offline_access read"];

type Desk = Awaited<ReturnType<typeof openDesk>>;

async function signedIn(desk: Desk): Promise<void> {
  const login = await desk.login(...SIGN_IN, ...SCOPES);
  const address = await login.says(/^ {2}(http:\S+)$/m);
  const browser = openBrowser();
  const last = await answerPages(browser, lastOf(await browser.follow(address)));
  expect([last.status, new URL(last.url).pathname]).toEqual([200, "/callback"]);
  expect(await login.ended()).toMatchObject({ exitCode: 0 });
}

describeWith("curl", "claimgate login, whoami and curl", () => {
  test(
    "a browser signs in, the token is used and renewed, and logout forgets it",
    async () => {
      await using desk = await openDesk();
      expect(await desk.run("whoami")).toMatchObject({ exitCode: 1, out: "" });
      await signedIn(desk);
      const [name = ""] = await readdir(desk.logins);
      expect((await stat(join(desk.logins, name))).mode & 0o777).toBe(0o600);

      const who = JSON.parse((await desk.run("whoami", "--json")).out);
      expect(who).toMatchObject({
        issuer: provider.issuer,
        subject: "alice",
        scopes: ["read"],
        renewable: true,
        claims: { sub: "alice", roles: ["staff"] },
      });
      expect(who.origins).toContain(origin);
      expect(Date.parse(who.expiresAt)).toBeGreaterThan(Date.now());
      expect(Date.parse(who.expiresAt)).toBeLessThan(Date.now() + TOKEN_SECONDS * 2_000);
      expect((await desk.run("whoami")).out).toContain("subject  alice\n");

      const first = await Bun.file(join(desk.logins, name)).json();
      const answers = await Promise.all(
        Array.from({ length: 4 }, () => desk.run("curl", "-sS", `${origin}/orders/1`)),
      );
      for (const answer of answers) {
        expect(answer).toEqual({ exitCode: 0, out: "api", err: "" });
      }
      expect(upstream.seen.at(-1)?.headers.get("x-user")).toBe("alice");

      const used = await Bun.file(join(desk.logins, name)).json();
      expect(used.refreshToken).not.toBe(first.refreshToken);
      // A token that was spent twice would have ended the whole login at the provider.
      await desk.run("whoami");
      const kept = await Bun.file(join(desk.logins, name)).json();
      expect(kept.refreshToken).not.toBe(used.refreshToken);
      const out = await desk.run("login", "--logout");
      expect([out.exitCode, out.err]).toEqual([0, `Signed out of ${provider.issuer}.\n`]);
      expect(await readdir(desk.logins)).toEqual([]);
      const again = await fetch(`${provider.issuer}/token`, {
        method: "POST",
        body: new URLSearchParams({
          grant_type: "refresh_token",
          refresh_token: kept.refreshToken,
          client_id: "cli",
        }),
      });
      expect(again.status).toBe(400);
    },
    TEST_LIMIT_MS,
  );

  test(
    "a device code signs in without a browser here",
    async () => {
      await using desk = await openDesk();
      const login = await desk.login("--device", ...SIGN_IN, ...SCOPES);
      const address = await login.says(/open\n\n {2}(http:\S+)\n/);
      const code = await login.says(/enter the code\n\n {2}(\S+)\n/);
      const browser = openBrowser();
      const xsrfOf = ({ text }: Hop) => /name="xsrf" value="([^"]+)"/.exec(text)?.[1] ?? "";
      const entry = await browser.go(address);
      const entered = new URLSearchParams({ xsrf: xsrfOf(entry), user_code: code });
      const confirm = lastOf(await browser.follow(address, { method: "POST", body: entered }));
      const yes = new URLSearchParams({ xsrf: xsrfOf(confirm), user_code: code, confirm: "yes" });
      const pages = lastOf(await browser.follow(address, { method: "POST", body: yes }));
      expect((await answerPages(browser, pages)).status).toBe(200);
      expect(await login.ended()).toMatchObject({ exitCode: 0 });
      expect(await desk.run("curl", "-sS", `${origin}/`)).toMatchObject({ out: "api" });
    },
    TEST_LIMIT_MS,
  );

  test(
    "the token goes to nobody else, and is on no command line",
    async () => {
      await using desk = await openDesk();
      await signedIn(desk);
      elsewhere.seen.length = 0;
      const port = new URL(origin).port;
      for (const address of [
        `${elsewhere.origin}/x`,
        `http://api.test/x`,
        `http://127.0.0.1:${port}@other.test/`,
        `http://user@127.0.0.1:${port}/`,
        `https://127.0.0.1:${port}/`,
        `127.0.0.1:${port}/`,
        `file:///etc/hosts`,
        `http://127.0.0.{1,2}:${port}/`,
      ]) {
        const { exitCode, out } = await desk.run("curl", address);
        expect([address, [1, 2].includes(exitCode), out]).toEqual([address, true, ""]);
      }
      const two = await desk.run("curl", `${origin}/`, `${elsewhere.origin}/x`);
      expect(two.exitCode).toBe(2);
      expect(elsewhere.seen).toEqual([]);

      const away = await desk.run("curl", "-sSL", `${origin}/away`);
      expect([away.exitCode, away.out]).toEqual([0, "upstream"]);
      expect(elsewhere.seen.map(({ headers }) => headers.get("authorization"))).toEqual([null]);

      const [name = ""] = await readdir(desk.logins);
      const before = await Bun.file(join(desk.logins, name)).json();
      const trace = await commandLinesDuring(() => desk.run("curl", "-sS", `${origin}/`));
      const after = await Bun.file(join(desk.logins, name)).json();
      expect(trace).toContain("--config");
      expect(trace).not.toContain(before.accessToken);
      expect(trace).not.toContain(after.accessToken);
      expect(await readdir(desk.logins)).toEqual([name]);
    },
    TEST_LIMIT_MS,
  );

  test("input, method and headers are curl's own", async () => {
    await using desk = await openDesk();
    await signedIn(desk);
    const args = ["-sS", `${origin}/a?b=c`, "-X", "PUT", "-H", "X-Case: 7", "-d", "body"];
    expect(await desk.run("curl", ...args)).toMatchObject({ exitCode: 0, out: "api" });
    expect(upstream.seen.at(-1)).toMatchObject({ method: "PUT", target: "/a?b=c", body: "body" });
    expect(upstream.seen.at(-1)?.headers.get("x-case")).toBe("7");
    expect((await desk.run("curl", "-sSf", `${origin}/a`, "-o", "/no/where")).exitCode).toBe(23);
  });

  test("the development provider signs in, too", async () => {
    await using desk = await openDesk();
    const idp = Bun.spawn([await compiledExecutable(), "idp", "--port", "0", "--json"], {
      cwd: folder.path,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      timeout: TEST_LIMIT_MS,
    });
    try {
      const { value } = await idp.stdout.getReader().read();
      const { issuer } = JSON.parse(new TextDecoder().decode(value));
      const login = await desk.login("--issuer", issuer, "--for", "https://api.test");
      const browser = openBrowser();
      const page = await browser.go(await login.says(/^ {2}(http:\S+)$/m));
      const [, id = ""] = /name="sign_in" value="([^"]+)"/.exec(page.text) ?? [];
      const body = new URLSearchParams({ sign_in: id, choice: "sign_in", subject: "dora" });
      const last = lastOf(await browser.follow(`${issuer}/authorize`, { method: "POST", body }));
      expect([last.status, new URL(last.url).pathname]).toEqual([200, "/callback"]);
      expect(await login.ended()).toMatchObject({ exitCode: 0 });
      const who = JSON.parse((await desk.run("whoami", "--json")).out);
      expect(who).toMatchObject({ issuer, subject: "dora", origins: ["https://api.test"] });
    } finally {
      idp.kill("SIGKILL");
      await idp.exited;
    }
  });

  test("another page's answer to our port is nothing, and a refusal ends it", async () => {
    await using desk = await openDesk();
    const login = await desk.login(...SIGN_IN);
    const address = new URL(await login.says(/^ {2}(http:\S+)$/m));
    expect(address.searchParams.get("code_challenge_method")).toBe("S256");
    const callback = new URL(address.searchParams.get("redirect_uri") ?? "");
    expect(callback.hostname).toBe("127.0.0.1");
    const state = address.searchParams.get("state") ?? "";
    for (const query of [
      "",
      "?code=x",
      "?code=x&state=y",
      `?state=${state}x&error=access_denied`,
    ]) {
      expect((await fetch(`${callback.href}${query}`)).status).toBe(404);
    }
    const answer = new URLSearchParams({ state, error: "access_denied", iss: provider.issuer });
    expect((await fetch(`${callback.href}?${answer}`)).status).toBe(200);
    const { exitCode, err } = await login.ended();
    expect(exitCode).toBe(1);
    expect(err).toContain(`${provider.issuer} refused (provider_access_denied)`);
  });

  test("what nobody can sign in at is said", async () => {
    await using desk = await openDesk();
    for (const issuer of ["http://id.test", "nobody", "file:///x"]) {
      expect(await desk.run("login", "--issuer", issuer)).toMatchObject({ exitCode: 2 });
    }
    const dead = await desk.run("login", "--issuer", `http://127.0.0.1:${freePort()}`);
    expect(dead.exitCode).toBe(1);
    const plain = await desk.run("login", ...SIGN_IN, "--for", "http://api.test");
    expect([plain.exitCode, plain.err]).toEqual([
      2,
      "claimgate: --for takes an origin: https://host, or http:// on this machine\n",
    ]);
  });
});

/** All command lines on this machine, again and again until the work is done. */
async function commandLinesDuring(work: () => Promise<unknown>): Promise<string> {
  let isDone = false;
  const working = work().finally(() => {
    isDone = true;
  });
  const lines = new Set<string>();
  while (!isDone) {
    for (const id of await readdir("/proc")) {
      if (!/^\d+$/.test(id)) continue;
      const line = await Bun.file(`/proc/${id}/cmdline`)
        .text()
        .catch(() => "");
      if (line.includes("curl")) lines.add(line.replaceAll("\0", " "));
    }
  }
  await working;
  return [...lines].join("\n");
}

describe("machine clients", () => {
  const read = async () => {
    const url = new URL(provider.issuer);
    const options = { [oauth.allowInsecureRequests]: true };
    const found = await oauth.discoveryRequest(url, options);
    return oauth.processDiscoveryResponse(url, found);
  };

  test("client_credentials by secret or by private_key_jwt pass like everybody", async () => {
    const server = await read();
    const key = { key: clientKey.privateKey, kid: clientKey.kid };
    const answer = await oauth.clientCredentialsGrantRequest(
      server,
      { client_id: "robot" },
      oauth.PrivateKeyJwt(key),
      { resource: AUDIENCE, scope: "read" },
      { [oauth.allowInsecureRequests]: true },
    );
    const granted = await oauth.processClientCredentialsResponse(
      server,
      { client_id: "robot" },
      answer,
    );
    for (const [token, subject] of [
      [await provider.token(AUDIENCE), "machine"],
      [granted.access_token, "robot"],
    ] as const) {
      const headers = { Authorization: `Bearer ${token}` };
      expect((await fetch(`${origin}/jobs`, { headers })).status).toBe(200);
      expect(upstream.seen.at(-1)?.headers.get("x-user")).toBe(subject);
    }
  });
});
