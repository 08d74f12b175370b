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
 * A short body that is there at once keeps its length; others are streamed in chunks. A
 * break resets the client.
 *
 * @throws GateError `upstream_unreachable` when the upstream breaks off before its first byte.
 */
export async function guardAnswer(response: Response): Promise<Response> {
  const { body, status, headers } = response;
  if (body === null || NO_BODY.has(status)) return response;
  const reader: Reader = body.getReader();
  const length = headers.get("content-length");
  // Bytes would be given a type where there is none, a stream of ours is not.
  if (length === null || !headers.has("content-type")) {
    return new Response(streamRest(reader, undefined), { status, headers });
  }
  const first = await readOrThrow(reader);
  const isWhole = !first.done && first.value.byteLength === Number(length);
  return new Response(isWhole ? first.value : streamRest(reader, first), { status, headers });
}

/** A `Response` of these must be made without one (Fetch Standard, null body status). */
const NO_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

type Reader = Pick<ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>, "read" | "cancel">;
type Chunk = Awaited<ReturnType<Reader["read"]>>;

function streamRest(reader: Reader, first: Chunk | undefined): ReadableStream<Uint8Array> {
  let next = first;
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = next ?? (await readOrThrow(reader));
        next = undefined;
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
