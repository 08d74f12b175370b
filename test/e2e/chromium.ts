/**
 * Debian's Chromium, driven as a person would: it reaches this machine and nothing else, and
 * what goes wrong on a page is written down.
 *
 * @module
 */
import { join } from "node:path";
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { findProgram } from "../support/packages.ts";

const ROOT = join(import.meta.dir, "../..");

/** Where screenshots go, as output of the run. */
const SCREENSHOTS = process.env.CLAIMGATE_SCREENSHOTS ?? join(ROOT, "dist/screenshots");

/** Longer than any page takes. */
const PAGE_LIMIT_MS = 15_000;

export function launchChromium(): Promise<Browser> {
  const asRoot = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({
    executablePath: findProgram("chromium") ?? "chromium",
    args: [
      ...asRoot,
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    ],
  });
}

/** A person with a browser of their own: cookies, tabs. */
export type Person = AsyncDisposable & {
  readonly context: BrowserContext;
  readonly openTab: () => Promise<Page>;
  /** Each request of a navigation, redirects included: `GET http://…`, query left out. */
  readonly went: string[];
  /** What a page of `origin` asked for elsewhere, ran into, or was kept from by its policy. */
  readonly faults: string[];
};

/** @param origin The gate's, whose pages are held to be without fault. */
export async function openPerson(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<Person> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PAGE_LIMIT_MS);
  const went: string[] = [];
  const faults: string[] = [];
  context.on("request", (request) => {
    const { hostname, origin: to, pathname } = new URL(request.url());
    if (request.isNavigationRequest()) went.push(`${request.method()} ${to}${pathname}`);
    else if (hostname !== "localhost" && request.frame().url().startsWith(origin)) {
      faults.push(`asks for ${request.url()}`);
    }
  });
  context.on("weberror", (error) => faults.push(`throws ${error.error().message}`));
  context.on("console", (message) => {
    const isPolicy = message.text().includes("Content Security Policy");
    if (isPolicy && message.location().url.startsWith(origin)) faults.push(message.text());
  });
  return {
    context,
    openTab: () => context.newPage(),
    went,
    faults,
    [Symbol.asyncDispose]: () => context.close(),
  };
}

/** At the pages of oidc-provider: a name, any password, and yes; until it lets go of the tab. */
export async function signInAt(provider: string, tab: Page, name: string): Promise<void> {
  for (;;) {
    const before = new URL(tab.url());
    if (before.origin !== provider) return;
    const prompt = await tab.locator('input[name="prompt"]').getAttribute("value");
    if (prompt === "login") {
      await tab.fill('input[name="login"]', name);
      await tab.fill('input[name="password"]', "any");
    }
    await Promise.all([
      tab.waitForURL((url) => url.pathname !== before.pathname || url.origin !== before.origin),
      tab.click('button[type="submit"]'),
    ]);
  }
}

export async function keepScreenshot(tab: Page, name: string): Promise<void> {
  await tab.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** What page-facts.js tells. */
export type PageFacts = {
  readonly lang: string;
  readonly title: string;
  readonly headings: readonly string[];
  readonly mains: number;
  readonly unnamed: number;
  readonly controls: readonly string[];
  readonly hardToRead: readonly string[];
  readonly hardToHit: number;
  readonly isTooWide: boolean;
  readonly ground: string;
};

export async function factsOf(tab: Page): Promise<PageFacts> {
  return tab.evaluate(await Bun.file(join(import.meta.dir, "page-facts.js")).text());
}

/** @returns The names of what the Tab key comes to, in that order, and whether each shows it. */
export async function tabThrough(
  tab: Page,
  steps: number,
): Promise<readonly { readonly name: string; readonly isShown: boolean }[]> {
  const stops = [];
  for (let step = 0; step < steps; step++) {
    await tab.keyboard.press("Tab");
    stops.push(
      await tab.evaluate<{ name: string; isShown: boolean }>(`({
        name: document.activeElement.textContent.trim(),
        isShown: getComputedStyle(document.activeElement).outlineStyle !== "none",
      })`),
    );
  }
  return stops;
}
