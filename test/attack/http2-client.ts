/**
 * HTTP/2 frame by frame (RFC 9113), for what no client library would send.
 *
 * @module
 */
import { connect, type TLSSocket } from "node:tls";

/** How a stream ended: a status, a reset of the stream or the connection, or nothing in time. */
export type Http2Ending = number | "reset" | "goaway" | "closed" | "late";

export type Http2Field = readonly [name: string, value: string];

export type Http2Client = AsyncDisposable & {
  /** Sends a header block as it is, and waits for what becomes of its stream. */
  request(fields: readonly Http2Field[], body?: string): Promise<Http2Ending>;
  /** Opens a stream and resets it at once (CVE-2023-44487). */
  openAndReset(fields: readonly Http2Field[]): void;
  /** A header block that goes on and on in CONTINUATION frames (CVE-2024-27316). */
  continueHeaders(fields: readonly Http2Field[], frames: number): Promise<Http2Ending>;
};

const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  continuation: 9,
} as const;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const ACK = 0x1;
const LIMIT_MS = 3_000;

export async function openHttp2(port: number): Promise<Http2Client> {
  const socket = await connectTls(port);
  const waiting = new Map<number, (ending: Http2Ending) => void>();
  let buffered = Buffer.alloc(0);
  let nextStream = 1;
  let isOver: Http2Ending | undefined;

  const endAll = (ending: Http2Ending) => {
    isOver ??= ending;
    for (const end of waiting.values()) end(ending);
    waiting.clear();
  };
  const endStream = (stream: number, ending: Http2Ending) => {
    waiting.get(stream)?.(ending);
    waiting.delete(stream);
  };
  socket.on("close", () => endAll("closed"));
  socket.on("error", () => endAll("closed"));
  socket.on("data", (chunk: Buffer) => {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 9) {
      const length = buffered.readUIntBE(0, 3);
      if (buffered.length < 9 + length) return;
      const [type, flags] = [buffered[3], buffered[4] ?? 0];
      const stream = buffered.readUInt32BE(5) & 0x7fffffff;
      const payload = buffered.subarray(9, 9 + length);
      buffered = buffered.subarray(9 + length);
      if (type === FRAME.settings && (flags & ACK) === 0) write(FRAME.settings, ACK, 0, "");
      if (type === FRAME.ping && (flags & ACK) === 0) write(FRAME.ping, ACK, 0, payload);
      if (type === FRAME.headers) endStream(stream, statusOf(payload));
      if (type === FRAME.reset) endStream(stream, "reset");
      if (type === FRAME.goaway) endAll("goaway");
    }
  });

  function write(type: number, flags: number, stream: number, payload: Buffer | string): void {
    const bytes = Buffer.from(payload as string, "latin1");
    const head = Buffer.alloc(9);
    head.writeUIntBE(bytes.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    socket.write(Buffer.concat([head, bytes]));
  }

  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  write(FRAME.settings, 0, 0, "");
  return {
    request(fields, body) {
      const stream = nextStream;
      nextStream += 2;
      if (isOver !== undefined) return Promise.resolve(isOver);
      const { promise, resolve } = Promise.withResolvers<Http2Ending>();
      const timer = setTimeout(() => endStream(stream, "late"), LIMIT_MS);
      waiting.set(stream, resolve);
      const flags = END_HEADERS | (body === undefined ? END_STREAM : 0);
      write(FRAME.headers, flags, stream, blockOf(fields));
      if (body !== undefined) write(FRAME.data, END_STREAM, stream, body);
      return promise.finally(() => clearTimeout(timer));
    },
    async continueHeaders(fields, frames) {
      const stream = nextStream;
      nextStream += 2;
      const { promise, resolve } = Promise.withResolvers<Http2Ending>();
      const timer = setTimeout(() => endStream(stream, "late"), LIMIT_MS);
      waiting.set(stream, resolve);
      write(FRAME.headers, END_STREAM, stream, blockOf(fields));
      const more = blockOf(Array.from({ length: 100 }, (_, at) => [`x-${at}`, "v".repeat(100)]));
      for (let count = 0; count < frames && isOver === undefined; count++) {
        write(FRAME.continuation, 0, stream, more);
        await new Promise(setImmediate);
      }
      return promise.finally(() => clearTimeout(timer));
    },
    openAndReset(fields) {
      write(FRAME.headers, END_HEADERS | END_STREAM, nextStream, blockOf(fields));
      write(FRAME.reset, 0, nextStream, Buffer.from([0, 0, 0, 8]));
      nextStream += 2;
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}

async function connectTls(port: number): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const options = { host: "127.0.0.1", port, ALPNProtocols: ["h2"], rejectUnauthorized: false };
  const socket = connect({ ...options, servername: "localhost" }, () => resolve(socket));
  socket.once("error", reject);
  return await promise;
}

/** RFC 7541 §6.2.2: literals without indexing, new names, no Huffman coding. */
function blockOf(fields: readonly Http2Field[]): Buffer {
  const parts = fields.flatMap(([name, value]) => [
    Buffer.from([0]),
    literal(name),
    literal(value),
  ]);
  return Buffer.concat(parts);
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, "latin1");
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest > 127; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** RFC 7541 appendix A: the statuses that have an index of their own. */
const INDEXED = [200, 204, 206, 304, 400, 404, 500];

/** The status comes first; only digits need decoding (appendix B). */
function statusOf(block: Buffer): number {
  const first = block[0] ?? 0;
  if (first & 0x80) return INDEXED[(first & 0x7f) - 8] ?? 0;
  const isHuffman = ((block[1] ?? 0) & 0x80) !== 0;
  const length = (block[1] ?? 0) & 0x7f;
  const value = block.subarray(2, 2 + length);
  return Number(isHuffman ? decodeDigits(value) : value.toString("latin1"));
}

function decodeDigits(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  let digits = "";
  for (let at = 0; digits.length < 3; ) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2);
    if (five < 3) {
      digits += five;
      at += 5;
    } else {
      digits += Number.parseInt(bits.slice(at, at + 6), 2) - 22;
      at += 6;
    }
  }
  return digits;
}
