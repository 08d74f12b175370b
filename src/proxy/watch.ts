/**
 * Exchanges that may have to end before their own end: tunnels, and answers that go on for long.
 *
 * @module
 */
import { unreachable } from "./faults.ts";

/**
 * Told of an exchange that may last.
 *
 * @param end Ends it, with a reason that its client may read; called once at most, and not
 *   before this returns.
 * @returns To be called when it has ended by itself; `undefined` when no more can be watched.
 */
export type Watch = (end: (reason: string) => void) => (() => void) | undefined;

const EVENT_STREAM = /^text\/event-stream\b/i;
/** An answer of no more is on its way, whatever becomes of its token. */
const SHORT_BYTES = 1024 * 1024;

export function isEventStream({ headers }: Response): boolean {
  const type = headers.get("content-type");
  return type !== null && EVENT_STREAM.test(type);
}

/** @returns The body, where it is long, or of a length that nobody knows. */
export function lastingBody(response: Response): Body | undefined {
  const length = response.headers.get("content-length");
  if (length !== null && Number(length) <= SHORT_BYTES) return undefined;
  // Asked for last: it has a price that most answers need not pay.
  return response.body ?? undefined;
}

/**
 * Lets an answer's body pass through us, so that it can be ended: an event stream as if it
 * were over, anything else by a cut, because a part must not pass for the whole.
 *
 * @param cut Ends the exchange with the upstream, its request's body too.
 * @returns `undefined` when no more can be watched.
 */
export function watchAnswer(
  response: Response,
  body: Body,
  watch: Watch,
  cut: () => void,
): Response | undefined {
  const reader: Reader = body.getReader();
  const endsCleanly = isEventStream(response);
  let isOver = false;
  let streaming: ReadableStreamDefaultController<Uint8Array> | undefined;

  const ended = watch(() => {
    isOver = true;
    if (endsCleanly) streaming?.close();
    else streaming?.error(new Error("the answer may not go on"));
    cut();
  });
  if (ended === undefined) return undefined;

  async function pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const chunk = await reader.read().catch((cause: unknown) => ({ cause }));
    if (isOver) return;
    if ("value" in chunk && !chunk.done) {
      controller.enqueue(chunk.value);
      return;
    }
    isOver = true;
    ended?.();
    if ("cause" in chunk) throw unreachable("the upstream broke off its answer", chunk.cause);
    controller.close();
  }

  async function cancel(reason: unknown): Promise<void> {
    isOver = true;
    ended?.();
    await reader.cancel(reason);
  }

  const start = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    streaming = controller;
  };
  const stream = new ReadableStream({ start, pull, cancel }, { highWaterMark: 0 });
  return new Response(stream, { status: response.status, headers: response.headers });
}

type Body = NonNullable<Response["body"]>;
type Reader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;
