/** Limits over a real Redis, shared by two gates; what it does when it is gone. */
import { expect, test } from "bun:test";
import { bucketKey } from "../../src/limits/bucket-key.ts";
import { type Charge, createLimiter } from "../../src/limits/rate.ts";
import { openStore } from "../../src/store/open.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** So slow to fill that nothing is refilled while a test runs. */
const FIFTY = { limit: 50, perMs: 24 * 3_600_000 };

function of(who: string): Charge {
  return { key: bucketKey("route orders", FIFTY, who), bucket: FIFTY, from: "tokens" };
}

async function startRedis() {
  const folder = await tempFolder();
  const port = await freePort();
  const command = ["redis-server", "--port", String(port), "--bind", "127.0.0.1", "--save", ""];
  const redis = Bun.spawn(command, { cwd: folder.path, stdout: "pipe", stderr: "ignore" });
  let said = "";
  for await (const chunk of redis.stdout) {
    said += new TextDecoder().decode(chunk);
    if (said.includes("Ready to accept connections")) break;
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    signal: (name: NodeJS.Signals) => redis.kill(name),
    exited: redis.exited,
    async [Symbol.asyncDispose]() {
      redis.kill("SIGKILL");
      await redis.exited;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** @param answerWithinMs Long, where a busy machine must not be taken for a lost store. */
async function gateOn(url: string, answerWithinMs = 30_000) {
  const clock = { nowMs: 1_767_600_000_000 };
  const now = () => clock.nowMs;
  const store = await openStore({ kind: "redis", url, prefix: "test:" }, { now });
  const warnings: string[] = [];
  const { takeTokens } = store;
  const warn = (message: string) => warnings.push(message);
  const limiter = createLimiter({ now, warn, answerWithinMs, ...(takeTokens && { takeTokens }) });
  return { limiter, clock, warnings, [Symbol.asyncDispose]: () => store.close() };
}

describeWith("redis-server", "limits over Redis", () => {
  test("are exact for two gates at once", async () => {
    await using redis = await startRedis();
    await using here = await gateOn(redis.url);
    await using there = await gateOn(redis.url);
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, n) => (n % 2 ? here : there).limiter.take([of("alice")])),
    );
    expect(answers.filter(({ allowed }) => allowed)).toHaveLength(50);
  });

  test("go on while it is paused, and come back to it", async () => {
    await using redis = await startRedis();
    await using gate = await gateOn(redis.url, 1_000);
    await using other = await gateOn(redis.url);
    for (let n = 0; n < 10; n++) await other.limiter.take([of("alice")]);
    for (let n = 0; n < 5; n++) await gate.limiter.take([of("alice")]);

    redis.signal("SIGSTOP");
    // What passed here is what this gate knows.
    expect(await gate.limiter.take([of("alice")])).toMatchObject({ allowed: true, remaining: 44 });
    expect(gate.warnings).toHaveLength(1);
    redis.signal("SIGCONT");
    let warned: number;
    do {
      await Bun.sleep(10);
      warned = gate.warnings.length;
      gate.clock.nowMs += 60_000; // so that every try that fails warns
      await gate.limiter.take([of("bob")]);
    } while (gate.warnings.length > warned);
    // The question that was not waited for may have been answered, too: that is one more.
    expect((await gate.limiter.take([of("alice")])).remaining).toBeOneOf([33, 34]);
  });

  test("go on when it is killed", async () => {
    await using redis = await startRedis();
    await using gate = await gateOn(redis.url);
    for (let n = 0; n < 49; n++) await gate.limiter.take([of("alice")]);
    redis.signal("SIGKILL");
    await redis.exited;
    expect(await gate.limiter.take([of("alice")])).toMatchObject({ allowed: true, remaining: 0 });
    expect(await gate.limiter.take([of("alice")])).toMatchObject({ allowed: false });
    expect(gate.warnings).toHaveLength(1);
  });
});
