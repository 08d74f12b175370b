/**
 * WebSocket frames between the gate and an upstream, where the gate is the client
 * (RFC 6455 §5). Towards the gate's own clients Bun does this.
 *
 * @module
 */

import { gatherBytes } from "./gathered-bytes.ts";

export const OPCODE = { text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const CONTINUATION = 0;
const CONTROL_PAYLOAD_LIMIT = 125; // §5.5

/** Ready-made messages and control frames, in order. */
type FrameHandlers = {
  readonly onMessage: (data: string | Buffer) => void;
  readonly onPing: (payload: Buffer) => void;
  readonly onPong: (payload: Buffer) => void;
  /** `code` is 1005 where the frame had none. */
  readonly onClose: (code: number, reason: string) => void;
};

/** Why a connection has to be failed: `code` is what the sender is told (§7.4.1). */
export class FrameError extends Error {
  override readonly name = "FrameError";

  constructor(
    readonly code: 1002 | 1007 | 1009,
    message: string,
  ) {
    super(message);
  }
}

/** A whole frame, masked as a client's must be (§5.3). */
export function encodeFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.allocUnsafe(2 + extra + 4 + length);
  frame[0] = 0x80 | opcode;
  if (extra === 0) frame[1] = 0x80 | length;
  else if (extra === 2) {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(length, 2);
  } else {
    frame[1] = 0x80 | 127;
    frame.writeBigUInt64BE(BigInt(length), 2);
  }
  const keyAt = 2 + extra;
  crypto.getRandomValues(frame.subarray(keyAt, keyAt + 4));
  mask(payload, frame, keyAt);
  return frame;
}

/** @param code 1005 makes a frame without a code (§7.4.1). */
export function encodeClose(code: number, reason: string): Buffer {
  if (code === 1005) return encodeFrame(OPCODE.close, new Uint8Array(0));
  const text = cutUtf8(Buffer.from(reason), CONTROL_PAYLOAD_LIMIT - 2);
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  text.copy(payload, 2);
  return encodeFrame(OPCODE.close, payload);
}

/**
 * Puts frames and messages together from chunks as they arrive. Holds at most one message.
 *
 * @param maxMessageBytes Of one message, over all its fragments.
 * @returns What takes the chunks.
 * @throws FrameError, from there, for what the protocol or the limit forbids; it must not be
 *   called again afterwards.
 */
export function createFrameReader(
  maxMessageBytes: number,
  handlers: FrameHandlers,
): (chunk: Buffer) => void {
  /** Of a frame that has not come whole. */
  const waiting = gatherBytes();
  /** Bytes that must be there before it is worth looking again. */
  let needed = 2;
  const fragments = gatherBytes();
  /** Of the message under way; `undefined` between messages. */
  let messageOpcode: number | undefined;

  return function push(chunk: Buffer): void {
    let buffer = chunk;
    if (waiting.size() > 0) {
      waiting.add(chunk);
      if (waiting.size() < needed) return;
      buffer = waiting.take();
    }
    while (buffer.length >= needed) {
      const head = readHead(buffer);
      needed = head.bytes;
      if (head.length !== undefined) {
        checkLength(head.first, head.length);
        needed += head.length;
      }
      if (head.length === undefined || buffer.length < needed) break;
      takeFrame(head.first, buffer.subarray(head.bytes, needed));
      buffer = buffer.subarray(needed);
      needed = 2;
    }
    if (buffer.length > 0) waiting.add(buffer);
  };

  /** On the announced length, before any of it is kept. */
  function checkLength(first: number, length: number): void {
    if (isControl(first)) {
      if (length > CONTROL_PAYLOAD_LIMIT) throw new FrameError(1002, "a control frame is too long");
    } else if (length + fragments.size() > maxMessageBytes) {
      throw new FrameError(1009, "the message is too big");
    }
  }

  function takeFrame(first: number, payload: Buffer): void {
    const opcode = first & 0x0f;
    const isFinal = (first & 0x80) !== 0;
    if ((first & 0x70) !== 0) throw new FrameError(1002, "no extension was agreed on");
    if (isControl(first)) {
      if (!isFinal) throw new FrameError(1002, "a control frame is fragmented");
      takeControl(opcode, payload);
      return;
    }
    const continues = opcode === CONTINUATION;
    const isKnown = continues || opcode === OPCODE.text || opcode === OPCODE.binary;
    if (!isKnown || continues !== (messageOpcode !== undefined)) {
      throw new FrameError(1002, "an unexpected frame");
    }
    messageOpcode ??= opcode;
    if (!isFinal || continues) fragments.add(payload);
    if (!isFinal) return;
    const whole = continues ? fragments.take() : payload;
    const isText = messageOpcode === OPCODE.text;
    messageOpcode = undefined;
    handlers.onMessage(isText ? decodeText(whole) : whole);
  }

  function takeControl(opcode: number, payload: Buffer): void {
    if (opcode === OPCODE.ping) handlers.onPing(payload);
    else if (opcode === OPCODE.pong) handlers.onPong(payload);
    else if (opcode === OPCODE.close) takeClose(payload);
    else throw new FrameError(1002, "an unknown control frame");
  }

  function takeClose(payload: Buffer): void {
    if (payload.length === 0) {
      handlers.onClose(1005, "");
      return;
    }
    const code = payload.length === 1 ? 0 : payload.readUInt16BE(0);
    if (!isSendableCode(code)) throw new FrameError(1002, "an invalid close code");
    handlers.onClose(code, decodeText(payload.subarray(2)));
  }
}

