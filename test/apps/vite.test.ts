/**
 * Vite's development server behind the gate, with a real browser: modules, and hot replacement
 * over its WebSocket.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { launchChromium } from "../e2e/chromium.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
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

const FILES = {
  "index.html": `<!doctype html>
<title>Desk</title>
<link rel="icon" href="data:,">
<h1></h1>
<script type="module" src="/main.js"></script>
`,
  "main.js": `import "./style.css";
import { message } from "./message.js";

const show = (text) => {
  document.querySelector("h1").textContent = text;
};
show(message);
import.meta.hot.accept("./message.js", (module) => show(module.message));
`,
  "message.js": `export const message = "first";\n`,
  "style.css": "h1 { color: rgb(1, 2, 3) }\n",
};

describeWith("chromium", "a Vite development server", () => {
  let folder: TempFolder;
  let app: App;
  let gate: AppGate;
  let browser: Browser;

  beforeAll(async () => {
    folder = await installNpm({ dependencies: { vite: "8.3.8" } });
    for (const [name, text] of Object.entries(FILES)) await folder.write(`site/${name}`, text);
    const port = freePort();
    const vite = npmFile(folder, "vite/bin/vite.js");
    app = await startApp(
      [process.execPath, vite, "--host", "127.0.0.1", "--port", String(port), "--strictPort"],
      { cwd: `${folder.path}/site`, isUp: answers(`http://127.0.0.1:${port}/`) },
    );
    gate = await startAppGate(`routes:
  - name: vite
    match: { path: /* }
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

  test(
    "a change of a module or a style is on the page without a reload",
    async () => {
      const context = await browser.newContext();
      await context.addCookies([{ name: "access", value: gate.token, url: gate.origin }]);
      const tab = await context.newPage();
      const faults: string[] = [];
      tab.on("pageerror", (error) => faults.push(error.message));
      tab.on("console", (line) => line.type() === "error" && faults.push(line.text()));
      const sockets: string[] = [];
      tab.on("websocket", (socket) => sockets.push(new URL(socket.url()).origin));
      const connected = tab.waitForEvent("console", (line) => line.text() === "[vite] connected.");

      await tab.goto(gate.origin);
      await connected;
      await tab.waitForFunction("document.querySelector('h1').textContent === 'first'");
      await tab.evaluate("window.isStillThere = true");

      await folder.write("site/message.js", `export const message = "second";\n`);
      await tab.waitForFunction("document.querySelector('h1').textContent === 'second'");
      await folder.write("site/style.css", "h1 { color: rgb(4, 5, 6) }\n");
      await tab.waitForFunction(
        "getComputedStyle(document.querySelector('h1')).color === 'rgb(4, 5, 6)'",
      );
      expect(await tab.evaluate("window.isStillThere")).toBe(true);

      // What cannot be replaced reloads the page, which is asked for over the same socket.
      await folder.write("site/index.html", FILES["index.html"].replace("Desk", "Bureau"));
      await tab.waitForFunction("document.title === 'Bureau'");
      await tab.waitForFunction("document.querySelector('h1').textContent === 'second'");
      expect(sockets).toEqual([
        gate.origin.replace("http", "ws"),
        gate.origin.replace("http", "ws"),
      ]);
      expect(faults).toEqual([]);
      await context.close();
    },
    TEST_LIMIT_MS,
  );

  test("a browser without a token gets no page, and none of the modules", async () => {
    for (const path of ["/", "/main.js", "/@vite/client"]) {
      expect((await fetch(`${gate.origin}${path}`)).status).toBe(401);
    }
  });
});
