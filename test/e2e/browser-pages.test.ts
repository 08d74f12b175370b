import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser, Page } from "playwright-core";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { CLIENT_SECRET, openStage, type Stage, startBoard } from "./browser-stage.ts";
import {
  factsOf,
  keepScreenshot,
  launchChromium,
  openPerson,
  type Person,
  signInAt,
  tabThrough,
} from "./chromium.ts";

const LIMIT_MS = 45_000;

describeWith("chromium", "what a person sees of the gate", () => {
  let browser: Browser;
  let board: ReturnType<typeof startBoard>;
  let stage: Stage;
  let url: string;

  beforeAll(async () => {
    board = startBoard();
    browser = await launchChromium();
    const route = (name: string, more: string) =>
      `  - { name: ${name}, match: { path: /${name}/* }, upstream: "${board.origin}", ${more} }`;
    const anybody = "anyAuthenticated: true";
    stage = await openStage({
      scheme: "http",
      clients: ["employees"],
      config: ({ issuer }) => `pages: { name: Acme Tools, colour: "#0a7" }
issuers:
  - { name: employees, issuer: "${issuer}", login: { clientId: employees, clientSecret: ${CLIENT_SECRET} } }
  - { name: partners, issuer: "http://127.0.0.1:${freePort()}", login: { clientId: gate, clientSecret: any } }
routes:
${route("both", `issuers: [employees, partners], login: true, ${anybody}`)}
${route("board", `issuers: [employees], login: employees, ${anybody}`)}
${route("payroll", "issuers: [employees], login: employees, policies: [{ require-roles: { anyOf: [hr] } }]")}
${route("strong", "issuers: [employees], login: employees, policies: [{ step-up: { acr: [mfa] } }]")}
${route("away", `issuers: [partners], login: partners, ${anybody}`)}
`,
    });
    ({ url } = stage);
  }, LIMIT_MS);

  afterAll(async () => {
    await browser?.close();
    await stage?.[Symbol.asyncDispose]();
    await board?.[Symbol.asyncDispose]();
  });

  const signIn = (tab: Page, name = "alice") => signInAt(stage.provider.issuer, tab, name);

  async function signedIn(tab: Page): Promise<void> {
    await tab.goto(`${url}/board/`);
    await signIn(tab);
    expect(tab.url()).toBe(`${url}/board/`);
  }

  /** How a person comes to each page; the status that it then has. */
  const PAGES: readonly {
    readonly name: string;
    readonly heading: string;
    readonly status: number;
    readonly controls: readonly string[];
    readonly open: (tab: Page) => Promise<{ status(): number } | null>;
  }[] = [
    {
      name: "chooser",
      heading: "Sign in",
      status: 200,
      controls: ["employees", "partners"],
      open: (tab) => tab.goto(`${url}/both/page?q=1`),
    },
    {
      name: "sign-out",
      heading: "Sign out?",
      status: 200,
      controls: ["Sign out"],
      open: (tab) => tab.goto(`${url}/.claimgate/logout`),
    },
    {
      name: "signed-out",
      heading: "Signed out",
      status: 200,
      controls: ["Sign in again"],
      open: (tab) => tab.goto(`${url}/.claimgate/signed-out`),
    },
    {
      name: "login-failed",
      heading: "The sign-in did not work",
      status: 400,
      controls: ["Sign in again"],
      open: (tab) => tab.goto(`${url}/.claimgate/callback?error=%3Cb%3Eno&state=none`),
    },
    {
      name: "issuer-unreachable",
      heading: "The identity provider does not answer",
      status: 502,
      controls: ["Sign in again"],
      open: (tab) => tab.goto(`${url}/away/`),
    },
    {
      name: "nothing-here",
      heading: "Nothing is served here",
      status: 404,
      controls: [],
      open: (tab) => tab.goto(`${url}/elsewhere`),
    },
    {
      name: "denied",
      heading: "Access is denied",
      status: 403,
      controls: ["Sign in as somebody else"],
      open: async (tab) => {
        await signedIn(tab);
        return tab.goto(`${url}/payroll/`);
      },
    },
    {
      name: "session-ended",
      heading: "Sign-in is required",
      status: 401,
      controls: ["Sign in"],
      open: async (tab) => {
        await tab.setContent(`<form method="post" action="${url}/board/"><button>Send</button>`);
        const answer = tab.waitForResponse(`${url}/board/`);
        await tab.click("text=Send");
        await tab.waitForURL(`${url}/board/`);
        return answer;
      },
    },
    {
      name: "step-up-unmet",
      heading: "A stronger or more recent sign-in is required",
      status: 403,
      controls: ["Sign in again"],
      open: async (tab) => {
        await tab.goto(`${url}/strong/`);
        await signIn(tab);
        return tab.reload();
      },
    },
  ];

  async function expectGood(person: Person, tab: Page, page: (typeof PAGES)[number]) {
    const facts = await factsOf(tab);
    expect(facts).toMatchObject({
      lang: "en",
      title: `${page.heading} · Acme Tools`,
      headings: ["H1"],
      mains: 1,
      unnamed: 0,
      controls: page.controls,
      hardToRead: [],
      hardToHit: 0,
      isTooWide: false,
    });
    expect(await tab.locator("h1").textContent()).toBe(page.heading);
    expect(person.faults).toEqual([]);
    return facts;
  }

  for (const page of PAGES) {
    test(
      `${page.name} can be read and used, in light and in the dark, on a phone, by keyboard`,
      async () => {
        await using person = await openPerson(browser, url, { colorScheme: "light" });
        const tab = await person.openTab();
        expect((await page.open(tab))?.status()).toBe(page.status);
        await keepScreenshot(tab, `${page.name}-light`);
        const light = await expectGood(person, tab, page);
        await tab.emulateMedia({ colorScheme: "dark" });
        await keepScreenshot(tab, `${page.name}-dark`);
        const dark = await expectGood(person, tab, page);
        expect(dark.ground).not.toBe(light.ground);
        await tab.setViewportSize({ width: 320, height: 568 });
        await keepScreenshot(tab, `${page.name}-phone`);
        await expectGood(person, tab, page);
        const stops = await tabThrough(tab, page.controls.length);
        expect(stops).toEqual(page.controls.map((name) => ({ name, isShown: true })));
      },
      LIMIT_MS,
    );
  }

  test(
    "whoever has a choice of providers comes by it to where they were to go",
    async () => {
      await using person = await openPerson(browser, url);
      const tab = await person.openTab();
      await tab.goto(`${url}/both/page?q=1&r=%2F#part`);
      await tab.click("text=employees");
      await signIn(tab);
      expect(new URL(tab.url()).pathname + new URL(tab.url()).search).toBe("/both/page?q=1&r=%2F");
      // One session is enough, whatever the route would have offered.
      expect((await tab.reload())?.status()).toBe(200);
      expect(person.faults).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "signing out is one click here, goes by the provider, and ends at a page that says so",
    async () => {
      await using person = await openPerson(browser, url);
      const tab = await person.openTab();
      await signedIn(tab);
      await tab.goto(`${url}/.claimgate/logout`);
      await tab.click("text=Sign out >> nth=-1");
      await tab.click("text=Yes, sign me out");
      await tab.waitForURL(`${url}/.claimgate/signed-out*`);
      expect(await tab.locator("h1").textContent()).toBe("Signed out");
      expect(await person.context.cookies(url)).toEqual([]);
      await tab.goto(`${url}/board/`);
      expect(tab.url()).toStartWith(`${stage.provider.issuer}/interaction/`);
      expect(person.faults).toEqual([]);
    },
    LIMIT_MS,
  );

  test(
    "whoever is denied may sign in as somebody else, by way of signing out",
    async () => {
      await using person = await openPerson(browser, url);
      const tab = await person.openTab();
      await signedIn(tab);
      await tab.goto(`${url}/payroll/`);
      expect(await tab.locator("h1").textContent()).toBe("Access is denied");
      await tab.click("text=Sign in as somebody else");
      expect(tab.url()).toBe(`${url}/.claimgate/logout`);
    },
    LIMIT_MS,
  );
});
