import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Browser, lastOf, openBrowser } from "./browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "./login-gate.ts";
import { type MockProvider, startMockProvider } from "./mock-provider.ts";

let provider: MockProvider;
let other: MockProvider;
let gate: LoginGate;

beforeAll(async () => {
  [provider, other] = await Promise.all([startMockProvider(), startMockProvider()]);
  gate = await openLoginGate({
    config: ({ upstream }) => ({
      pages: { name: "Acme <Tools>", colour: "#0a7" },
      issuers: [
        issuerEntry(provider.issuer, "provider", {}, { audiences: ["api"] }),
        issuerEntry(other.issuer, "other", { userinfo: true }),
      ],
      routes: [
        {
          name: "tool",
          match: { path: "/*" },
          upstream,
          issuers: ["provider"],
          login: true,
          anyAuthenticated: true,
          identityHeaders: { "X-User": "sub", "X-Mail": "email" },
        },
        {
          name: "either",
          match: { path: "/either/*" },
          upstream,
          issuers: ["provider", "other"],
          login: true,
          anyAuthenticated: true,
          identityHeaders: { "X-Mail": "email" },
        },
        {
          name: "elsewhere",
          match: { host: "app.localhost", path: "/*" },
          upstream,
          issuers: ["provider"],
          login: true,
          anyAuthenticated: true,
          identityHeaders: { "X-User": "sub" },
        },
        {
          name: "bearer",
          match: { path: "/bearer/*" },
          upstream,
          issuers: ["provider"],
          anyAuthenticated: true,
        },
        { name: "open", match: { path: "/open/*" }, upstream, public: true },
      ],
    }),
  });
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  for (const one of [provider, other]) {
    Object.assign(one, { claims: {}, answer: {}, failure: undefined, redirect: undefined });
  }
});

async function signedIn(path = "/"): Promise<Browser> {
  const browser = openBrowser();
  expect(lastOf(await browser.follow(`${gate.url}${path}`)).status).toBe(200);
  return browser;
}

const sessionOf = (browser: Browser, host = "localhost") =>
  browser.cookies.get(host)?.get("claimgate") ?? "";

const API = { Accept: "application/json", "Sec-Fetch-Mode": "cors" };

