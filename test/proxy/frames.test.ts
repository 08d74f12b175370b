import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createFrameReader, encodeClose, encodeFrame, OPCODE } from "../../src/proxy/frames.ts";

/** A server's frame: not masked. */
function frame(first: number, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload);
  const { length } = bytes;
  if (length < 126) return Buffer.concat([Buffer.from([first, length]), bytes]);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10);
  head[0] = first;
  if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, bytes]);
}

/** What a server reads of a client's frame (RFC 6455 §5.3), written without haste. */
function unmask(bytes: Buffer): { first: number; payload: Buffer; rest: Buffer } {
  const short = bytes.readUInt8(1) & 0x7f;
  expect(bytes.readUInt8(1) & 0x80).toBe(0x80);
  const extra = short < 126 ? 0 : short === 126 ? 2 : 8;
  const length =
    extra === 0 ? short : extra === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
  const start = 2 + extra + 4;
  const key = bytes.subarray(start - 4, start);
  const payload = Buffer.from(bytes.subarray(start, start + length));
  for (let index = 0; index < length; index += 1) {
    payload[index] = (payload[index] ?? 0) ^ (key[index % 4] ?? 0);
  }
  return { first: bytes.readUInt8(0), payload, rest: bytes.subarray(start + length) };
}

function read(chunks: readonly Buffer[], limit = 1_000_000) {
  const events: unknown[][] = [];
  const push = createFrameReader(limit, {
    onMessage: (data) =>
      events.push(["message", typeof data === "string" ? data : [...data].join()]),
    onPing: (payload) => events.push(["ping", payload.toString()]),
    onPong: (payload) => events.push(["pong", payload.toString()]),
    onClose: (code, reason) => events.push(["close", code, reason]),
  });
  for (const chunk of chunks) push(chunk);
  return events;
}

/** Every `Buffer` that is still held by anything. */
function piecesOfMemory(): number {
  Bun.gc(true);
  return heapStats().objectTypeCounts.Uint8Array ?? 0;
}

describe("encodeFrame()", () => {
  test("is what a server reads, whatever the length", () => {
    const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 9, 125, 126, 127, 65_535, 65_536, 100_003];
    for (const length of lengths) {
      const payload = crypto.getRandomValues(new Uint8Array(length % 65_536));
      const whole = length > 65_535 ? new Uint8Array(length).fill(7) : payload;
      const result = unmask(encodeFrame(OPCODE.binary, whole));
      expect(result.first).toBe(0x82);
      expect(result.payload.equals(whole)).toBe(true);
      expect(result.rest).toHaveLength(0);
    }
  });

  test("masks differently each time", () => {
    const payload = Buffer.from("the same words");
    const frames = [1, 2, 3].map(() => encodeFrame(OPCODE.text, payload).toString("hex"));
    expect(new Set(frames).size).toBe(3);
  });
});

describe("encodeClose()", () => {
  test("has no payload for 1005", () => {
    expect(unmask(encodeClose(1005, "ignored")).payload).toHaveLength(0);
  });

  test("cuts a reason at 123 bytes, not within a character", () => {
    const { payload } = unmask(encodeClose(4001, `${"é".repeat(61)}€€`));
    expect(payload.readUInt16BE(0)).toBe(4001);
    expect(payload.subarray(2).toString()).toBe("é".repeat(61));
  });
});

