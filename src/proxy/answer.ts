/**
 * Makes an upstream's answer the gate's.
 *
 * @module
 */
import type { GateError } from "../errors.ts";
import { err, type Result } from "../result.ts";
import { unreachable } from "./faults.ts";
import { cleanResponseHeaders, type HeaderPlan } from "./headers.ts";

/**
 * @param response fetch's own, or made of what an upstream sent; its headers are changed.
 * @returns A fault when it cannot be passed on; the caller ends the exchange and throws it.
 */
export function cleanAnswer(
  { status, headers }: Response,
  plan: HeaderPlan,
  requestId: string,
): Result<undefined, GateError> {
  if (status < 200 || status > 599) {
    return err(unreachable("the upstream answered with a status outside 200 to 599"));
  }
  const cleaned = cleanResponseHeaders(headers, plan, requestId);
  return cleaned.ok
    ? cleaned
    : err(unreachable("the upstream answered with an invalid Connection header"));
}

/**
 * Lets the body pass through us. An answer of fetch's that Bun passes on by itself is
 * cheaper, but Bun gives it a Content-Type where it has none, and when the upstream breaks
 * off, prints the whole upstream URL, query and all.
 *
 * Bun gives no stream a Content-Length, whoever announces one. So a short body is put together,
 * if it comes soon, and keeps its length; others are streamed in chunks. A break resets the
 * client.
 *
 * @throws GateError `upstream_unreachable` when the upstream breaks off before its first byte,
 *   or before a short body is whole.
 */
export async function guardAnswer(response: Response): Promise<Response> {
  const { body, status, headers } = response;
  if (body === null || NO_BODY.has(status)) return response;
  const reader: Reader = body.getReader();
  const length = headers.get("content-length");
  // Bytes would be given a type where there is none, a stream of ours is not.
  if (length === null || !headers.has("content-type")) {
    return new Response(streamRest(reader, []), { status, headers });
  }
  const begun = await readBeginning(reader, Number(length));
  const isWhole = begun instanceof Uint8Array;
  return new Response(isWhole ? begun : streamRest(reader, begun), { status, headers });
}

/**
 * Whether an answer that Bun would pass on by itself is put together first. The smallest come in
 * one piece anyway, and Bun then keeps their length.
 */
export function isWorthGathering({ headers }: Response): boolean {
  const length = Number(headers.get("content-length") ?? 0);
  return length > ONE_PIECE_BYTES && length <= GATHERED_BYTES;
}

const ONE_PIECE_BYTES = 8 * 1024;
/** What one answer may hold in memory while its client reads; Bun holds as much of any. */
const GATHERED_BYTES = 256 * 1024;
/** From the first byte; what comes more slowly is passed on as it comes. */
const GATHERING_LIMIT_MS = 100;

/** A `Response` of these must be made without one (Fetch Standard, null body status). */
const NO_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

type Reader = Pick<ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>, "read" | "cancel">;
type Chunk = Awaited<ReturnType<Reader["read"]>>;

/** @returns The whole body, or what came of it and what is still awaited. */
async function readBeginning(
  reader: Reader,
  length: number,
): Promise<Uint8Array<ArrayBuffer> | (Chunk | Promise<Chunk>)[]> {
  const first = await readOrThrow(reader);
  if (first.done || length > GATHERED_BYTES) return [first];
  if (first.value.byteLength === length) return first.value;
  const came: Chunk[] = [first];
  const whole = new Uint8Array(length);
  whole.set(first.value);
  let size = first.value.byteLength;
  const late = Promise.withResolvers<undefined>();
  const timer = setTimeout(late.resolve, GATHERING_LIMIT_MS);
  try {
    while (size < length) {
      const awaited = readOrThrow(reader);
      const next = await Promise.race([awaited, late.promise]);
      if (next === undefined) {
        awaited.catch(() => {}); // told to whoever reads the stream
        return [...came, awaited];
      }
      came.push(next);
      if (next.done) return came;
      whole.set(next.value, size);
      size += next.value.byteLength;
    }
  } finally {
    clearTimeout(timer);
  }
  return whole;
}

/** @param begun What was read before, or asked for. */
function streamRest(
  reader: Reader,
  begun: readonly (Chunk | Promise<Chunk>)[],
): ReadableStream<Uint8Array> {
  const queue = [...begun];
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await (queue.shift() ?? readOrThrow(reader));
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}

async function readOrThrow(reader: Reader): Promise<Chunk> {
  try {
    return await reader.read();
  } catch (cause) {
    throw unreachable("the upstream broke off its answer", cause);
  }
}
