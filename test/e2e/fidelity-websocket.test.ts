/** Tunnels: everything of RFC 6455 but extensions, each way, in little memory. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { rawRequest } from "../support/raw-request.ts";
import { until } from "./claimgate.ts";
import { addedMemory, MEGABYTE, openStage, type Stage, within } from "./fidelity-stage.ts";

const START_LIMIT_MS = 30_000;
const LIMIT_MS = 20_000;
const TUNNELS = 5_000;

type Heard = readonly [kind: string, ...what: unknown[]];

let upstream: Bun.Server<undefined>;
let stage: Stage;
let peers: Bun.ServerWebSocket<undefined>[] = [];
let heard: Heard[] = [];
let upgrade: Headers | undefined;
const sockets: (WebSocket | Socket)[] = [];

beforeAll(async () => {
  upstream = Bun.serve<undefined>({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
      upgrade = new Headers(request.headers);
      return server.upgrade(request) ? undefined : new Response("no", { status: 400 });
    },
    websocket: {
      idleTimeout: 0,
      maxPayloadLength: 64 * MEGABYTE,
      backpressureLimit: 0,
      // Would be used with any client that offers it.
      perMessageDeflate: true,
      open: (peer) => void peers.push(peer),
      message(peer, data) {
        heard.push([typeof data === "string" ? "text" : "binary", data.length]);
        if (data !== "flood") peer.send(data);
      },
      ping: (_, payload) => void heard.push(["ping", payload.toString()]),
      pong: (_, payload) => void heard.push(["pong", payload.toString()]),
      close: (_, code, reason) => void heard.push(["close", code, reason]),
    },
  });
  stage = await openStage(upstream.url.origin);
}, START_LIMIT_MS);

afterEach(async () => {
  for (const socket of sockets.splice(0)) {
    if (socket instanceof WebSocket) socket.terminate();
    else socket.destroy();
  }
  // What one test leaves behind is not another's.
  const closed = () => heard.filter(([kind]) => kind === "close").length;
  await until("the end of all", LIMIT_MS, () => closed() === peers.length);
  peers = [];
  heard = [];
}, LIMIT_MS);

afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await upstream?.stop(true);
});

async function dial(): Promise<WebSocket> {
  const socket = new WebSocket(stage.url.replace("http", "ws"), {
    headers: { Authorization: `Bearer ${stage.token}` },
  });
  socket.binaryType = "arraybuffer";
  sockets.push(socket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.onopen = () => resolve();
  socket.onerror = () => reject(new Error("refused"));
  await within(promise);
  return socket;
}

const handshake = (more = "") =>
  `GET / HTTP/1.1\r\nHost: gate.dev\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n` +
  `Authorization: Bearer ${stage.token}\r\n${more}\r\n`;

/** A client's frame with a mask of zeros, as a test may choose it. */
function frame(first: number, content: string | Buffer): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const head =
    bytes.length < 126
      ? Buffer.from([first, 0x80 | bytes.length])
      : Buffer.from([first, 0x80 | 126, bytes.length >> 8, bytes.length & 255]);
  return Buffer.concat([head, Buffer.alloc(4), bytes]);
}

/** A tunnel byte by byte. */
async function dialRaw(): Promise<{ readonly socket: Socket; readonly got: () => Buffer }> {
  const socket = connect(stage.port, "127.0.0.1");
  sockets.push(socket);
  let got: Buffer = Buffer.alloc(0);
  socket.on("error", () => {});
  socket.on("data", (chunk: Buffer) => {
    got = Buffer.concat([got, chunk]);
  });
  socket.write(handshake());
  await until("the upgrade", LIMIT_MS, () => got.includes("\r\n\r\n"));
  const start = got.indexOf("\r\n\r\n") + 4;
  return { socket, got: () => got.subarray(start) };
}

test("extensions are offered to nobody and agreed on with nobody", async () => {
  const offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
  const answer = await rawRequest(stage.port, handshake(offer));
  expect(answer.status).toBe(101);
  expect(answer.headers["sec-websocket-extensions"]).toBeUndefined();
  expect(upgrade?.get("sec-websocket-extensions")).toBeNull();
});

test("a message in fragments arrives as one, with a ping in their midst", async () => {
  const { socket, got } = await dialRaw();
  socket.write(frame(0x01, "one, "));
  socket.write(frame(0x89, "still there?"));
  socket.write(frame(0x00, "two, "));
  socket.write(frame(0x80, "three"));
  await until("the echo", LIMIT_MS, () => got().includes("one, two, three"));
  expect(heard).toEqual([
    ["ping", "still there?"],
    ["text", 15],
  ]);
  expect(
    got().includes(Buffer.concat([Buffer.from([0x8a, 12]), Buffer.from("still there?")])),
  ).toBe(true);
});

test(
  "messages of 16 MB pass both ways, text and binary",
  async () => {
    const socket = await dial();
    const bytes = new Uint8Array(16 * MEGABYTE).map((_, at) => at % 251);
    const messages = [bytes, "ü".repeat(8 * MEGABYTE)];
    for (const message of messages) {
      const { promise, resolve } = Promise.withResolvers<unknown>();
      socket.onmessage = ({ data }) => resolve(data);
      socket.send(message);
      const echoed = await within(promise);
      const isSame =
        typeof echoed === "string"
          ? echoed === message
          : Buffer.from(echoed as ArrayBuffer).equals(Buffer.from(message as Uint8Array));
      expect(isSame).toBe(true);
    }
  },
  LIMIT_MS,
);