describe("createFrameReader()", () => {
  test("gives messages and control frames in order, fragments put together", () => {
    const bytes = Buffer.concat([
      frame(0x81, "héllo"),
      frame(0x02, Buffer.from([1, 2])),
      frame(0x89, "p"),
      frame(0x00, Buffer.from([3])),
      frame(0x8a, "q"),
      frame(0x80, Buffer.from([])),
      frame(0x88, Buffer.from("\x03\xe9bye", "latin1")),
      frame(0x88, ""),
    ]);
    const expected = [
      ["message", "héllo"],
      ["ping", "p"],
      ["pong", "q"],
      ["message", "1,2,3"],
      ["close", 1001, "bye"],
      ["close", 1005, ""],
    ];
    expect(read([bytes])).toEqual(expected);
    expect(read([...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected);
  });

  test("keeps a byte order mark, which is part of the text", () => {
    expect(read([frame(0x81, "\ufeffhi")])).toEqual([["message", "\ufeffhi"]]);
  });

  test("gives the same however the bytes are cut", () => {
    const message = fc.tuple(
      fc.constantFrom(0x81, 0x82, 0x89, 0x8a),
      fc.integer({ min: 0, max: 125 }),
    );
    const long = fc.tuple(fc.constantFrom(0x81, 0x82), fc.integer({ min: 126, max: 70_000 }));
    fc.assert(
      fc.property(
        fc.array(fc.oneof(message, long), { maxLength: 6 }),
        fc.array(fc.nat(140_000), { maxLength: 8 }),
        (frames, cuts) => {
          const bytes = Buffer.concat(
            frames.map(([first, length]) => frame(first, "x".repeat(length))),
          );
          const places = [0, ...cuts.filter((cut) => cut < bytes.length), bytes.length];
          places.sort((a, b) => a - b);
          const chunks = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
          expect(read(chunks)).toEqual(read([bytes]));
        },
      ),
      { numRuns: 50 },
    );
  });

  test.each([
    ["a masked frame", Buffer.from([0x81, 0x80, 0, 0, 0, 0]), 1002],
    ["an extension bit", frame(0xc1, "x"), 1002],
    ["an unknown opcode", frame(0x83, "x"), 1002],
    ["an unknown control opcode", frame(0x8b, "x"), 1002],
    ["a continuation of nothing", frame(0x80, "x"), 1002],
    ["a message within a message", Buffer.concat([frame(0x01, "x"), frame(0x81, "y")]), 1002],
    ["a fragmented ping", frame(0x09, "x"), 1002],
    ["a long ping", frame(0x89, "x".repeat(126)), 1002],
    ["a close of one byte", frame(0x88, "x"), 1002],
    ["the close code 1005", frame(0x88, Buffer.from([0x03, 0xed])), 1002],
    ["the close code 999", frame(0x88, Buffer.from([0x03, 0xe7])), 1002],
    ["the close code 5000", frame(0x88, Buffer.from([0x13, 0x88])), 1002],
    ["a text that is not UTF-8", frame(0x81, Buffer.from([0xc0, 0xaf])), 1007],
    ["a reason that is not UTF-8", frame(0x88, Buffer.from([0x03, 0xe8, 0xff])), 1007],
    ["a message over the limit", frame(0x82, "x".repeat(101)), 1009],
    [
      "fragments over the limit",
      Buffer.concat([frame(0x02, "x".repeat(60)), frame(0x80, "x".repeat(41))]),
      1009,
    ],
  ])("fails on %s", (_, bytes, code) => {
    expect(() => read([bytes], 100)).toThrow(expect.objectContaining({ code }));
  });

  test.each([
    // Continuations without a byte: a chunk of zeros is full of them.
    ["that are empty", Buffer.alloc(4_096)],
    ["of one byte, in chunks of pongs", Buffer.concat([frame(0x00, "x"), frame(0x8a, "pong")])],
  ])("keeps no piece of memory for each of many fragments %s", (_, chunk) => {
    const ignore = () => {};
    const handlers = { onMessage: ignore, onPing: ignore, onPong: ignore, onClose: ignore };
    const push = createFrameReader(100_000, handlers);
    push(frame(0x02, "x"));
    const before = piecesOfMemory();
    for (let count = 0; count < 5_000; count += 1) push(chunk);
    expect(piecesOfMemory() - before).toBeLessThan(1_000);
    // The reader still holds the message under way.
    expect(() => push(frame(0x81, "y"))).toThrow();
  });

  test("fails on an announced length over the limit before any of it has come", () => {
    const head = Buffer.from([0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    expect(() => read([head], 100)).toThrow(expect.objectContaining({ code: 1009 }));
  });
});