describe("a browser without a session", () => {
  test("signs in and lands where it wanted to go, query and all", async () => {
    const browser = openBrowser();
    const hops = await browser.follow(`${gate.url}/reports/q3?year=2026&x=a%2Fb`);
    const last = lastOf(hops);
    expect(last.status).toBe(200);
    expect(last.text).toBe("upstream");
    expect(last.url).toBe(`${gate.url}/reports/q3?year=2026&x=a%2Fb`);
    const seen = gate.upstream.seen.at(-1);
    expect(seen?.target).toBe("/reports/q3?year=2026&x=a%2Fb");
    expect(seen?.headers.get("x-user")).toBe("alice");
  });

  test("is told by the first redirect that it depends on what it sent, and is not kept", async () => {
    const { status, headers } = await openBrowser().go(`${gate.url}/reports?a=1&b=2`);
    expect(status).toBe(302);
    expect(headers.get("location")).toBe("/.claimgate/login?return=%2Freports%3Fa%3D1%26b%3D2");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("vary")).toContain("Accept");
    expect(headers.has("x-request-id")).toBe(true);
  });

  test.each([
    ["a long query", `/x?y=${"z".repeat(3_000)}`, "/x"],
    ["a very long path", `/${"x".repeat(3_000)}`, "/"],
    ["a backslash in its query", "/x?y=a\\b", "/x?y=a%5Cb"],
    ["quotes and brackets", "/x?y='\"<>{}|^`", "/x?y=%27%22%3C%3E{}|^`"],
    ["letters beyond ASCII", "/ä?ö=ü", "/%C3%A4?%C3%B6=%C3%BC"],
  ])("whose address has %s lands at %3$s", async (_, path, end) => {
    const last = lastOf(await openBrowser().follow(`${gate.url}${path}`));
    expect([last.status, last.url]).toEqual([200, `${gate.url}${end}`]);
  });

  test("goes to the provider with PKCE, state and nonce, and a cookie for this attempt", async () => {
    const { status, headers } = await openBrowser().go(`${gate.url}/.claimgate/login?return=/`);
    expect(status).toBe(302);
    const to = new URL(headers.get("location") ?? "");
    expect(`${to.origin}${to.pathname}`).toBe(`${provider.issuer}/authorize`);
    const query = Object.fromEntries(to.searchParams);
    expect(query).toMatchObject({
      client_id: "gate",
      response_type: "code",
      redirect_uri: `${gate.url}/.claimgate/callback`,
      code_challenge_method: "S256",
    });
    expect(query.scope?.split(" ")).toContain("openid");
    expect(query.code_challenge).toMatch(/^[\w-]{43}$/);
    expect(query.state?.length).toBeGreaterThan(43);
    expect(query.nonce?.length).toBeGreaterThan(20);
    const [cookie = ""] = headers.getSetCookie();
    expect(cookie).toMatch(
      /^claimgate-login-[\w-]+=[\w.-]+; Path=\/; HttpOnly; SameSite=Lax; Max-Age=600$/,
    );
    expect(cookie).not.toContain(query.nonce ?? "?");
  });

  test.each([
    ["asks for JSON", { Accept: "application/json" }],
    ["is a script's fetch", { "Sec-Fetch-Mode": "cors" }],
    ["says that it takes no HTML", { Accept: "text/html;q=0, */*" }],
    ["asks for anything, as curl does", { Accept: "*/*" }],
  ])("that %s gets 401, not a redirect", async (_, headers) => {
    const { status, headers: answer } = await openBrowser().go(`${gate.url}/`, { headers });
    expect(status).toBe(401);
    expect(answer.get("www-authenticate")).toBe('Bearer realm="claimgate"');
  });

  test.each(["POST", "PUT", "DELETE", "OPTIONS"])(
    "is not redirected for %s, but shown the way",
    async (method) => {
      const { status, text } = await openBrowser().go(`${gate.url}/form?a=b`, { method });
      expect(status).toBe(401);
      expect(text).toContain('href="/.claimgate/login?return=%2Fform%3Fa%3Db">Sign in</a>');
    },
  );

  test("is redirected for HEAD", async () => {
    expect((await openBrowser().go(`${gate.url}/`, { method: "HEAD" })).status).toBe(302);
  });

  test("is not redirected on a route without login", async () => {
    expect((await openBrowser().go(`${gate.url}/bearer/x`)).status).toBe(401);
  });

  test("may be at sign-in in several tabs", async () => {
    const browser = openBrowser();
    const tabs: string[] = [];
    for (const page of ["one", "two", "three"]) {
      const { headers } = await browser.go(`${gate.url}/.claimgate/login?return=/${page}`);
      tabs.push(headers.get("location") ?? "");
    }
    for (const [at, page] of [
      [1, "two"],
      [0, "one"],
      [2, "three"],
    ] as const) {
      const last = lastOf(await browser.follow(tabs[at] ?? ""));
      expect([last.status, last.url]).toEqual([200, `${gate.url}/${page}`]);
    }
  });

  test("keeps at most five attempts, the newest", async () => {
    const browser = openBrowser();
    for (let tab = 0; tab < 9; tab += 1) {
      await browser.go(`${gate.url}/.claimgate/login?return=/${tab}`);
    }
    const names = [...(browser.cookies.get("localhost")?.keys() ?? [])];
    expect(names.filter((name) => name.startsWith("claimgate-login-"))).toHaveLength(5);
  });
});

