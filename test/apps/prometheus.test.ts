/**
 * Prometheus behind the gate: its HTTP API, and its page in a real browser.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Browser } from "playwright-core";
import { launchChromium } from "../e2e/chromium.ts";
import { until } from "../e2e/claimgate.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
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

const SCRAPED_LIMIT_MS = 10_000;

describeWith(["prometheus", "chromium"], "Prometheus", () => {
  let folder: TempFolder;
  let app: App;
  let gate: AppGate;
  let browser: Browser;

  beforeAll(async () => {
    const port = freePort();
    const address = `127.0.0.1:${port}`;
    folder = await tempFolder({
      "prometheus.yml": `global: { scrape_interval: 1s }
scrape_configs:
  - job_name: itself
    metrics_path: /prometheus/metrics
    static_configs: [{ targets: ["${address}"] }]
`,
    });
    app = await startApp(
      [
        findProgram("prometheus") ?? "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        `--web.listen-address=${address}`,
        "--web.external-url=/prometheus/",
      ],
      { cwd: folder.path, isUp: answers(`http://${address}/prometheus/-/ready`) },
    );
    gate = await startAppGate(`routes:
  - name: prometheus
    match: { path: /prometheus/*, methods: [GET, POST] }
    upstream: http://${address}
    anyAuthenticated: true
    credentials: [header, { cookie: access }]
`);
    browser = await launchChromium();
  }, STAGE_LIMIT_MS);

  afterAll(async () => {
    await browser?.close();
    await endAll([folder, app, gate]);
  });

  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${gate.origin}/prometheus${path}`, {
      ...init,
      headers: { Authorization: `Bearer ${gate.token}` },
    });

  test(
    "queries are answered, as GET and as a form",
    async () => {
      const query = new URLSearchParams({ query: 'up{job="itself"}' });
      await until("a first scrape", SCRAPED_LIMIT_MS, async () => {
        const answer = await call(`/api/v1/query?${query}`);
        return (await answer.text()).includes('"job":"itself"');
      });
      const answer = await call("/api/v1/query", { method: "POST", body: query });
      expect(await answer.json()).toMatchObject({
        status: "success",
        data: { result: [{ metric: { job: "itself" }, value: [expect.any(Number), "1"] }] },
      });
    },
    TEST_LIMIT_MS,
  );

  test(
    "its own redirect leads to its page, which asks and shows through the gate",
    async () => {
      const context = await browser.newContext();
      await context.addCookies([{ name: "access", value: gate.token, url: gate.origin }]);
      const tab = await context.newPage();
      const refused: string[] = [];
      tab.on("response", (answer) => {
        if (answer.status() >= 400) refused.push(`${answer.status()} ${answer.url()}`);
      });
      await tab.goto(`${gate.origin}/prometheus/`);
      // Debian's own build has an older page than others.
      expect(tab.url()).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/prometheus\/(classic\/)?graph$/);
      expect(new URL(tab.url()).origin).toBe(gate.origin);
      await tab.goto(`${tab.url()}?g0.expr=up&g0.tab=1`);
      await tab.getByText('job="itself"').first().waitFor();
      expect(refused).toEqual([]);
      await context.close();
    },
    TEST_LIMIT_MS,
  );

  test("without a token there are no figures", async () => {
    const answer = await fetch(`${gate.origin}/prometheus/api/v1/query?query=up`);
    expect(answer.status).toBe(401);
  });
});
