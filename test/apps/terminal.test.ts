/**
 * A terminal in the browser (wetty) behind the gate: a shell over WebSocket, in Chromium.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Browser } from "playwright-core";
import { launchChromium } from "../e2e/chromium.ts";
import { run, until } from "../e2e/claimgate.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import type { TempFolder } from "../support/temp-folder.ts";
import {
  type App,
  type AppGate,
  answers,
  endAll,
  STAGE_LIMIT_MS,
  startApp,
  startAppGate,
  TEST_LIMIT_MS,
} from "./app-stage.ts";
import { installNpm, npmFile } from "./npm-packages.ts";

const SHOWN_LIMIT_MS = 10_000;

describeWith(["chromium", "node"], "a terminal in the browser", () => {
  let folder: TempFolder;
  let app: App;
  let gate: AppGate;
  let browser: Browser;

  beforeAll(async () => {
    folder = await installNpm({
      dependencies: { wetty: "3.2.0" },
      // The same, built already: nothing is compiled here.
      overrides: { "node-pty": "npm:@lydell/node-pty@1.1.0" },
    });
    const port = freePort();
    const node = findProgram("node") ?? "node";
    const where = ["--host", "127.0.0.1", "--port", String(port), "--base", "/terminal"];
    app = await startApp(
      [node, npmFile(folder, "wetty/build/main.js"), ...where, "--command", "/bin/sh"],
      { cwd: folder.path, isUp: answers(`http://127.0.0.1:${port}/terminal`) },
    );
    gate = await startAppGate(`routes:
  - name: terminal
    match: { path: /terminal/* }
    upstream: http://127.0.0.1:${port}
    anyAuthenticated: true
    credentials: [{ cookie: access }]
`);
    browser = await launchChromium();
  }, STAGE_LIMIT_MS);

  afterAll(async () => {
    await browser?.close();
    await endAll([folder, app, gate]);
  });

  /** Once it is on the WebSocket: until then its client asks again and again by HTTP. */
  async function openTerminal(token: string) {
    const context = await browser.newContext();
    await context.addCookies([{ name: "access", value: token, url: gate.origin }]);
    const tab = await context.newPage();
    let shown = "";
    let isUpgraded = false;
    let isClosed = false;
    tab.on("websocket", (socket) => {
      socket.on("framesent", ({ payload }) => {
        isUpgraded ||= payload === "5"; // Engine.IO's word for it
      });
      socket.on("framereceived", ({ payload }) => {
        shown += payload;
      });
      socket.on("close", () => {
        isClosed = true;
      });
    });
    await tab.goto(`${gate.origin}/terminal`);
    await until("the WebSocket", SHOWN_LIMIT_MS, () => isUpgraded);
    return {
      tab,
      async shows(text: RegExp): Promise<string> {
        await until(`${text}`, SHOWN_LIMIT_MS, () => text.test(shown));
        return shown.match(text)?.[1] ?? "";
      },
      closes: () => until("the socket's end", SHOWN_LIMIT_MS, () => isClosed),
      [Symbol.asyncDispose]: () => context.close(),
    };
  }

  // Anyone else it sends on by ssh.
  test.skipIf(process.getuid?.() !== 0)(
    "what is typed is done and shown over the WebSocket, until the token is revoked",
    async () => {
      await using terminal = await openTerminal(gate.token);
      await terminal.tab.keyboard.type("echo answer=$((6 * 7)) größe\n");
      await terminal.shows(/answer=42 größe/);
      await terminal.tab.keyboard.type("seq 1 20000; echo last=$((20000 + 1))\n");
      await terminal.shows(/last=20001/);
      await terminal.tab.setViewportSize({ width: 400, height: 300 });
      await terminal.tab.keyboard.type("stty size | sed s/^/size=/\n");
      await terminal.shows(/size=\d+ \d+/);

      await terminal.tab.keyboard.type("echo shell=$$\n");
      const shell = `/proc/${await terminal.shows(/shell=(\d+)/)}`;
      expect(existsSync(shell)).toBe(true);

      const revoked = await run(["revoke", "--subject", "alice"], { folder: gate.folder });
      expect(revoked.exitCode).toBe(0);
      await terminal.closes();
      await until("the shell's end", SHOWN_LIMIT_MS, () => !existsSync(shell));
      expect((await terminal.tab.reload())?.status()).toBe(401);
    },
    TEST_LIMIT_MS,
  );
});
