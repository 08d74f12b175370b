/**
 * One request's exchange with its upstream, from its first attempt until its answer begins,
 * and what may end it before: its time is up, its client is gone, its body is too large.
 *
 * One coarse sweep looks after all exchanges. A timer and an abort listener for each would
 * cost more than everything else that we do to forward a request. Once an answer streams,
 * Bun itself cancels it when the client goes.
 *
 * @module
 */
import { type MeteredBody, meterBody } from "./body.ts";

/** A limit is noticed as late as this, a client's going twice as late. */
const SWEEP_MS = 50;
/** A body that is over may turn out not to be within this. */
const DOUBT_MS = 10;

/** Told whom we wait for while the body is on its way. */
export type Patience = { readonly forUpstream: () => void; readonly forClient: () => void };

type Ending = "body_exceeded" | "timed_out" | "client_gone";

const underWay = new Set<Exchange>();
let sweeper: Timer | undefined;

function sweep(): void {
  const nowMs = performance.now();
  for (const exchange of underWay) exchange.look(nowMs);
  if (underWay.size > 0) return;
  clearInterval(sweeper);
  sweeper = undefined;
}

export class Exchange {
  readonly body: MeteredBody | undefined;
  /** Why we ended it, if we did. */
  ending: Ending | undefined;
  readonly #request: Request;
  readonly #controller = new AbortController();
  /** Infinity once the answer has begun. */
  #timeoutMs: number;
  /** By `performance.now()`; Infinity while time does not count. */
  #deadlineMs: number;
  #isLookedAt = false;

  /**
   * Begins at once; whoever makes one settles it, however it goes.
   *
   * @param timeoutMs Until the answer begins, without time spent waiting for the client's body.
   */
  constructor(request: Request, timeoutMs: number, maxBodyBytes: number, patience?: Patience) {
    this.#request = request;
    this.#timeoutMs = timeoutMs;
    this.#deadlineMs = performance.now() + timeoutMs;
    if (request.body !== null) {
      // Of an HTTP/2 stream that is reset Bun gives an end first, and says only a little later
      // that the client is gone. Where no length tells, a part would pass for the whole.
      const { headers } = request;
      const tellsItsEnd = headers.has("content-length") || headers.has("transfer-encoding");
      const signal = tellsItsEnd ? undefined : request.signal;
      this.body = meterBody(request.body, maxBodyBytes, {
        onExceeded: () => this.#end("body_exceeded"),
        ...(signal !== undefined && {
          wasCut: async () => {
            await new Promise((resolve) => setTimeout(resolve, DOUBT_MS));
            return signal.aborted;
          },
        }),
        onWait: () => {
          patience?.forClient();
          this.#deadlineMs = Number.POSITIVE_INFINITY;
        },
        onProgress: () => {
          patience?.forUpstream();
          this.#deadlineMs = performance.now() + this.#timeoutMs;
        },
      });
    }
    underWay.add(this);
    sweeper ??= setInterval(sweep, SWEEP_MS);
  }

  /** For what is sent to the upstream: cuts it off, an answer that has begun too. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The answer has begun: time no longer matters. */
  answered(): void {
    this.#timeoutMs = Number.POSITIVE_INFINITY;
    this.#deadlineMs = Number.POSITIVE_INFINITY;
  }

  /** The answer is the client's, or there will be none: nothing is looked after any more. */
  settle(): void {
    underWay.delete(this);
  }

  cut(): void {
    this.#controller.abort();
  }

  look(nowMs: number): void {
    if (nowMs > this.#deadlineMs) this.#end("timed_out");
    // Bun makes a request's signal when it is first asked for: quick requests are spared that.
    else if (this.#isLookedAt && this.#request.signal.aborted) this.#end("client_gone");
    this.#isLookedAt = true;
  }

  #end(ending: Ending): void {
    this.ending ??= ending;
    this.cut();
  }
}
