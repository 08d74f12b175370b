import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { CLIENT_SECRET, openStage, type Stage, startBoard, startSite } from "./browser-stage.ts";
import {
  factsOf,
  keepScreenshot,
  launchChromium,
  openPerson,
  type Person,
  signInAt,
} from "./chromium.ts";
import { until } from "./claimgate.ts";

const LIMIT_MS = 45_000;

/** Seconds that the provider's tokens are good for. */
const TOKEN_SECONDS = 3;

const FRESH = `
import { allow, challenge, definePolicy, Type } from "claimgate";
export default definePolicy({
  description: "Lets people pass who were asked for their password on the way here",
  claims: Type.Object({ auth_time: Type.Optional(Type.Number()) }),
  evaluate: ({ claims }) => (claims.auth_time === undefined ? challenge({ maxAge: 0 }) : allow()),
  cases: [{ name: "asked", claims: { auth_time: 1 }, expect: "allow" }],
});
`;

/** As anybody would set it up who wants to show a folder. */
const nginxConf = (port: number) => `daemon off;
pid .nginx-pid;
error_log stderr warn;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path .body;
  proxy_temp_path .proxy;
  fastcgi_temp_path .fastcgi;
  uwsgi_temp_path .uwsgi;
  scgi_temp_path .scgi;
  default_type text/plain;
  server { listen 127.0.0.1:${port}; root site; autoindex on; }
}
`;