type FrameHead = {
  readonly first: number;
  /** Bytes of the head itself. */
  readonly bytes: number;
  /** Of the payload; absent while the head is not complete. */
  readonly length?: number;
};

/** @param buffer At least two bytes. */
function readHead(buffer: Buffer): FrameHead {
  const first = buffer.readUInt8(0);
  const second = buffer.readUInt8(1);
  if ((second & 0x80) !== 0) throw new FrameError(1002, "a server's frame is masked");
  if (second < 126) return { first, bytes: 2, length: second };
  const bytes = second === 126 ? 4 : 10;
  if (buffer.length < bytes) return { first, bytes };
  const length = second === 126 ? buffer.readUInt16BE(2) : Number(buffer.readBigUInt64BE(2));
  return { first, bytes, length };
}

function isControl(first: number): boolean {
  return (first & 0x08) !== 0;
}

/** What may stand in a close frame (§7.4; the IANA registry adds 1012 to 1014). */
function isSendableCode(code: number): boolean {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

/** `payload` XOR the key at `keyAt`, written behind it: four bytes at a time. */
function mask(payload: Uint8Array, frame: Buffer, keyAt: number): void {
  const start = keyAt + 4;
  frame.set(payload, start);
  const key = frame.readUInt32LE(keyAt);
  const end = start + payload.length;
  // A typed array of words must begin at a multiple of four of the memory below.
  const lead = Math.min((4 - ((frame.byteOffset + start) % 4)) % 4, payload.length);
  const keyByte = (at: number) => (key >>> (8 * ((at - start) % 4))) & 0xff;
  for (let at = start; at < start + lead; at += 1) frame[at] = (frame[at] ?? 0) ^ keyByte(at);
  const words = (end - start - lead) >> 2;
  if (words > 0) {
    const shift = 8 * (lead % 4);
    const turned = shift === 0 ? key : (key >>> shift) | (key << (32 - shift));
    const view = new Uint32Array(frame.buffer, frame.byteOffset + start + lead, words);
    for (let index = 0; index < words; index += 1) view[index] = (view[index] ?? 0) ^ turned;
  }
  for (let at = start + lead + words * 4; at < end; at += 1) {
    frame[at] = (frame[at] ?? 0) ^ keyByte(at);
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeText(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new FrameError(1007, "a text is not UTF-8");
  }
}

/** The longest prefix of at most `limit` bytes that does not end within a character. */
function cutUtf8(bytes: Buffer, limit: number): Buffer {
  if (bytes.length <= limit) return bytes;
  let end = limit;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end);
}
