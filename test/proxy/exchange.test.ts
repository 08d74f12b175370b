import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { join } from "node:path";
import { Exchange } from "../../src/proxy/exchange.ts";

const LONG_MS = 60_000;

function endOf({ signal }: Exchange): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

describe("Exchange", () => {
  test("is cut when its time is up", async () => {
    const exchange = new Exchange(new Request("http://gate.example/"), 1, 0);
    await endOf(exchange);
    expect(exchange.ending).toBe("timed_out");
    exchange.settle();
  });

  test("is not cut for time once its answer has begun, or when it is settled", async () => {
    const answered = new Exchange(new Request("http://gate.example/"), 1, 0);
    answered.answered();
    const settled = new Exchange(new Request("http://gate.example/"), 1, 0);
    settled.settle();
    const other = new Exchange(new Request("http://gate.example/"), 1, 0);
    await endOf(other);
    expect(answered.signal.aborted).toBe(false);
    expect(settled.signal.aborted).toBe(false);
    for (const exchange of [answered, other]) exchange.settle();
  });

  test("is cut when its client is gone, with its answer still awaited", async () => {
    const arrived = Promise.withResolvers<Exchange>();
    await using server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      async fetch(request) {
        const exchange = new Exchange(request, LONG_MS, 0);
        arrived.resolve(exchange);
        await endOf(exchange);
        return new Response();
      },
    });
    const client = connect(Number(server.port), "127.0.0.1");
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const exchange = await arrived.promise;
    client.destroy();
    await endOf(exchange);
    expect(exchange.ending).toBe("client_gone");
    exchange.settle();
  });

  test("is cut when its body exceeds the limit, whatever else comes later", async () => {
    const request = new Request("http://gate.example/", { method: "POST", body: "hello" });
    const exchange = new Exchange(request, LONG_MS, 4);
    const sent = new Response(exchange.body?.open()).text();
    await expect(sent).rejects.toThrow("the body exceeds the limit");
    await endOf(exchange);
    expect(exchange.ending).toBe("body_exceeded");
    exchange.look(Number.MAX_SAFE_INTEGER);
    expect(exchange.ending).toBe("body_exceeded");
    exchange.settle();
  });

  test("leaves nothing that keeps a process from ending, however it went", async () => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "ended-exchanges.ts")], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    // Its time limits are far longer than this test may take.
    expect(await child.exited).toBe(0);
    expect(await child.stdout.text()).toBe("200 413 502 gone\n");
  });
});