describe("a session", () => {
  test("is an opaque cookie of this host, new at each sign-in", async () => {
    const browser = await signedIn();
    const first = sessionOf(browser);
    expect(first).toMatch(/^[\w-]{43}$/);
    const hops = await browser.follow(`${gate.url}/.claimgate/login?return=/`);
    const lines = hops.flatMap(({ headers }) => headers.getSetCookie());
    const line = lines.find((one) => one.startsWith("claimgate=")) ?? "";
    expect(line).toMatch(/^claimgate=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/);
    expect(sessionOf(browser)).not.toBe(first);
    const old = await openBrowser().go(`${gate.url}/`, {
      headers: { ...API, Cookie: `claimgate=${first}` },
    });
    expect(old.status).toBe(401);
  });

  test("lets its browser pass by the memory alone, and lies in the store without its id", async () => {
    const browser = await signedIn();
    const { store } = gate.gate.ledger;
    const id = sessionOf(browser);
    const get = store.get;
    let asked = 0;
    store.get = (key) => {
      asked += 1;
      return get.call(store, key);
    };
    for (let count = 0; count < 5; count += 1) {
      expect((await browser.go(`${gate.url}/`)).status).toBe(200);
    }
    store.get = get;
    expect(asked).toBe(0);
    const bytes = await Bun.file(`${gate.folder.path}/claimgate.db`).bytes();
    const wal = await Bun.file(`${gate.folder.path}/claimgate.db-wal`).bytes();
    const text = Buffer.concat([bytes, wal]).toString("latin1");
    expect(text).toContain("session:");
    expect(text).not.toContain(id);
    const refreshToken = provider.tokenRequests.at(-1)?.code ?? "?";
    expect(text).not.toContain(refreshToken);
  });

  test("is not sent upstream, but other cookies are", async () => {
    const browser = await signedIn();
    await browser.go(`${gate.url}/.claimgate/login?return=/`);
    browser.cookies.get("localhost")?.set("theme", "dark");
    await browser.go(`${gate.url}/x`);
    expect(gate.upstream.seen.at(-1)?.headers.get("cookie")).toBe("theme=dark");
    await browser.go(`${gate.url}/open/x`);
    expect(gate.upstream.seen.at(-1)?.headers.get("cookie")).toBe("theme=dark");
  });

  test("is ignored on a route without login", async () => {
    const browser = await signedIn();
    expect((await browser.go(`${gate.url}/bearer/x`)).status).toBe(401);
  });

  test("counts less than a bearer token, even a bad one", async () => {
    const browser = await signedIn();
    const bad = { ...API, Authorization: "Bearer a.b.c" };
    expect((await browser.go(`${gate.url}/`, { headers: bad })).status).toBe(401);
    const now = Math.floor(Date.now() / 1_000);
    const token = await provider.jwt({
      ...{ iss: provider.issuer, aud: "api", sub: "machine", iat: now, exp: now + 60 },
    });
    const good = { ...API, Authorization: `Bearer ${token}` };
    expect((await browser.go(`${gate.url}/`, { headers: good })).status).toBe(200);
    expect(gate.upstream.seen.at(-1)?.headers.get("x-user")).toBe("machine");
  });

  test.each([
    ["unknown", `claimgate=${"A".repeat(43)}`, 401, "token_missing"],
    ["no id at all", "claimgate=%00../x", 401, "token_missing"],
    ["empty", "claimgate=", 401, "token_missing"],
    [
      "of which there are two",
      `claimgate=${"A".repeat(43)}; claimgate=${"B".repeat(43)}`,
      400,
      "request_malformed",
    ],
  ])("that is %s is none", async (_, Cookie, status, code) => {
    const answer = await openBrowser().go(`${gate.url}/`, { headers: { ...API, Cookie } });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.text).code).toBe(code);
  });

  test("of an issuer that the route does not take is none", async () => {
    const browser = openBrowser();
    const last = lastOf(
      await browser.follow(`${gate.url}/.claimgate/login?return=/either/&issuer=other`),
    );
    expect(last.status).toBe(200);
    expect((await browser.go(`${gate.url}/`, { headers: API })).status).toBe(401);
  });

  test("is revoked by its public id, at once, and its person may sign in again", async () => {
    const browser = await signedIn();
    const act = gate.acts.findLast((one) => one.kind === "act" && one.act === "sign_in");
    const value = act?.kind === "act" ? act.target : "";
    expect(value).toMatch(/^[\w-]{22}$/);
    const atMs = Date.now();
    const revocation = { kind: "session", value, reason: "", author: "cli", atMs } as const;
    await gate.gate.ledger.revocations.revoke({ ...revocation, untilMs: atMs + 60_000 });
    const refused = await browser.go(`${gate.url}/`, { headers: API });
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([401, "token_revoked"]);
    const page = await browser.go(`${gate.url}/a?b=c`);
    expect(page.status).toBe(401);
    expect(page.text).toContain('href="/.claimgate/login?return=%2Fa%3Fb%3Dc&#38;issuer=provider"');
    const again = await browser.follow(`${gate.url}/.claimgate/login?return=/`);
    expect(lastOf(again).status).toBe(200);
  });
});

describe("several issuers", () => {
  test("are offered on a page that is safe and has the owner's name", async () => {
    const last = lastOf(await openBrowser().follow(`${gate.url}/either/x?y=%22%3E`));
    expect(last.status).toBe(200);
    expect(last.text).toContain("Acme &#60;Tools&#62;");
    expect(last.text).not.toContain("Acme <Tools>");
    const policy = last.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe");
    const links = [...last.text.matchAll(/href="([^"]+)"/g)].map(([, href = ""]) =>
      href.replaceAll("&#38;", "&"),
    );
    expect(links.map((href) => new URL(href, gate.url).searchParams.get("issuer"))).toEqual([
      "provider",
      "other",
    ]);
    const browser = openBrowser();
    const there = lastOf(await browser.follow(`${gate.url}${links[1]}`));
    expect([there.status, there.url]).toEqual([200, `${gate.url}/either/x?y=%22%3E`]);
  });

  test("one named in the address is taken, with its UserInfo laid over the ID token", async () => {
    other.claims = { email: "old@example.com" };
    other.userInfo = { email: "new@example.com", aud: "someone-else" };
    const browser = openBrowser();
    const start = `${gate.url}/.claimgate/login?return=/either/me&issuer=other`;
    expect(lastOf(await browser.follow(start)).status).toBe(200);
    expect(gate.upstream.seen.at(-1)?.headers.get("x-mail")).toBe("new@example.com");
  });

  test.each(["nobody", "other", ""])(
    "that the route does not take (%j) are refused",
    async (name) => {
      const { status } = await openBrowser().go(
        `${gate.url}/.claimgate/login?return=/reports&issuer=${name}`,
      );
      expect(status).toBe(400);
    },
  );
});