async function startNginx(): Promise<{ readonly origin: string } & AsyncDisposable> {
  const port = freePort();
  const folder: TempFolder = await tempFolder({
    "nginx.conf": nginxConf(port),
    "site/files/reports/q3.txt": "up\n",
    "site/files/reports/q4.txt": "down\n",
    "site/payroll/all.txt": "much\n",
  });
  await mkdir(join(folder.path, "site/files/minutes"));
  const asRoot = process.getuid?.() === 0 ? ["-g", "user root;"] : [];
  const command = [findProgram("nginx") ?? "nginx", "-p", ".", "-e", "stderr", "-c", "nginx.conf"];
  const child = Bun.spawn([...command, ...asRoot], {
    cwd: folder.path,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  const origin = `http://127.0.0.1:${port}`;
  await until(
    "nginx",
    10_000,
    async () => (await fetch(origin).catch(() => undefined)) !== undefined,
  );
  return {
    origin,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      await folder[Symbol.asyncDispose]();
    },
  };
}

describeWith("chromium", "a person with a browser", () => {
  describeWith("nginx", "and applications that know nothing of signing in", () => {
    let browser: Browser;
    let nginx: Awaited<ReturnType<typeof startNginx>>;
    let board: ReturnType<typeof startBoard>;
    let stage: Stage;
    let url: string;

    beforeAll(async () => {
      board = startBoard();
      [browser, nginx] = await Promise.all([launchChromium(), startNginx()]);
      const config = (issuer: string) => `session: { refresh: 1s }
pages: { name: Acme Tools }
issuers:
  - name: acme
    issuer: ${issuer}
    login: { clientId: gate, clientSecret: ${CLIENT_SECRET}, scopes: [openid, offline_access] }
routes:
  - name: files
    match: { path: /files/* }
    upstream: ${nginx.origin}
    login: true
    policies: [{ require-roles: { anyOf: [staff] } }]
  - name: payroll
    match: { path: /payroll/* }
    upstream: ${nginx.origin}
    login: true
    policies: [{ require-roles: { anyOf: [hr] } }]
  - name: board
    match: { path: /board/* }
    upstream: ${board.origin}
    login: true
    policies: [{ require-roles: { anyOf: [staff] } }]
    identityHeaders: { X-User: sub, X-Expires: exp }
  - name: fresh
    match: { path: /fresh/* }
    upstream: ${board.origin}
    login: true
    policies: [fresh]
  - name: strong
    match: { path: /strong/* }
    upstream: ${board.origin}
    login: true
    policies: [{ step-up: { acr: [mfa] } }]
`;
      stage = await openStage({
        scheme: "http",
        clients: ["gate"],
        files: { "policies/fresh.ts": FRESH },
        ttl: { IdToken: TOKEN_SECONDS, AccessToken: TOKEN_SECONDS },
        config: ({ issuer }) => config(issuer),
      });
      ({ url } = stage);
    }, LIMIT_MS);

    afterAll(async () => {
      await browser?.close();
      await stage?.[Symbol.asyncDispose]();
      await board?.[Symbol.asyncDispose]();
      await nginx?.[Symbol.asyncDispose]();
    });

    async function signedIn(name: string, path: string): Promise<{ person: Person; tab: Page }> {
      const person = await openPerson(browser, url);
      const tab = await person.openTab();
      await tab.goto(`${url}${path}`);
      await signInAt(stage.provider.issuer, tab, name);
      expect(tab.url()).toBe(`${url}${path}`);
      return { person, tab };
    }

    const asks = (person: Person) =>
      person.went.filter((one) => /^GET .*\/interaction\//.test(one));
    const isAtProvider = (tab: Page) => tab.url().startsWith(stage.provider.issuer);
    const textOf = (tab: Page, id: string) => tab.locator(`#${id}`).textContent();

    test(
      "comes by a deep link, signs in, is there, and may go on to one place and not to another",
      async () => {
        const { person, tab } = await signedIn("alice", "/files/reports/?C=N&O=D&q=%C3%A4%20b");
        await using _ = person;
        expect(await tab.title()).toBe("Index of /files/reports/");
        await keepScreenshot(tab, "application");
        const cookies = await person.context.cookies(url);
        expect(
          cookies.map(({ name, httpOnly, sameSite, path }) => ({ name, httpOnly, sameSite, path })),
        ).toEqual([{ name: "claimgate", httpOnly: true, sameSite: "Lax", path: "/" }]);

        await tab.click("text=q3.txt");
        expect(await tab.locator("body").textContent()).toBe("up\n");
        expect(asks(person)).toHaveLength(2); // a name, and consent

        const denied = await tab.goto(`${url}/payroll/all.txt`);
        expect(denied?.status()).toBe(403);
        expect(await tab.locator("h1").textContent()).toBe("Access is denied");
        expect(await tab.locator("body").textContent()).not.toMatch(/much|hr|staff|alice/);
        await keepScreenshot(tab, "denied");
        expect(person.faults).toEqual([]);
      },
      LIMIT_MS,
    );

    test(
      "stays signed in past the end of the provider's tokens, and sees nothing of it",
      async () => {
        const { person, tab } = await signedIn("alice", "/board/?tab=1");
        await using _ = person;
        await tab.locator("#echo", { hasText: "still here" }).waitFor();
        expect(await textOf(tab, "who")).toBe("alice");
        expect(await textOf(tab, "cookie")).toBe("none");
        const expires = Number(await textOf(tab, "expires"));
        expect(expires).toBeGreaterThan(Date.now() / 1_000 - TOKEN_SECONDS);
        person.went.length = 0;
        // The provider's clock is the same one.
        await Bun.sleep(Math.max(0, expires * 1_000 + 300 - Date.now()));

        expect(await textOf(tab, "ended")).toBe("");
        await tab.reload();
        await tab.locator("#echo", { hasText: "still here" }).waitFor();
        expect(Number(await textOf(tab, "expires"))).toBeGreaterThan(expires);
        expect(person.went).toEqual([`GET ${url}/board/`]);
      },
      LIMIT_MS,
    );

    test(
      "signs out at the provider in another tab, and is signed out here",
      async () => {
        const { person, tab } = await signedIn("alice", "/board/");
        await using _ = person;
        await tab.locator("#echo", { hasText: "still here" }).waitFor();
        const [second, away] = await Promise.all([person.openTab(), person.openTab()]);
        await second.goto(`${url}/files/`);
        expect(await second.title()).toBe("Index of /files/");

        await away.goto(`${stage.provider.issuer}/session/end`);
        await away.click("text=Yes, sign me out");
        await away.waitForURL("**/session/end/success*");
        await tab.locator("#ended", { hasText: "1008" }).waitFor({ timeout: 2_000 });

        // What a page that is still open asks for in the background fails as such.
        const answer = await tab.evaluate(`
          fetch("/board/").then(({ status, redirected, type }) => ({ status, redirected, type }))
        `);
        expect(answer).toEqual({ status: 401, redirected: false, type: "basic" });

        await second.click("text=reports/");
        await second.waitForURL((to) => to.origin === stage.provider.issuer);
        await signInAt(stage.provider.issuer, second, "alice");
        expect(second.url()).toBe(`${url}/files/reports/`);
      },
      LIMIT_MS,
    );

    test(
      "begins in two tabs at once, and both end where they were to go",
      async () => {
        await using person = await openPerson(browser, url);
        const tabs = await Promise.all([person.openTab(), person.openTab()]);
        const [one, other] = tabs;
        await Promise.all([one.goto(`${url}/board/?tab=1`), other.goto(`${url}/files/?tab=2`)]);
        expect(tabs.map(isAtProvider)).toEqual([true, true]);
        await signInAt(stage.provider.issuer, other, "alice");
        await signInAt(stage.provider.issuer, one, "alice");
        expect(tabs.map((tab) => tab.url())).toEqual([
          `${url}/board/?tab=1`,
          `${url}/files/?tab=2`,
        ]);
        for (const tab of tabs) expect((await tab.reload())?.status()).toBe(200);
        // Nothing is left of either attempt.
        const cookies = await person.context.cookies(url);
        expect(cookies.map(({ name }) => name)).toEqual(["claimgate"]);
      },
      LIMIT_MS,
    );

    test(
      "is protected from what another site makes the browser ask for",
      async () => {
        const { person, tab } = await signedIn("alice", "/board/");
        await using _ = person;
        await using site = startSite(`<!doctype html><title>Win a prize</title>
<form method="post" action="${url}/board/"><button>Win</button></form>
<output id="socket"></output>
<script>
const opened = new WebSocket("${url.replace("http", "ws")}/board/socket");
opened.onopen = () => { socket.textContent = "opened" };
opened.onerror = () => { socket.textContent = "refused" };
</script>`);
        await tab.goto(site.origin);
        await tab.locator("#socket", { hasText: "refused" }).waitFor();
        const [answer] = await Promise.all([
          tab.waitForResponse(`${url}/board/`),
          tab.click("text=Win"),
        ]);
        expect(answer.status()).toBe(403);
        await tab.waitForURL(`${url}/board/`);
        expect(await tab.locator("dd").nth(1).textContent()).toBe("cross_site");
        // The person's own click on a link is no attack.
        expect((await tab.goto(`${url}/board/`))?.status()).toBe(200);
      },
      LIMIT_MS,
    );

    test(
      "is asked again where a policy wants it, and comes back to the same page",
      async () => {
        const { person, tab } = await signedIn("alice", "/board/");
        await using _ = person;
        await tab.goto(`${url}/fresh/page?x=1&y=2#end`);
        expect(isAtProvider(tab)).toBe(true);
        await signInAt(stage.provider.issuer, tab, "alice");
        expect(new URL(tab.url()).search).toBe("?x=1&y=2");
        expect(await tab.title()).toBe("Board");
      },
      LIMIT_MS,
    );

    test(
      "who cannot give what a policy wants sees a page that says so, not the provider for ever",
      async () => {
        const { person, tab } = await signedIn("alice", "/board/");
        await using _ = person;
        await tab.goto(`${url}/strong/page`);
        await signInAt(stage.provider.issuer, tab, "alice");
        expect(tab.url()).toBe(`${url}/strong/page`);
        await keepScreenshot(tab, "step-up");
        // In the usual colour.
        expect(await factsOf(tab)).toMatchObject({
          hardToRead: [],
          hardToHit: 0,
          isTooWide: false,
        });
        expect(await tab.locator("body").textContent()).toContain("not in the way");
        person.went.length = 0;
        expect((await tab.goto(`${url}/strong/page`))?.status()).toBe(403);
        expect(person.went).toEqual([`GET ${url}/strong/page`]);
        expect(person.faults).toEqual([]);
      },
      LIMIT_MS,
    );
  });
});
