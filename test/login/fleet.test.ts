import { expect, test } from "bun:test";
import { until } from "../e2e/claimgate.ts";
import { describeWith } from "../support/needs.ts";
import { startRedis } from "../support/redis-server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { lastOf, openBrowser } from "./browser.ts";
import { issuerEntry, openLoginGate } from "./login-gate.ts";
import { startMockProvider } from "./mock-provider.ts";

const API = { Accept: "application/json", "Sec-Fetch-Mode": "cors" };
const MINUTE_MS = 60_000;
/** A gate whose store is gone tries for some seconds to bring what is left. */
const TEST_LIMIT_MS = 30_000;

describeWith("redis-server", "gates of one Redis", () => {
  test("share sign-ins, sessions, renewals and sign-outs", async () => {
    await using redis = await startRedis();
    await using provider = await startMockProvider();
    await using folder = await tempFolder({});
    const config = ({ upstream }: { upstream: string }) => ({
      store: redis.url,
      session: { secret: ["0123456789abcdef0123456789abcdef"] },
      issuers: [issuerEntry(provider.issuer)],
      routes: [{ upstream, login: true, anyAuthenticated: true }],
    });
    await using one = await openLoginGate({ config, folder });
    await using two = await openLoginGate({ config, folder });
    const browser = openBrowser();
    expect(lastOf(await browser.follow(`${one.url}/`)).status).toBe(200);
    const ask = (at: typeof one) => browser.go(`${at.url}/`, { headers: API });
    expect((await ask(two)).status).toBe(200);

    one.clock.aheadMs += 5 * MINUTE_MS;
    two.clock.aheadMs += 5 * MINUTE_MS;
    const many = Array.from({ length: 20 }, (_, at) => ask(at % 2 === 0 ? one : two));
    expect(new Set((await Promise.all(many)).map(({ status }) => status))).toEqual(new Set([200]));
    const refreshes = provider.tokenRequests.filter((it) => it.grant_type === "refresh_token");
    expect(refreshes).toHaveLength(1);

    const id = browser.cookies.get("localhost")?.get("claimgate") ?? "";
    const headers = { Origin: one.url };
    await browser.go(`${one.url}/.claimgate/logout`, { method: "POST", headers });
    browser.cookies.get("localhost")?.set("claimgate", id);
    await until("the other gate's refusal", 1_000, async () => (await ask(two)).status === 401);
  });

  test(
    "know a session that they have seen while Redis is away, and no other",
    async () => {
      await using redis = await startRedis();
      await using provider = await startMockProvider();
      await using gate = await openLoginGate({
        config: ({ upstream }) => ({
          store: redis.url,
          session: { secret: ["0123456789abcdef0123456789abcdef"] },
          issuers: [issuerEntry(provider.issuer)],
          routes: [{ upstream, login: true, anyAuthenticated: true }],
        }),
      });
      const browser = openBrowser();
      expect(lastOf(await browser.follow(`${gate.url}/`)).status).toBe(200);
      await redis.kill();
      expect((await browser.go(`${gate.url}/`, { headers: API })).status).toBe(200);
      const headers = { ...API, Cookie: `claimgate=${"A".repeat(43)}` };
      const unknown = await openBrowser().go(`${gate.url}/`, { headers });
      expect([unknown.status, JSON.parse(unknown.text).code]).toEqual([503, "store_unavailable"]);
      const signingIn = lastOf(await openBrowser().follow(`${gate.url}/`));
      expect(signingIn.status).toBe(503);
    },
    TEST_LIMIT_MS,
  );
});