describe("pings and pongs", () => {
  test("of the client reach the upstream, and are answered once", async () => {
    const { socket, got } = await dialRaw();
    socket.write(frame(0x89, "a"));
    socket.write(frame(0x8a, "unasked"));
    socket.write(frame(0x81, "after"));
    await until("the echo", LIMIT_MS, () => got().includes("after"));
    expect(heard).toEqual([
      ["ping", "a"],
      ["pong", "unasked"],
      ["text", 5],
    ]);
    expect(got()).toEqual(
      Buffer.concat([
        Buffer.from([0x8a, 1]),
        Buffer.from("a"),
        Buffer.from([0x81, 5]),
        Buffer.from("after"),
      ]),
    );
  });

  test("of the upstream reach the client, whose answer comes back", async () => {
    const { socket, got } = await dialRaw();
    peers[0]?.ping("b");
    await until("the ping", LIMIT_MS, () => got().length >= 3);
    expect(got()).toEqual(Buffer.concat([Buffer.from([0x89, 1]), Buffer.from("b")]));
    socket.write(frame(0x8a, "b"));
    await until("the pong", LIMIT_MS, () => heard.length > 0);
    expect(heard).toEqual([["pong", "b"]]);
  });
});

describe("closing", () => {
  const CODES: [number, string][] = [
    [1000, ""],
    [1001, "leaving"],
    [1003, "not this"],
    [1008, "no"],
    [1011, "ours"],
    [3000, "registered"],
    [4999, "grün ".repeat(20).trim()],
  ];
  const code = (value: number) => Buffer.from([value >> 8, value & 255]);

  test.each(CODES)("%d %j of the client reaches the upstream", async (value, reason) => {
    const { socket } = await dialRaw();
    socket.write(frame(0x88, Buffer.concat([code(value), Buffer.from(reason)])));
    await until("the close", LIMIT_MS, () => heard.length > 0);
    expect(heard).toEqual([["close", value, reason]]);
  });

  test.each(CODES)("%d %j of the upstream reaches the client", async (value, reason) => {
    const { got } = await dialRaw();
    peers[0]?.close(value, reason);
    const length = 2 + Buffer.byteLength(reason);
    await until("the close", LIMIT_MS, () => got().length >= length + 2);
    expect(got()).toEqual(
      Buffer.concat([Buffer.from([0x88, length]), code(value), Buffer.from(reason)]),
    );
  });
});

describe("a side that does not read", () => {
  const MOST = 64 * MEGABYTE;
  const PIECE = Buffer.alloc(60_000, "x");

  test(
    "stops the upstream, in little memory",
    async () => {
      const { socket } = await dialRaw();
      socket.pause();
      const [peer] = peers;
      if (peer === undefined) throw new Error("no peer");
      let sent = 0;
      const added = await addedMemory(stage.pid, async () => {
        // Until nobody takes any more: -1 is back-pressure.
        for (let full = 0; full < 50 && sent < 4 * MOST; ) {
          if (peer.getBufferedAmount() > 0) {
            full += 1;
            await Bun.sleep(10);
          } else {
            full = 0;
            peer.send(PIECE);
            sent += PIECE.length;
            if (sent % (100 * PIECE.length) === 0) await Bun.sleep(0);
          }
        }
      });
      expect(sent).toBeLessThan(MOST);
      expect(added).toBeLessThan(MOST);
    },
    LIMIT_MS,
  );

  test(
    "stops the client, in little memory",
    async () => {
      // An upstream that upgrades and then takes nothing.
      const silent: Socket[] = [];
      const listener = Bun.listen<undefined>({
        hostname: "127.0.0.1",
        port: 0,
        socket: {
          data(peer, chunk) {
            const key = /sec-websocket-key: (.*)\r/i.exec(chunk.toString("latin1"))?.[1];
            if (key === undefined) return;
            const accept = new Bun.CryptoHasher("sha1").update(
              `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`,
            );
            peer.write(
              `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept.digest("base64")}\r\n\r\n`,
            );
            peer.pause();
          },
        },
      });
      await using other = await openStage(`http://127.0.0.1:${listener.port}`);
      const socket = connect(other.port, "127.0.0.1");
      silent.push(socket);
      sockets.push(socket);
      socket.on("error", () => {});
      socket.write(handshake().replace(stage.token, other.token));
      await within(new Promise((resolve) => socket.once("data", resolve)));
      const piece = frame(0x82, PIECE);
      let sent = 0;
      const added = await addedMemory(other.pid, async () => {
        for (let full = 0; full < 50 && sent < 4 * MOST; ) {
          if (socket.writableNeedDrain) {
            full += 1;
            await Bun.sleep(10);
          } else {
            full = 0;
            socket.write(piece);
            sent += piece.length;
            if (sent % (100 * piece.length) === 0) await Bun.sleep(0);
          }
        }
      });
      listener.stop(true);
      expect(sent).toBeLessThan(MOST);
      expect(added).toBeLessThan(MOST);
    },
    LIMIT_MS * 2,
  );
});

test(`${TUNNELS} idle tunnels hold under 400 MB, and the last one works`, async () => {
  const added = await addedMemory(stage.pid, async () => {
    for (let opened = 0; opened < TUNNELS; opened += 100) {
      await Promise.all(Array.from({ length: 100 }, dial));
    }
  });
  expect(peers).toHaveLength(TUNNELS);
  const last = await dial();
  const { promise, resolve } = Promise.withResolvers<unknown>();
  last.onmessage = ({ data }) => resolve(data);
  last.send("here");
  expect(await within(promise)).toBe("here");
  if (process.env.CLAIMGATE_FIGURES) {
    console.log(`${TUNNELS} idle tunnels: ${Math.round(added / MEGABYTE)} MB more`);
  }
  expect(added).toBeLessThan(320 * MEGABYTE);
}, 60_000);
