/** 100 MB each way: whole, and the gate holds next to nothing of them. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { connect, createServer, type Server, type Socket } from "node:net";
import { until } from "./claimgate.ts";
import { addedMemory, MEGABYTE, openStage, type Stage } from "./fidelity-stage.ts";

const BODY = 100 * MEGABYTE;
const MEMORY_LIMIT = 64 * MEGABYTE;
/** In buffers of four sockets, and the gate's. */
const UNDER_WAY_LIMIT = 48 * MEGABYTE;
const TEST_LIMIT_MS = 60_000;
const PIECE = Buffer.from(Uint8Array.from({ length: MEGABYTE }, (_, at) => (at * 7 + 3) % 251));

/** A side that takes or gives 100 MB of the pattern, and may be told to stop for a while. */
class Taker {
  bytes = 0;
  isRight = true;
  readonly #stopAt: number | undefined;

  constructor(
    readonly socket: Socket,
    stopAt?: number,
  ) {
    this.#stopAt = stopAt;
  }

  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const offset = (this.bytes + at) % MEGABYTE;
      const length = Math.min(chunk.length - at, MEGABYTE - offset);
      this.isRight &&= chunk.compare(PIECE, offset, offset + length, at, at + length) === 0;
      at += length;
    }
    const before = this.bytes;
    this.bytes += chunk.length;
    const stopAt = this.#stopAt;
    if (stopAt !== undefined && before < stopAt && this.bytes >= stopAt) this.socket.pause();
  }
}

const giving = { bytes: 0 };

async function give(socket: Socket): Promise<void> {
  giving.bytes = 0;
  while (giving.bytes < BODY && !socket.destroyed) {
    const isTaken = socket.write(PIECE);
    giving.bytes += PIECE.length;
    if (!isTaken) await new Promise((resolve) => socket.once("drain", resolve));
  }
}

let upstream: Server;
let stage: Stage;
let uploaded: Taker | undefined;
/** Where the upstream stops reading an upload. */
let stopAt: number | undefined;
const sockets: Socket[] = [];

beforeAll(async () => {
  upstream = createServer((socket) => {
    let head = "";
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      if (uploaded?.socket === socket) {
        uploaded.take(chunk);
        if (uploaded.bytes === BODY) socket.write(OK);
        return;
      }
      head += chunk.toString("latin1");
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (head.startsWith("POST")) {
        uploaded = new Taker(socket, stopAt);
        uploaded.take(Buffer.from(head.slice(end + 4), "latin1"));
      } else if (head.includes("/small")) socket.write(OK);
      else {
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: ${BODY}\r\nConnection: close\r\n\r\n`,
        );
        give(socket);
      }
      head = "";
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const address = upstream.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  stage = await openStage(`http://127.0.0.1:${address.port}`);
}, TEST_LIMIT_MS);

const OK = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nok";

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  uploaded = undefined;
  stopAt = undefined;
});

afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  upstream?.close();
});

function dial(): Socket {
  const socket = connect(stage.port, "127.0.0.1");
  socket.on("error", () => {});
  sockets.push(socket);
  return socket;
}

const head = (line: string, more = "") =>
  `${line} HTTP/1.1\r\nHost: gate.dev\r\nAuthorization: Bearer ${stage.token}\r\n${more}\r\n`;

/** Until nothing moves any more. */
async function stillness(bytes: () => number): Promise<void> {
  for (let before = -1; before !== bytes(); await Bun.sleep(300)) before = bytes();
}

/** Without the chunks' own lines. */
function dechunk(onBody: (bytes: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  let isBody = false;
  let left = 0;
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (!isBody) {
        const end = rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        rest = rest.subarray(end + 4);
        isBody = true;
      }
      if (left > 0) {
        const part = rest.subarray(0, left);
        onBody(part);
        left -= part.length;
        rest = rest.subarray(part.length);
        if (left > 0) return;
        // The line end behind a chunk is read as a part of the next one's head.
      }
      const start = rest.subarray(0, 2).toString() === "\r\n" ? 2 : 0;
      const end = rest.indexOf("\r\n", start);
      if (end < 0) return;
      left = Number.parseInt(rest.toString("latin1", start, end), 16);
      rest = rest.subarray(end + 2);
      if (left === 0) return;
    }
  };
}

async function download(path: string, pauseAt?: number): Promise<Taker> {
  const socket = dial();
  const taker = new Taker(socket, pauseAt);
  socket.on(
    "data",
    dechunk((bytes) => taker.take(bytes)),
  );
  socket.write(head(`GET ${path}`));
  if (pauseAt !== undefined) {
    await until("the pause", TEST_LIMIT_MS, () => taker.bytes >= pauseAt);
    await stillness(() => giving.bytes);
    expect(giving.bytes - taker.bytes).toBeLessThan(UNDER_WAY_LIMIT);
    socket.resume();
  }
  await until("the whole body", TEST_LIMIT_MS, () => taker.bytes === BODY);
  return taker;
}

async function upload(more: string, pauseAt?: number): Promise<void> {
  stopAt = pauseAt;
  const socket = dial();
  let answer = "";
  socket.on("data", (chunk) => (answer += chunk.toString("latin1")));
  socket.write(head("POST /up", `Content-Type: a/b\r\n${more}`));
  const given = give(socket);
  if (pauseAt !== undefined) {
    await until("the pause", TEST_LIMIT_MS, () => (uploaded?.bytes ?? 0) >= pauseAt);
    await stillness(() => giving.bytes);
    expect(giving.bytes - (uploaded?.bytes ?? 0)).toBeLessThan(UNDER_WAY_LIMIT);
    uploaded?.socket.resume();
  }
  await given;
  await until("the answer", TEST_LIMIT_MS, () => answer.endsWith("ok"));
}

async function warmUp(): Promise<void> {
  for (let count = 0; count < 20; count++) {
    const answer = await fetch(`${stage.url}/small`, {
      headers: { Authorization: `Bearer ${stage.token}` },
    });
    expect(await answer.text()).toBe("ok");
  }
}

describe("100 MB", () => {
  const PAUSES: [string, number | undefined][] = [
    ["to a side that reads at once", undefined],
    ["to a side that stops reading for a while", 10 * MEGABYTE],
  ];

  test.each(PAUSES)(
    "down, %s",
    async (_, pauseAt) => {
      await warmUp();
      for (const path of ["/down", "/public/down"]) {
        const added = await addedMemory(stage.pid, async () => {
          expect((await download(path, pauseAt)).isRight).toBe(true);
        });
        report(`down ${path}, pause ${pauseAt}`, added);
        expect(added).toBeLessThan(MEMORY_LIMIT);
      }
    },
    TEST_LIMIT_MS,
  );

  test.each(PAUSES)(
    "up, %s",
    async (_, pauseAt) => {
      await warmUp();
      const added = await addedMemory(stage.pid, () =>
        upload(`Content-Length: ${BODY}\r\n`, pauseAt),
      );
      report(`up, pause ${pauseAt}`, added);
      expect(uploaded).toMatchObject({ bytes: BODY, isRight: true });
      expect(added).toBeLessThan(MEMORY_LIMIT);
    },
    TEST_LIMIT_MS,
  );
});

function report(what: string, bytes: number): void {
  if (process.env.CLAIMGATE_FIGURES) console.log(what, `${(bytes / MEGABYTE).toFixed(1)} MB`);
}
