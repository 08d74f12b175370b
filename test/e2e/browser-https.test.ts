import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { makeCertificate } from "../support/certificate.ts";
import { describeWith } from "../support/needs.ts";
import { CLIENT_SECRET, openStage, type Stage, startBoard } from "./browser-stage.ts";
import { launchChromium, openPerson, signInAt } from "./chromium.ts";

const LIMIT_MS = 45_000;
const IDLE_SECONDS = 2;

describeWith("chromium", "a person with a browser, over TLS", () => {
  let browser: Browser;
  let board: ReturnType<typeof startBoard>;
  let stage: Stage;

  beforeAll(async () => {
    board = startBoard();
    browser = await launchChromium();
    const { cert, key } = makeCertificate();
    stage = await openStage({
      scheme: "https",
      clients: ["gate"],
      files: { "cert.pem": cert, "key.pem": key },
      config: ({ issuer }) => `tls: { cert: cert.pem, key: key.pem }
session: { idle: ${IDLE_SECONDS}s }
issuers:
  - { name: acme, issuer: "${issuer}", login: { clientId: gate, clientSecret: ${CLIENT_SECRET} } }
routes:
  - { upstream: "${board.origin}", login: true, anyAuthenticated: true, identityHeaders: { X-User: sub } }
`,
    });
  }, LIMIT_MS);

  afterAll(async () => {
    await browser?.close();
    await stage?.[Symbol.asyncDispose]();
    await board?.[Symbol.asyncDispose]();
  });

  test(
    "has a cookie of this host alone; a session that nobody uses ends, and begins anew",
    async () => {
      const { url, provider } = stage;
      await using person = await openPerson(browser, url, { ignoreHTTPSErrors: true });
      const tab = await person.openTab();
      await tab.goto(`${url}/board/?q=1`);
      await signInAt(provider.issuer, tab, "alice");
      expect(tab.url()).toBe(`${url}/board/?q=1`);
      expect(await tab.locator("#who").textContent()).toBe("alice");
      await tab.locator("#echo", { hasText: "still here" }).waitFor();
      const [cookie, ...others] = await person.context.cookies(url);
      expect(others).toEqual([]);
      expect(cookie).toMatchObject({
        name: "__Host-claimgate",
        domain: "localhost",
        path: "/",
        secure: true,
        httpOnly: true,
        sameSite: "Lax",
        expires: -1,
      });
      // What a script could read of it.
      expect(await tab.evaluate("document.cookie")).toBe("");

      await tab.goto("about:blank"); // an open WebSocket is use
      await Bun.sleep(IDLE_SECONDS * 1_000 + 500);
      person.went.length = 0;
      await tab.goto(`${url}/board/?q=2`);
      // The provider still knows the person: there is nothing to be asked.
      expect(person.went.some((one) => one.startsWith(`GET ${provider.issuer}/auth`))).toBe(true);
      expect(tab.url()).toBe(`${url}/board/?q=2`);
      const [next] = await person.context.cookies(url);
      expect(next?.value).not.toBe(cookie?.value);
      expect(person.faults).toEqual([]);
    },
    LIMIT_MS,
  );
});
