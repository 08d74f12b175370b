/**
 * Request bodies: what is refused before the upstream hears of the request, and the meter
 * on those that stream through.
 *
 * @module
 */
import { err, ok, type Result } from "../result.ts";
import type { Denial } from "../types.ts";

/**
 * Looks at how the body is announced. A GET or HEAD with a body is refused: Bun does not
 * hand us its bytes, so it could only be lost.
 *
 * @returns 400 `request_malformed`, or 413 `too_large` for an announced length over the limit.
 */
export function checkAnnouncedBody(
  request: Request,
  maxBodyBytes: number,
): Result<undefined, Denial> {
  const { headers, method } = request;
  const announced = headers.get("content-length");
  if (announced !== null && !/^\d{1,15}$/.test(announced)) {
    return err({ status: 400, code: "request_malformed", reason: "content_length_invalid" });
  }
  const length = Number(announced ?? 0);
  const isBodyless = method === "GET" || method === "HEAD";
  if (isBodyless && (length > 0 || headers.has("transfer-encoding"))) {
    return err({ status: 400, code: "request_malformed", reason: "body_unexpected" });
  }
  if (length > maxBodyBytes) return err(bodyTooLarge());
  return ok(undefined);
}

export function bodyTooLarge(): Denial {
  return { status: 413, code: "too_large", reason: "body_too_large" };
}

/** A body on its way to the upstream. */
export type MeteredBody = {
  /** The bytes, for one attempt; another may be made while `isStarted` is false. */
  readonly open: () => ReadableStream<Uint8Array>;
  /** Whether a byte was asked for: from then on the request cannot be sent elsewhere. */
  readonly isStarted: () => boolean;
};

type MeterHooks = {
  /** More than the limit came. */
  readonly onExceeded: () => void;
  /** We wait for the client: the upstream cannot be blamed for this time. */
  readonly onWait: () => void;
  /** The upstream has bytes to take, or the whole body. */
  readonly onProgress: () => void;
  /** Asked at the end of a body without a length, whether it is none: its client is gone. */
  readonly wasCut?: () => Promise<boolean>;
};

/**
 * Passes a body on, chunk by chunk and only when asked, so that back-pressure reaches the
 * client, and counts it.
 */
export function meterBody(
  body: ReadableStream<Uint8Array>,
  maxBodyBytes: number,
  hooks: MeterHooks,
): MeteredBody {
  const reader = body.getReader();
  let isStarted = false;
  let isOver = false;
  let bytes = 0;

  async function pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    isStarted = true;
    hooks.onWait();
    const { done, value } = await reader.read();
    // Cancelled while we waited: the controller takes no more.
    if (isOver) return;
    hooks.onProgress();
    if (done) {
      const wasCut = await hooks.wasCut?.();
      if (isOver) return;
      isOver = true;
      if (wasCut) controller.error(new Error("the client broke off its body"));
      else controller.close();
      return;
    }
    bytes += value.byteLength;
    if (bytes <= maxBodyBytes) {
      controller.enqueue(value);
      return;
    }
    isOver = true;
    hooks.onExceeded();
    controller.error(new Error("the body exceeds the limit"));
    await reader.cancel();
  }

  async function cancel(reason: unknown): Promise<void> {
    // A connection that failed before it took a byte has used nothing up.
    if (!isStarted) return;
    isOver = true;
    await reader.cancel(reason);
  }

  return {
    open: () => new ReadableStream({ pull, cancel }, { highWaterMark: 0 }),
    isStarted: () => isStarted,
  };
}
