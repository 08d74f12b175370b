import { afterEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeTunnels } from "../../src/proxy/tunnel.ts";
import { freePort } from "../support/free-port.ts";
import { rawRequest } from "../support/raw-request.ts";
import {
  headerIn,
  type Proxy as ProxyFixture,
  scriptedUpstream,
  startProxy,
  until,
} from "./proxy-fixture.ts";

const MEGABYTE = 1024 * 1024;

type Peer = Bun.ServerWebSocket<undefined>;

/** An upstream that speaks WebSocket; what it hears is in `heard`. */
function socketUpstream(
  behave: {
    onOpen?: (peer: Peer) => void;
    onMessage?: (peer: Peer, data: string | Buffer) => void;
  } = {},
  options: { headers?: HeadersInit; unix?: string } = {},
) {
  const heard: unknown[][] = [];
  const requests: Headers[] = [];
  const targets: string[] = [];
  const peers: Peer[] = [];
  const server = Bun.serve<undefined>({
    ...(options.unix === undefined ? { hostname: "127.0.0.1", port: 0 } : { unix: options.unix }),
    fetch(request, self) {
      requests.push(new Headers(request.headers));
      targets.push(request.url.slice(request.url.indexOf("/", 8)));
      const { headers = {} } = options;
      return self.upgrade(request, { headers, data: undefined })
        ? undefined
        : new Response("no", { status: 400 });
    },
    websocket: {
      idleTimeout: 0,
      maxPayloadLength: 64 * MEGABYTE,
      open(peer) {
        peers.push(peer);
        behave.onOpen?.(peer);
      },
      message(peer, data) {
        heard.push([typeof data === "string" ? "text" : "binary", data.length]);
        if (behave.onMessage) behave.onMessage(peer, data);
        else peer.send(data);
      },
      ping: (_, payload) => void heard.push(["ping", payload.toString()]),
      pong: (_, payload) => void heard.push(["pong", payload.toString()]),
      close: (_, code, reason) => void heard.push(["close", code, reason]),
    },
  });
  return {
    origin: options.unix === undefined ? server.url.origin : `unix:${options.unix}`,
    heard,
    requests,
    targets,
    peers,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

type HeadersInit = ConstructorParameters<typeof Headers>[0];

const opened: WebSocket[] = [];
afterEach(() => {
  for (const socket of opened.splice(0)) socket.terminate();
});

type Heard = { readonly messages: (string | Buffer)[]; readonly events: unknown[][] };

/** @returns An open client, with what it hears. */
async function dial(
  proxy: ProxyFixture,
  target = "/",
  options: { headers?: Record<string, string>; protocols?: string[] } = {},
): Promise<{ client: WebSocket } & Heard> {
  const client = new WebSocket(`ws://127.0.0.1:${proxy.port}${target}`, options);
  opened.push(client);
  client.binaryType = "nodebuffer";
  const messages: (string | Buffer)[] = [];
  const events: unknown[][] = [];
  client.addEventListener("message", ({ data }) => messages.push(data));
  client.addEventListener("close", ({ code, reason }) => events.push(["close", code, reason]));
  client.addEventListener("ping", ({ data }) => events.push(["ping", data.toString()]));
  client.addEventListener("pong", ({ data }) => events.push(["pong", data.toString()]));
  await new Promise<void>((resolve, reject) => {
    client.onopen = () => resolve();
    client.onerror = () => reject(new Error("the WebSocket was refused"));
  });
  client.onerror = null;
  return { client, messages, events };
}

const HANDSHAKE =
  "Host: gate.dev\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const upgrade = (headers = "", target = "/") =>
  `GET ${target} HTTP/1.1\r\n${HANDSHAKE}${headers}\r\n`;

describe("a tunnel", () => {
  test("passes text and binary both ways, empty and large", async () => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([upstream.origin]);
    const { client, messages } = await dial(proxy);
    const big = Buffer.alloc(17 * MEGABYTE, "0123456789");
    const sent = ["héllo", "", Buffer.from([0, 255]), Buffer.alloc(0), "x".repeat(70_000), big];
    for (const data of sent) client.send(data);
    await until(() => messages.length === sent.length);
    expect(messages.slice(0, 5)).toEqual(sent.slice(0, 5));
    expect((messages[5] as Buffer).equals(big)).toBe(true);
    expect(upstream.heard.map(([kind]) => kind)).toEqual([
      "text",
      "text",
      "binary",
      "binary",
      "text",
      "binary",
    ]);
  });

  test("tells the upstream who it is, and takes the handshake's fields from nobody", async () => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([upstream.origin], {
      identityNames: ["X-User"],
      identity: [["X-User", "alice"]],
    });
    const headers = {
      Origin: "https://app.dev",
      Authorization: "Bearer secret",
      "X-User": "mallory",
      Cookie: "claimgate=secret; a=1",
    };
    await dial(proxy, "/a%2fb//c?d='", { headers });
    const [seen] = upstream.requests;
    expect(seen?.get("origin")).toBe("https://app.dev");
    expect(seen?.get("x-user")).toBe("alice");
    expect(seen?.get("cookie")).toBe("a=1");
    expect(seen?.get("x-forwarded-for")).toBe("127.0.0.1");
    expect(seen?.has("authorization")).toBe(false);
    expect(seen?.has("sec-websocket-extensions")).toBe(false);
    expect(upstream.targets).toEqual(["/a%2fb//c?d=%27"]);
  });

  test("sends the path byte for byte", async () => {
    using upstream = scriptedUpstream((_, { send }) =>
      send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
    );
    await using proxy = startProxy([upstream.origin]);
    for (const target of ["/a%2fb;c//d?e", "//a", "/%25zz"]) {
      await rawRequest(proxy.port, upgrade("", target));
      expect(upstream.exchanges.at(-1)?.request).toStartWith(`GET ${target} HTTP/1.1\r\n`);
    }
    const seen = upstream.exchanges[0]?.request ?? "";
    expect(headerIn(seen, "host")).toBe(`127.0.0.1:${upstream.port}`);
    expect(headerIn(seen, "connection")).toBe("Upgrade");
    expect(headerIn(seen, "upgrade")).toBe("websocket");
    expect(headerIn(seen, "sec-websocket-key")).not.toBe("dGhlIHNhbXBsZSBub25jZQ==");
  });

  test("passes the chosen subprotocol, and none where none was chosen", async () => {
    for (const [chosen, expected] of [
      [{ "Sec-WebSocket-Protocol": "b" }, "b"],
      [{ "Sec-WebSocket-Protocol": "" }, ""],
    ] as const) {
      await using upstream = socketUpstream({}, { headers: chosen });
      await using proxy = startProxy([upstream.origin]);
      const answer = await rawRequest(proxy.port, upgrade("Sec-WebSocket-Protocol: a, b\r\n"), {
        limitMs: 150,
      });
      expect(answer.status).toBe(101);
      expect(answer.headers["sec-websocket-protocol"] ?? "").toBe(expected);
      expect(upstream.requests[0]?.get("sec-websocket-protocol")).toBe("a, b");
    }
  });

  test("passes what else the upstream says in its 101", async () => {
    const headers = new Headers([
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["X-Request-Id", "theirs"],
    ]);
    await using upstream = socketUpstream({}, { headers });
    await using proxy = startProxy([upstream.origin]);
    const { raw, status } = await rawRequest(proxy.port, upgrade(), { limitMs: 150 });
    expect(status).toBe(101);
    expect(raw).toContain("\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n");
    expect(headerIn(raw, "x-request-id")).toBe("request-1");
    expect(headerIn(raw, "sec-websocket-accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  });

  test("loses nothing that the upstream says at once", async () => {
    const early = Array.from({ length: 200 }, (_, index) => `${index}:${"x".repeat(2_000)}`);
    await using upstream = socketUpstream({
      onOpen: (peer) => {
        for (const message of early) peer.send(message);
      },
    });
    await using proxy = startProxy([upstream.origin]);
    const { messages } = await dial(proxy);
    await until(() => messages.length === early.length);
    expect(messages).toEqual(early);
  });

  test("passes pings and pongs, once", async () => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([upstream.origin]);
    const { client, messages, events } = await dial(proxy);
    client.ping("from the client");
    upstream.peers[0]?.ping("from the upstream");
    upstream.peers[0]?.pong("heartbeat");
    await until(() => events.length >= 3 && upstream.heard.length >= 2);
    client.send("after");
    await until(() => messages.length === 1);
    expect(events.toSorted()).toEqual([
      ["ping", "from the upstream"],
      ["pong", "from the client"],
      ["pong", "heartbeat"],
    ]);
    expect(upstream.heard.slice(0, -1).toSorted()).toEqual([
      ["ping", "from the client"],
      ["pong", "from the upstream"],
    ]);
  });

  test("goes over a unix socket", async () => {
    const folder = await mkdtemp(join(tmpdir(), "claimgate-"));
    try {
      await using upstream = socketUpstream({}, { unix: join(folder, "upstream.sock") });
      await using proxy = startProxy([upstream.origin]);
      const { client, messages } = await dial(proxy);
      client.send("hi");
      await until(() => messages.length === 1);
      expect(messages).toEqual(["hi"]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("finds the upstream that lives", async () => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([`http://127.0.0.1:${freePort()}`, upstream.origin]);
    await dial(proxy);
    await dial(proxy);
    expect(upstream.requests).toHaveLength(2);
  });

  test("to echo gives every message back", async () => {
    await using proxy = startProxy(["echo"]);
    const { client, messages } = await dial(proxy);
    client.send("hi");
    client.send(Buffer.from([1, 2]));
    await until(() => messages.length === 2);
    expect(messages).toEqual(["hi", Buffer.from([1, 2])]);
  });

  test("stays within its bounds when a side does not read", async () => {
    const chunk = Buffer.alloc(MEGABYTE);
    let sent = 0;
    await using upstream = socketUpstream({
      onOpen(peer) {
        const pump = () => {
          while (sent < 200 && peer.send(chunk) > 0) sent += 1;
          if (sent < 200 && peer.readyState === 1) setTimeout(pump, 1);
        };
        pump();
      },
    });
    await using proxy = startProxy([upstream.origin]);
    const client: Socket = connect(proxy.port, "127.0.0.1");
    client.pause();
    client.write(upgrade());
    const before = process.memoryUsage.rss();
    let last = -1;
    while (sent !== last || sent === 0) {
      last = sent;
      await Bun.sleep(100);
    }
    // What kernel buffers and Bun's own queue on the upstream's side hold; not all 200.
    expect(sent).toBeLessThan(100);
    expect(process.memoryUsage.rss() - before).toBeLessThan(150 * MEGABYTE);
    client.destroy();
  });

  test("slows a client down whose upstream does not read, and loses nothing", async () => {
    const COUNT = 64;
    let heard = 0;
    let release = () => {};
    await using upstream = socketUpstream({
      onOpen(peer) {
        peer.pause();
        release = () => peer.resume();
      },
      onMessage: (_, data) => {
        heard += data.length;
      },
    });
    await using proxy = startProxy([upstream.origin]);
    const { client } = await dial(proxy);
    for (let index = 0; index < COUNT; index += 1) client.send(Buffer.alloc(MEGABYTE));
    let last = -1;
    while (client.bufferedAmount !== last) {
      last = client.bufferedAmount;
      await Bun.sleep(100);
    }
    expect(last).toBeGreaterThan(MEGABYTE);
    expect(heard).toBe(0);
    release();
    await until(() => heard === COUNT * MEGABYTE);
  });
});

describe("closing", () => {
  test.each([
    [1000, "done"],
    [4321, "ünicode"],
    [1013, ""],
  ])("with %d passes from the client", async (code, reason) => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([upstream.origin]);
    const { client, events } = await dial(proxy);
    client.close(code, reason);
    await until(() => upstream.heard.length === 1 && events.length === 1);
    expect(upstream.heard).toEqual([["close", code, reason]]);
    expect(events).toEqual([["close", code, reason]]);
  });

  test.each([
    [1000, "done"],
    [4321, "ünicode"],
    [1012, ""],
    [1005, ""],
  ])("with %d passes from the upstream", async (code, reason) => {
    await using upstream = socketUpstream({ onMessage: (peer) => peer.close(code, reason) });
    await using proxy = startProxy([upstream.origin]);
    const { client, events } = await dial(proxy);
    client.send("close");
    await until(() => events.length === 1 && upstream.heard.length === 2);
    expect(events).toEqual([["close", code, reason]]);
  });

  test("of a lost upstream is 1011 for the client", async () => {
    await using upstream = socketUpstream({ onMessage: (peer) => peer.terminate() });
    await using proxy = startProxy([upstream.origin]);
    const { client, events } = await dial(proxy);
    client.send("die");
    await until(() => events.length === 1);
    expect(events).toEqual([["close", 1011, expect.any(String)]]);
  });

  test("of a lost client is 1001 for the upstream", async () => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([upstream.origin]);
    const { client } = await dial(proxy);
    client.terminate();
    await until(() => upstream.heard.length === 1);
    expect(upstream.heard).toEqual([["close", 1001, expect.any(String)]]);
  });

  test("on both sides with 1001 when the gate goes away", async () => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([upstream.origin]);
    const { events } = await dial(proxy);
    closeTunnels();
    await until(() => events.length === 1 && upstream.heard.length === 1);
    expect(events).toEqual([["close", 1001, expect.any(String)]]);
    expect(upstream.heard).toEqual([["close", 1001, expect.any(String)]]);
  });

  test("a message over 32 MB ends with 1009, from either side", async () => {
    const tooBig = () => Buffer.alloc(32 * MEGABYTE + 1);
    await using upstream = socketUpstream({ onMessage: (peer) => void peer.send(tooBig()) });
    await using proxy = startProxy([upstream.origin]);
    const toClient = await dial(proxy);
    toClient.client.send("go");
    await until(() => toClient.events.length === 1);
    expect(toClient.events).toEqual([["close", 1009, expect.any(String)]]);
    const toUpstream = await dial(proxy);
    toUpstream.client.send(tooBig());
    await until(() => toUpstream.events.length === 1);
    expect(toUpstream.events).toEqual([["close", 1009, expect.any(String)]]);
    expect(upstream.heard.filter(([kind]) => kind === "binary")).toEqual([]);
  });
});

describe("a refused upgrade", () => {
  test("gets the upstream's own answer, and the upstream is asked once", async () => {
    using upstream = scriptedUpstream((_, { send }) =>
      send(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nX-Why: no\r\nSet-Cookie: a=1\r\n" +
          "Set-Cookie: b=2\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
      ),
    );
    await using proxy = startProxy([upstream.origin]);
    const answer = await rawRequest(proxy.port, upgrade());
    expect(answer).toMatchObject({ status: 403, body: "nope" });
    expect(answer.headers).toMatchObject({
      "content-type": "application/json",
      "x-why": "no",
      "x-request-id": "request-1",
    });
    expect(answer.headers.connection).toBeUndefined();
    expect(answer.raw).toContain("set-cookie: a=1\r\nset-cookie: b=2\r\n");
    expect(upstream.exchanges).toHaveLength(1);
  });

  const accept = (request: string, suffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11") =>
    new Bun.CryptoHasher("sha1")
      .update(headerIn(request, "sec-websocket-key") + suffix)
      .digest("base64");
  const switching = (fields: string) =>
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${fields}\r\n`;

  test.each([
    [
      "a wrong key",
      (seen: string) => `Upgrade: websocket\r\nSec-WebSocket-Accept: ${accept(seen, "x")}\r\n`,
    ],
    ["no key", () => "Upgrade: websocket\r\n"],
    [
      "another protocol",
      (seen: string) => `Upgrade: h2c\r\nSec-WebSocket-Accept: ${accept(seen)}\r\n`,
    ],
    [
      "an extension",
      (seen: string) =>
        `Upgrade: websocket\r\nSec-WebSocket-Accept: ${accept(seen)}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n`,
    ],
    [
      "a subprotocol nobody offered",
      (seen: string) =>
        `Upgrade: websocket\r\nSec-WebSocket-Accept: ${accept(seen)}\r\nSec-WebSocket-Protocol: c\r\n`,
    ],
  ])("101 with %s is 502", async (_, fields) => {
    using upstream = scriptedUpstream(({ request }, { send }) => send(switching(fields(request))));
    await using proxy = startProxy([upstream.origin]);
    const { status } = await rawRequest(proxy.port, upgrade("Sec-WebSocket-Protocol: a\r\n"));
    expect(status).toBe(502);
    await until(() => upstream.connections.closed === 1);
  });

  test("an upstream that is not there is 502, one that is silent 504", async () => {
    await using nobody = startProxy([`http://127.0.0.1:${freePort()}`]);
    expect((await rawRequest(nobody.port, upgrade())).status).toBe(502);
    using silent = scriptedUpstream(() => {});
    await using proxy = startProxy([silent.origin], { route: { timeoutMs: 50 } });
    expect((await rawRequest(proxy.port, upgrade())).status).toBe(504);
    await until(() => silent.connections.closed === 1);
  });

  test("a client that goes away meanwhile takes the upstream's with it", async () => {
    using silent = scriptedUpstream(() => {});
    await using proxy = startProxy([silent.origin]);
    const client = connect(proxy.port, "127.0.0.1");
    client.write(upgrade());
    await until(() => silent.exchanges.length === 1);
    client.destroy();
    await until(() => silent.connections.closed === 1);
  });

  test("a handshake that we cannot complete is 400, and the upstream is let go", async () => {
    await using upstream = socketUpstream();
    await using proxy = startProxy([upstream.origin]);
    const bytes = upgrade().replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    expect(await rawRequest(proxy.port, bytes)).toMatchObject({ status: 400 });
    await until(() => upstream.heard.length === 1);
  });

  test("an upgrade with a body is 400", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin]);
    const { status } = await rawRequest(proxy.port, `${upgrade("Content-Length: 3\r\n")}abc`);
    expect(status).toBe(400);
    expect(upstream.exchanges).toEqual([]);
  });

  test.each([
    ["h2c", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAAA\r\n"],
    ["websocket that Connection does not name", "Connection: close\r\nUpgrade: websocket\r\n"],
    ["several protocols", "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n"],
  ])("%s is a plain request for the upstream", async (_, headers) => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin]);
    const bytes = `GET / HTTP/1.1\r\nHost: x\r\n${headers}\r\n`;
    expect((await rawRequest(proxy.port, bytes)).status).toBe(200);
    const seen = upstream.exchanges[0]?.request ?? "";
    expect(headerIn(seen, "upgrade")).toBeUndefined();
    expect(headerIn(seen, "http2-settings")).toBeUndefined();
    expect(headerIn(seen, "connection")).toBe("keep-alive");
  });
});