describe("another host", () => {
  test("gets its own session by way of the public origin, and nothing of another's", async () => {
    const browser = openBrowser();
    const start = `http://app.localhost:${gate.port}/deep?q=1`;
    const hops = await browser.follow(start);
    const last = lastOf(hops);
    expect([last.status, last.url]).toEqual([200, start]);
    const redirects = hops
      .map(({ url }) => new URL(url))
      .filter((url) => url.searchParams.has("redirect_uri"));
    expect(redirects.map((url) => url.searchParams.get("redirect_uri"))).toEqual([
      `${gate.url}/.claimgate/callback`,
    ]);
    expect(sessionOf(browser, "app.localhost")).toMatch(/^[\w-]{43}$/);
    expect(sessionOf(browser, "localhost")).toBe("");
    // The code in the address is spent.
    const handed = hops.find(({ url }) => url.includes("handover=") && url.includes("/callback"));
    expect(handed).toBeDefined();
    expect((await browser.go(handed?.url ?? "")).status).toBe(400);
    expect((await browser.go(start)).status).toBe(200);
  });

  test("that serves no login route signs in at the public origin", async () => {
    const browser = openBrowser();
    const last = lastOf(await browser.follow(`http://127.0.0.1:${gate.port}/a?b=c`));
    expect([last.status, last.url]).toEqual([200, `${gate.url}/a?b=c`]);
  });
});

describe("a sign-in that fails", () => {
  test("is 502 while the provider does not answer, and shows how to try again", async () => {
    const down = await startMockProvider();
    await down.stop();
    await using lone = await openLoginGate({
      config: ({ upstream }) => ({
        issuers: [issuerEntry(down.issuer)],
        routes: [{ upstream, login: true, anyAuthenticated: true }],
      }),
    });
    const last = lastOf(await openBrowser().follow(`${lone.url}/x?y=z`));
    expect(last.status).toBe(502);
    expect(last.text).toContain("issuer_unreachable");
    await down.start();
    lone.clock.aheadMs += 3_000;
    expect(lastOf(await openBrowser().follow(`${lone.url}/x`)).status).toBe(200);
    await down[Symbol.asyncDispose]();
  });

  test("is 502 while its token endpoint answers 500", async () => {
    provider.failure = { status: 500, body: {} };
    expect(lastOf(await openBrowser().follow(`${gate.url}/`)).status).toBe(502);
  });

  test("is 400 when the provider says no, and nothing of what it said is shown", async () => {
    provider.redirect = (url) => {
      url.searchParams.delete("code");
      url.searchParams.set("error", "access_denied");
      url.searchParams.set("error_description", "<script>alert('secret-words')</script>");
    };
    const last = lastOf(await openBrowser().follow(`${gate.url}/`));
    expect(last.status).toBe(400);
    expect(last.text).toContain("login_failed");
    expect(last.text).not.toContain("secret-words");
    expect(JSON.stringify(gate.log)).not.toContain("secret-words");
    expect(gate.log.some((line) => line.reason === "provider_access_denied")).toBe(true);
  });

  test("leaves no session", async () => {
    provider.failure = { status: 400, body: { error: "invalid_grant" } };
    const browser = openBrowser();
    expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(400);
    expect(sessionOf(browser)).toBe("");
  });
});

describe("methods and names under /.claimgate/", () => {
  test.each([
    ["POST", "login", "GET, HEAD"],
    ["POST", "callback", "GET"],
    ["HEAD", "callback", "GET"],
    ["GET", "backchannel-logout", "POST"],
    ["PUT", "logout", "GET, HEAD, POST"],
    ["POST", "signed-out", "GET, HEAD"],
  ])("%s %s is not allowed", async (method, name, allow) => {
    const { status, headers } = await openBrowser().go(`${gate.url}/.claimgate/${name}`, {
      method,
    });
    expect([status, headers.get("allow")]).toEqual([405, allow]);
  });

  test("the page after signing out is served to everyone", async () => {
    const { status, text } = await openBrowser().go(`${gate.url}/.claimgate/signed-out`);
    expect(status).toBe(200);
    expect(text).toContain("You are signed out");
  });
});
