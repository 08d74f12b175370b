import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Browser, type Hop, lastOf, openBrowser } from "../login/browser.ts";
import { issuerEntry, type LoginGate, openLoginGate } from "../login/login-gate.ts";
import { type MockProvider, startMockProvider } from "../login/mock-provider.ts";
import { createSigner } from "../support/signer.ts";

let provider: MockProvider;
/** A second one, which the owner trusts less. */
let other: MockProvider;
let gate: LoginGate;

beforeAll(async () => {
  const metadata = { authorization_response_iss_parameter_supported: true };
  [provider, other] = await Promise.all([startMockProvider(metadata), startMockProvider()]);
  gate = await openLoginGate({
    config: ({ upstream }) => ({
      issuers: [
        issuerEntry(provider.issuer),
        issuerEntry(other.issuer, "other", { userinfo: true }),
      ],
      routes: [
        {
          name: "tool",
          upstream,
          issuers: ["provider", "other"],
          login: true,
          anyAuthenticated: true,
        },
        {
          name: "app",
          match: { host: "app.localhost", path: "/*" },
          upstream,
          issuers: ["provider"],
          login: true,
          anyAuthenticated: true,
        },
        { name: "plain", match: { host: "plain.localhost" }, upstream, public: true },
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
    Object.assign(one, { claims: {}, answer: {}, failure: undefined });
    one.tokenRequests.length = 0;
  }
  provider.redirect = (url) => url.searchParams.set("iss", provider.issuer);
  other.redirect = undefined;
});

const startAt = (issuer: string, path = "/") =>
  `${gate.url}/.claimgate/login?issuer=${issuer}&return=${encodeURIComponent(path)}`;

const hasSession = (browser: Browser, host = "localhost") =>
  browser.cookies.get(host)?.has("claimgate") === true;

/** Signs in up to the provider's answer, which is not followed. */
async function callbackOf(browser: Browser, issuer = "provider"): Promise<string> {
  const begun = await browser.go(startAt(issuer));
  const answered = await browser.go(begun.headers.get("location") ?? "");
  return answered.headers.get("location") ?? "";
}

function expectRefused({ status, text, headers }: Hop, browser: Browser): void {
  expect(status).toBe(400);
  expect(text).toContain("login_failed");
  expect(headers.get("cache-control")).toBe("no-store");
  expect(hasSession(browser)).toBe(false);
}

describe("login CSRF", () => {
  test("an answer to another browser's sign-in is refused, and its code is not spent", async () => {
    const callback = await callbackOf(openBrowser());
    const victim = openBrowser();
    expectRefused(await victim.go(callback), victim);
    await victim.go(startAt("provider"));
    expectRefused(await victim.go(callback), victim);
    expect(provider.tokenRequests).toEqual([]);
  });

  test("an answer with another attempt's state is refused", async () => {
    const browser = openBrowser();
    const [one, two] = [await callbackOf(browser), await callbackOf(openBrowser())];
    const mixed = new URL(two);
    mixed.searchParams.set("state", new URL(one).searchParams.get("state") ?? "");
    const begun = new URL(one).searchParams.get("code");
    expect(mixed.searchParams.get("code")).not.toBe(begun);
    // The state is the browser's own, the code somebody else's: PKCE and nonce refuse it.
    const answer = await browser.go(mixed.href);
    expect([400, 502]).toContain(answer.status);
    expect(hasSession(browser)).toBe(false);
  });

  test.each([
    ["without a state", (url: URL) => url.searchParams.delete("state")],
    ["with an empty one", (url: URL) => url.searchParams.set("state", "")],
    [
      "with its name alone",
      (url: URL) =>
        url.searchParams.set("state", (url.searchParams.get("state") ?? "").split(".")[0] ?? ""),
    ],
    [
      "with its name and another secret",
      (url: URL) =>
        url.searchParams.set(
          "state",
          `${(url.searchParams.get("state") ?? "").split(".")[0]}.${"A".repeat(43)}`,
        ),
    ],
    ["with two", (url: URL) => url.searchParams.append("state", "x")],
    ["with two codes", (url: URL) => url.searchParams.append("code", "x")],
    ["with an ID token in the query", (url: URL) => url.searchParams.set("id_token", "a.b.c")],
  ])("an answer %s is refused", async (_, change) => {
    const browser = openBrowser();
    const url = new URL(await callbackOf(browser));
    change(url);
    expectRefused(await browser.go(url.href), browser);
    expect(provider.tokenRequests).toEqual([]);
  });

  test("a code that is handed over is refused by a browser that did not ask for it", async () => {
    const attacker = openBrowser();
    let handed = "";
    let at = `http://app.localhost:${gate.port}/`;
    for (let hop = 0; hop < 10 && handed === ""; hop += 1) {
      const answer = await attacker.go(at);
      at = new URL(answer.headers.get("location") ?? "/", at).href;
      if (/\/callback\?handover=/.test(at)) handed = at;
    }
    expect(handed).toContain("app.localhost");
    const victim = openBrowser();
    await victim.go(`http://app.localhost:${gate.port}/.claimgate/login?return=/`);
    expect((await victim.go(handed)).status).toBe(400);
    expect(hasSession(victim, "app.localhost")).toBe(false);
    // And is spent by the try.
    expect((await attacker.go(handed)).status).toBe(400);
  });

  test("a code that is handed over is refused after thirty seconds", async () => {
    const browser = openBrowser();
    let at = `http://app.localhost:${gate.port}/`;
    for (let hop = 0; hop < 10 && !/\/callback\?handover=/.test(at); hop += 1) {
      const answer = await browser.go(at);
      at = new URL(answer.headers.get("location") ?? "", at).href;
    }
    gate.clock.aheadMs += 30_000;
    try {
      expect((await browser.go(at)).status).toBe(400);
      expect(hasSession(browser, "app.localhost")).toBe(false);
    } finally {
      gate.clock.aheadMs = 0;
    }
  });

  test("a code that is handed over is refused at another host", async () => {
    const browser = openBrowser();
    let at = `http://app.localhost:${gate.port}/`;
    for (let hop = 0; hop < 10 && !/\/callback\?handover=/.test(at); hop += 1) {
      const answer = await browser.go(at);
      at = new URL(answer.headers.get("location") ?? "/", at).href;
    }
    // Even with all of its cookies there.
    browser.cookies.set("localhost", new Map(browser.cookies.get("app.localhost")));
    expect((await browser.go(at.replace("app.localhost", "localhost"))).status).toBe(400);
    expect(hasSession(browser)).toBe(false);
  });
});

describe("replay", () => {
  test("a callback works once, also for who has a copy of its cookies", async () => {
    const browser = openBrowser();
    const callback = await callbackOf(browser);
    const thief = openBrowser();
    thief.cookies.set("localhost", new Map(browser.cookies.get("localhost")));
    expect((await browser.go(callback)).status).toBe(302);
    expectRefused(await thief.go(callback), thief);
    expect(provider.tokenRequests).toHaveLength(1);
    // With a fresh code of the thief's own, the used attempt is no better.
    const url = new URL(callback);
    url.searchParams.set("code", "fresh");
    expectRefused(await thief.go(url.href), thief);
    expect(provider.tokenRequests).toHaveLength(1);
  });

  test("an attempt older than ten minutes is refused", async () => {
    const browser = openBrowser();
    const callback = await callbackOf(browser);
    gate.clock.aheadMs += 10 * 60_000;
    try {
      expectRefused(await browser.go(callback), browser);
    } finally {
      gate.clock.aheadMs = 0;
    }
  });
});

describe("mix-up of providers", () => {
  test.each([
    ["another provider's name", "https://evil.example"],
    ["the other provider's name", undefined],
  ])("an answer with %s is refused before the code is sent anywhere", async (_, iss) => {
    const browser = openBrowser();
    const url = new URL(await callbackOf(browser));
    url.searchParams.set("iss", iss ?? other.issuer);
    expectRefused(await browser.go(url.href), browser);
    expect([provider.tokenRequests, other.tokenRequests]).toEqual([[], []]);
  });

  test("an answer without a name is refused where the provider says that it gives one", async () => {
    provider.redirect = undefined;
    const browser = openBrowser();
    expectRefused(await browser.go(await callbackOf(browser)), browser);
    expect(provider.tokenRequests).toEqual([]);
  });

  test("an honest provider's answer to a sign-in begun at another one is refused", async () => {
    const browser = openBrowser();
    const begun = await browser.go(startAt("other"));
    // The other one sends the browser on, with the very state, to the honest provider.
    const stolen = new URL(begun.headers.get("location") ?? "");
    const answered = await browser.go(`${provider.issuer}/authorize${stolen.search}`);
    expectRefused(await browser.go(answered.headers.get("location") ?? ""), browser);
    expect(other.tokenRequests).toEqual([]);
  });
});

describe("an ID token", () => {
  test.each([
    ["for another client", { aud: "someone-else" }],
    ["for several clients without azp", { aud: ["gate", "someone-else"] }],
    ["for another authorized party", { aud: ["gate", "someone-else"], azp: "someone-else" }],
    ["with another's azp alone", { azp: "someone-else" }],
    ["of another issuer", { iss: "https://evil.example" }],
    ["with another nonce", { nonce: "another" }],
    ["without a nonce", { nonce: undefined }],
    ["that has expired", { exp: 1 }],
    ["without an expiry", { exp: undefined }],
    ["without a subject", { sub: undefined }],
    ["with a subject that is no text", { sub: 7 }],
    ["not good yet", { nbf: 4_000_000_000 }],
  ])("%s is refused", async (_, claims) => {
    provider.claims = claims;
    const browser = openBrowser();
    expectRefused(lastOf(await browser.follow(startAt("provider"))), browser);
  });

  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

  test.each([
    ["by a stranger's key", "stranger"],
    ["by nobody", "none"],
    ["by HMAC with what is public", "hmac"],
    ["that was changed after it was signed", "changed"],
    ["with an access token's type", "at+jwt"],
    ["that is no JWT", "text"],
    ["that is missing", "missing"],
  ])("signed %s is refused", async (_, how) => {
    const browser = openBrowser();
    const begun = await browser.go(startAt("provider"));
    const nonce = new URL(begun.headers.get("location") ?? "").searchParams.get("nonce");
    const iat = Math.floor(Date.now() / 1_000);
    const claims = { iss: provider.issuer, aud: "gate", sub: "alice", iat, exp: iat + 300, nonce };
    const good = await provider.jwt(claims);
    const [header = "", , signature = ""] = good.split(".");
    const stranger = await createSigner("RS256");
    const kid = JSON.parse(Buffer.from(header, "base64url").toString()).kid;
    const hmac = `${part({ alg: "HS256", kid })}.${part(claims)}`;
    const mac = new Bun.CryptoHasher("sha256", "for-this-test-only")
      .update(hmac)
      .digest("base64url");
    const tokens: Record<string, string | undefined> = {
      stranger: await stranger.sign(claims, { kid }),
      none: `${part({ alg: "none" })}.${part(claims)}.`,
      hmac: `${hmac}.${mac}`,
      changed: `${header}.${part({ ...claims, sub: "admin" })}.${signature}`,
      "at+jwt": await provider.jwt(claims, { typ: "at+jwt" }),
      text: "no token",
      missing: undefined,
    };
    provider.answer = { id_token: tokens[how] };
    const last = lastOf(await browser.follow(begun.headers.get("location") ?? ""));
    expectRefused(last, browser);

    provider.answer = { id_token: good };
    expect(how).not.toBe("");
  });

  test("with UserInfo of another person is refused", async () => {
    other.userInfo = { sub: "mallory" };
    const browser = openBrowser();
    expectRefused(lastOf(await browser.follow(startAt("other"))), browser);
    other.userInfo = {};
    expect(lastOf(await browser.follow(startAt("other"))).status).toBe(200);
  });

  test("of another person's sign-in, replayed, is refused by its nonce", async () => {
    const first = openBrowser();
    const begun = await first.go(startAt("provider"));
    const nonce = new URL(begun.headers.get("location") ?? "").searchParams.get("nonce");
    const iat = Math.floor(Date.now() / 1_000);
    const claims = { iss: provider.issuer, aud: "gate", sub: "victim", iat, exp: iat + 300, nonce };
    provider.answer = { id_token: await provider.jwt(claims) };
    const thief = openBrowser();
    expectRefused(lastOf(await thief.follow(startAt("provider"))), thief);
    expect(lastOf(await first.follow(begun.headers.get("location") ?? "")).status).toBe(200);
  });
});

describe("open redirects", () => {
  const EVIL = [
    "https://evil.example",
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "\\/evil.example",
    "/\tevil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http:///evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "./x",
    "",
    "?x",
    "#x",
    "http://localhost@evil.example/",
    "http://evil.example#@localhost/",
    "http://evil.example?@localhost/",
    "http://localhost.evil.example/",
    "http://evillocalhost/",
    "http://app.localhost.evil.example/",
    "http://x.app.localhost/",
    "http://plain.localhost/",
    "http://localhost:1/",
    "https://localhost/",
    "ftp://localhost/",
    "HTTP://LOCALHOST:PORT\\@evil.example",
    "http://user@localhost:PORT/",
    "http://user:pass@localhost:PORT/",
    "http:localhost:PORT/",
    "http://localhost.:PORT/",
    "http://localhost:PORT.evil.example/",
    "http://localhost:PORT\\.evil.example/",
    "http://ⓛocalhost:PORT/",
    "http://127.0.0.1:PORT/",
    "/ümlaut",
    `/${"x".repeat(4_000)}`,
  ];

  test.each(EVIL)("%j leads nowhere", async (spelling) => {
    const wanted = spelling.replaceAll("PORT", String(gate.port));
    const query = new URLSearchParams({ return: wanted, issuer: "provider" });
    const { status, headers } = await openBrowser().go(`${gate.url}/.claimgate/login?${query}`);
    expect(status).toBe(400);
    expect(headers.has("location")).toBe(false);
  });

  test("two addresses lead nowhere", async () => {
    const { status } = await openBrowser().go(
      `${gate.url}/.claimgate/login?return=/&return=//evil.example&issuer=provider`,
    );
    expect(status).toBe(400);
  });

  test.each([
    ["/", "/"],
    ["/x?next=//evil.example", "/x?next=//evil.example"],
    ["/..//evil.example", "//evil.example"],
    ["/%2f/evil.example", "/%2f/evil.example"],
    ["/@evil.example", "/@evil.example"],
    ["/.claimgate/login?return=/", "/"],
    ["/./.claimgate/logout", "/"],
    ["/%2eclaimgate/login", "/"],
    ["http://localhost:PORT/x", "/x"],
  ])("%s ends at this gate", async (path, end) => {
    const browser = openBrowser();
    const wanted = path.replaceAll("PORT", String(gate.port));
    const hops = await browser.follow(startAt("provider", wanted));
    const callback = hops.find(({ url }) => url.includes("/.claimgate/callback"));
    expect(callback?.headers.get("location")).toBe(`${gate.url}${end}`);
  });

  test("what is sealed for a hand-over cannot be made up, or be an attempt's", async () => {
    const browser = openBrowser();
    await browser.go(startAt("provider"));
    const [, cookie = ""] = [...(browser.cookies.get("localhost") ?? [])][0] ?? [];
    for (const sealed of ["", "x", "a.b.c.d.e", cookie]) {
      const { status } = await browser.go(
        `${gate.url}/.claimgate/login?handover=${encodeURIComponent(sealed)}`,
      );
      expect(status).toBe(400);
    }
  });
});

describe("session fixation and cookie tossing", () => {
  test("an id that was planted before is not the one after", async () => {
    const browser = openBrowser();
    const planted = "A".repeat(43);
    browser.cookies.set("localhost", new Map([["claimgate", planted]]));
    expect(lastOf(await browser.follow(startAt("provider"))).status).toBe(200);
    expect(browser.cookies.get("localhost")?.get("claimgate")).not.toBe(planted);
    const answer = await openBrowser().go(`${gate.url}/`, {
      headers: { Accept: "application/json", Cookie: `claimgate=${planted}` },
    });
    expect(answer.status).toBe(401);
  });

  test("an attacker's session beside the person's own is refused with it", async () => {
    const [person, attacker] = [openBrowser(), openBrowser()];
    for (const one of [person, attacker]) await one.follow(startAt("provider"));
    const [own, tossed] = [person, attacker].map((one) =>
      one.cookies.get("localhost")?.get("claimgate"),
    );
    for (const Cookie of [
      `claimgate=${own}; claimgate=${tossed}`,
      `claimgate=${tossed}; claimgate=${own}`,
    ]) {
      const answer = await openBrowser().go(`${gate.url}/`, {
        headers: { Accept: "application/json", Cookie },
      });
      expect(answer.status).toBe(400);
    }
  });

  test("one host's session is none at another", async () => {
    const browser = openBrowser();
    await browser.follow(`http://app.localhost:${gate.port}/`);
    const id = browser.cookies.get("app.localhost")?.get("claimgate");
    const headers = { Accept: "application/json", Cookie: `claimgate=${id}` };
    const at = async (host: string) =>
      (await openBrowser().go(`http://${host}:${gate.port}/`, { headers })).status;
    expect([await at("app.localhost"), await at("localhost")]).toEqual([200, 401]);
  });

  test("an attempt of which there are two cookies is refused", async () => {
    const browser = openBrowser();
    const callback = await callbackOf(browser);
    const [name, value] = [...(browser.cookies.get("localhost") ?? [])][0] ?? [];
    const answer = await openBrowser().go(callback, {
      headers: { Cookie: `${name}=${value}; ${name}=tossed` },
    });
    expect(answer.status).toBe(400);
  });

  test("cookies without end or sense do no harm", async () => {
    for (const Cookie of [
      ";;;;=;claimgate",
      "claimgate-login-=;claimgate-login-x=y",
      `claimgate-login-${"0".repeat(500)}=x`,
      Array.from({ length: 150 }, (_, at) => `claimgate-login-0000000${at}AAAAAAAA=x`).join("; "),
      `claimgate=${"A".repeat(9_000)}`,
      "claimgate=__proto__",
    ]) {
      const { status } = await openBrowser().go(`${gate.url}/`, { headers: { Cookie } });
      expect(status).toBe(302);
      const begun = await openBrowser().go(startAt("provider"), { headers: { Cookie } });
      expect(begun.status).toBe(302);
    }
  });
});

describe("what the gate says", () => {
  test("holds nothing of the query, whatever is in it", async () => {
    const marker = "<img src=x onerror=alert(1)>marker";
    for (const path of ["login", "callback", "logout", "signed-out"]) {
      for (const name of ["error", "error_description", "return", "issuer", "state", "handover"]) {
        const query = new URLSearchParams({ [name]: marker });
        const { text, headers } = await openBrowser().go(`${gate.url}/.claimgate/${path}?${query}`);
        expect(text).not.toContain("marker");
        expect(JSON.stringify([...headers])).not.toContain("marker");
      }
    }
    expect(JSON.stringify(gate.log)).not.toContain("marker");
  });

  test("holds no code, state, token or secret in the log", async () => {
    const browser = openBrowser();
    const callback = new URL(await callbackOf(browser));
    await browser.follow(callback.href);
    const secrets = [
      callback.searchParams.get("code"),
      callback.searchParams.get("state"),
      browser.cookies.get("localhost")?.get("claimgate"),
      "for-this-test-only",
    ];
    const log = JSON.stringify(gate.log);
    for (const secret of secrets) {
      expect(String(secret).length).toBeGreaterThan(10);
      expect(log).not.toContain(String(secret));
    }
  });
});
