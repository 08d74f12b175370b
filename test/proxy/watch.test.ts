import { afterEach, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { Watch } from "../../src/proxy/watch.ts";
import { rawRequest } from "../support/raw-request.ts";
import { scriptedUpstream, startProxy, until } from "./proxy-fixture.ts";

const MIB = 1024 * 1024;

const open: (Disposable | AsyncDisposable)[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) {
    if (Symbol.asyncDispose in one) await one[Symbol.asyncDispose]();
    else one[Symbol.dispose]();
  }
});

/** Counts what it is told of, and ends what a test says. */
function watcher() {
  const ends: ((reason: string) => void)[] = [];
  const state = { ended: 0 };
  const watch: Watch = (end) => {
    ends.push(end);
    return () => {
      state.ended += 1;
    };
  };
  return { watch, ends, state };
}

type Script = { readonly head: string; readonly body?: string; readonly rest?: "end" | "cut" };

/** An upstream whose every answer is this, and a proxy before it. */
function behind({ head, body = "", rest }: Script, watch: Watch) {
  const upstream = scriptedUpstream((_, conversation) => {
    conversation.send(`HTTP/1.1 ${head}\r\n\r\n${body}`);
    if (rest !== undefined) conversation[rest]();
  });
  const proxy = startProxy([upstream.origin], { watch });
  open.push(proxy, upstream);
  return { proxy, upstream };
}

const get = ({ port }: { readonly port: number }, method = "GET") =>
  rawRequest(port, `${method} / HTTP/1.1\r\nHost: gate.test\r\n\r\n`);

const EVENTS = "200 OK\r\nContent-Type: text/event-stream";
const CHUNKED = "200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked";
const long = (length: number) => `200 OK\r\nContent-Type: a/b\r\nContent-Length: ${length}`;

describe("what is watched", () => {
  test.each([
    ["an answer of no known length", { head: CHUNKED, body: "2\r\nok\r\n0\r\n\r\n" }, 2, 1],
    ["a long one", { head: long(MIB + 1), body: "x".repeat(MIB + 1) }, MIB + 1, 1],
    ["not a short one", { head: long(2), body: "ok" }, 2, 0],
    ["nor one of a mebibyte", { head: long(MIB), body: "x".repeat(MIB) }, MIB, 0],
    ["nor one without a body", { head: "204 No Content" }, 0, 0],
    ["nor 304", { head: `304 Not Modified\r\nContent-Length: ${2 * MIB}` }, 0, 0],
  ])("%s", async (_, script, bytes, count) => {
    const { watch, ends, state } = watcher();
    const { proxy } = behind(script, watch);
    const { end, body } = await get(proxy);
    expect(end).toBe("answered");
    expect(body.length).toBe(bytes);
    expect(ends).toHaveLength(count);
    // Nobody ends again what has ended.
    expect(state.ended).toBe(count);
  });

  test("not the head of a long answer, which keeps its length", async () => {
    const { watch, ends } = watcher();
    const { proxy } = behind({ head: long(2 * MIB) }, watch);
    expect((await get(proxy, "HEAD")).headers["content-length"]).toBe(String(2 * MIB));
    expect(ends).toHaveLength(0);
  });

  test("not the built-in echo", async () => {
    const { watch, ends } = watcher();
    const proxy = startProxy(["echo"], { watch });
    open.push(proxy);
    expect((await get(proxy)).status).toBe(200);
    expect(ends).toHaveLength(0);
  });
});

describe("an answer that is ended", () => {
  test("is over where it is an event stream; the upstream is let go", async () => {
    const { watch, ends, state } = watcher();
    const { proxy, upstream } = behind({ head: EVENTS, body: "data: 1\n\n" }, watch);
    const answer = get(proxy);
    await until(() => ends.length === 1);
    ends[0]?.("no more");
    expect(await answer).toMatchObject({ status: 200, end: "answered" });
    await until(() => upstream.connections.closed === 1);
    expect(state.ended).toBe(0);
    expect(proxy.faults).toEqual([]);
  });

  test.each([
    ["of no known length", { head: CHUNKED, body: "5\r\nhello\r\n" }],
    ["of a known length", { head: long(2 * MIB), body: "x".repeat(MIB) }],
  ])("is cut where it is another %s", async (_, script) => {
    const { watch, ends } = watcher();
    const { proxy, upstream } = behind(script, watch);
    const answer = get(proxy);
    await until(() => ends.length === 1);
    ends[0]?.("no more");
    expect((await answer).end).toBe("closed");
    await until(() => upstream.connections.closed === 1);
  });

  test("is cut though its client reads nothing", async () => {
    let isGone = false;
    const endless = new ReadableStream<Uint8Array>({
      async pull(controller) {
        controller.enqueue(new Uint8Array(256 * 1024));
        await Bun.sleep(1);
      },
      cancel: () => {
        isGone = true;
      },
    });
    const upstream = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => new Response(endless),
    });
    const { watch, ends } = watcher();
    const proxy = startProxy([upstream.url.origin], { watch });
    open.push(proxy, upstream);
    const client = connect(proxy.port, "127.0.0.1");
    // A reset, by which it learns of the cut.
    client.on("error", () => {});
    const closed = new Promise((resolve) => client.on("close", resolve));
    client.write("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    await until(() => ends.length === 1);
    ends[0]?.("no more");
    await until(() => isGone);
    client.resume();
    await closed;
  });
});

describe("an answer that ends by itself is watched no more", () => {
  test("when the upstream breaks off: a cut for the client, too", async () => {
    const { watch, state } = watcher();
    const { proxy } = behind({ head: CHUNKED, body: "5\r\nhello\r\n", rest: "cut" }, watch);
    expect((await get(proxy)).end).toBe("closed");
    expect(state.ended).toBe(1);
  });

  test("when the client goes", async () => {
    const { watch, ends, state } = watcher();
    const { proxy, upstream } = behind({ head: EVENTS, body: "data: 1\n\n" }, watch);
    const client = connect(proxy.port, "127.0.0.1");
    client.write("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n");
    await until(() => ends.length === 1);
    client.destroy();
    await until(() => state.ended === 1);
    await until(() => upstream.connections.closed === 1);
  });
});

describe("when no more can be watched", () => {
  test("an answer that may last is 503, and its upstream is let go", async () => {
    const { proxy, upstream } = behind({ head: EVENTS }, () => undefined);
    expect(await get(proxy)).toMatchObject({ status: 503, body: "overloaded" });
    await until(() => upstream.connections.closed === 1);
  });

  test("a short answer passes", async () => {
    const { proxy } = behind({ head: long(2), body: "ok" }, () => undefined);
    expect(await get(proxy)).toMatchObject({ status: 200, body: "ok" });
  });

  test("a tunnel ends with 1013", async () => {
    const proxy = startProxy(["echo"], { watch: () => undefined });
    open.push(proxy);
    const socket = new WebSocket(proxy.origin.replace("http", "ws"));
    const { promise, resolve } = Promise.withResolvers<number>();
    socket.onclose = ({ code }) => resolve(code);
    expect(await promise).toBe(1013);
  });
});
