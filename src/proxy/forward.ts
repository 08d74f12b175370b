/**
 * Sends an approved request to its upstream and gives back the answer, both streamed.
 *
 * @module
 */
import { err, ok, type Result } from "../result.ts";
import type { Denial } from "../types.ts";
import { cleanAnswer, guardAnswer, isWorthGathering } from "./answer.ts";
import { bodyTooLarge, checkAnnouncedBody } from "./body.ts";
import { echo } from "./echo.ts";
import { Exchange, type Patience } from "./exchange.ts";
import { answerToNobody, isNotConnected, timedOut, unreachable } from "./faults.ts";
import type { HeaderPlan } from "./headers.ts";
import { sendByNode } from "./node-request.ts";
import type { Target, Upstream } from "./upstream.ts";
import { isEventStream, lastingBody, type Watch, watchAnswer } from "./watch.ts";

export type ForwardJob = {
  /** The client's: its method, body and signal are used. */
  readonly request: Request;
  /** Path and query for the upstream, from `upstreamTarget`. */
  readonly target: string;
  /** For the upstream, from `requestHeaders`. */
  readonly headers: Headers;
  readonly upstream: Upstream;
  readonly plan: HeaderPlan;
  readonly requestId: string;
  /** Until the answer begins, not counting time spent waiting for the client's body. */
  readonly timeoutMs: number;
  readonly maxBodyBytes: number;
  /** Called for an event stream: the listener's idle timeout must not cut it. */
  readonly holdOpen: () => void;
  /** Told of an answer that may last; absent where there is nothing to watch. */
  readonly watch?: Watch | undefined;
  /** Told whom we wait for, where the listener's idle timeout is to count for the client alone. */
  readonly patience?: Patience | undefined;
};

/**
 * Methods that may go over a warm connection without a body. Bun sends GET, HEAD and
 * OPTIONS once more when that connection turns out dead, as it should, and never POST or
 * PATCH; but it does so with PUT and DELETE too, so those get a fresh connection, on
 * which it never tries again. With a body it sends nothing twice.
 */
const MAY_BE_WARM: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "POST", "PATCH"]);

const OVERLOADED: Denial = {
  status: 503,
  code: "overloaded",
  reason: "streams_full",
  retryAfterSeconds: 10,
};

/** Its result is in a trailer, which does not pass; gRPC-Web has it in the body, and passes. */
const GRPC = /^application\/grpc(?:$|[+;\s])/i;

/** gRPC's own code for what is not served: UNIMPLEMENTED. */
const GRPC_UNSUPPORTED: Denial = {
  status: 501,
  code: "method_unsupported",
  reason: "grpc_needs_trailers",
  grpcStatus: 12,
};

function isGrpc({ headers }: Request): boolean {
  const type = headers.get("content-type");
  return type !== null && GRPC.test(type);
}

/**
 * @returns The upstream's answer, or a denial: 501 `method_unsupported` for gRPC, 413
 *   `too_large`, 400 `request_malformed`. A body that exceeds the limit after the answer began cuts the answer instead.
 * @throws GateError `upstream_unreachable`, `upstream_timeout`; messages hold no address,
 *   `cause` may.
 */
export async function forward(job: ForwardJob): Promise<Result<Response, Denial>> {
  if (isGrpc(job.request)) return err(GRPC_UNSUPPORTED);
  const announced = checkAnnouncedBody(job.request, job.maxBodyBytes);
  if (!announced.ok) return announced;

  const exchange = new Exchange(job.request, job.timeoutMs, job.maxBodyBytes, job.patience);
  try {
    return await exchangeWith(job, exchange);
  } finally {
    exchange.settle();
  }
}

async function exchangeWith(
  job: ForwardJob,
  exchange: Exchange,
): Promise<Result<Response, Denial>> {
  let target = job.upstream.choose();
  let tried: Set<Target> | undefined;
  while (target !== undefined) {
    const sent = await sendTo(target, job, exchange);
    if (sent.ok) return finish(sent.value, target, job, exchange);
    if (exchange.ending === "body_exceeded") return err(bodyTooLarge());
    if (exchange.ending === "timed_out") {
      job.upstream.report(target, "failed");
      throw timedOut();
    }
    if (job.request.signal.aborted) return ok(answerToNobody());
    const isUntouched = isNotConnected(sent.error);
    job.upstream.report(target, isUntouched ? "unreachable" : "failed");
    tried ??= new Set();
    tried.add(target);
    const mayGoElsewhere = isUntouched && !exchange.body?.isStarted();
    target = mayGoElsewhere ? job.upstream.choose(tried) : undefined;
    if (target === undefined) {
      throw unreachable("the upstream cannot be reached or broke off", sent.error);
    }
  }
  throw unreachable("the upstream has no address");
}

async function sendTo(
  target: Target,
  job: ForwardJob,
  exchange: Exchange,
): Promise<Result<Response, unknown>> {
  const { method } = job.request;
  const { body, signal } = exchange;
  target.inFlight += 1;
  try {
    if (target.address.kind === "echo") {
      return ok(await echo(method, job.target, job.headers, body));
    }
    // fetch would make one slash of them, and the path would be another than was decided on.
    const response = job.target.startsWith("//")
      ? await sendByNode(target, method, job.target, job.headers, body?.open(), signal)
      : await target.session.fetch(target.origin + job.target, {
          method,
          headers: job.headers,
          signal,
          redirect: "manual",
          decompress: false,
          body: body?.open(),
          keepalive: body !== undefined || MAY_BE_WARM.has(method),
        });
    job.upstream.report(target, "answered");
    return ok(response);
  } catch (fault) {
    return err(fault);
  } finally {
    target.inFlight -= 1;
  }
}

async function finish(
  response: Response,
  { address }: Target,
  job: ForwardJob,
  exchange: Exchange,
): Promise<Result<Response, Denial>> {
  exchange.answered();
  const cleaned = cleanAnswer(response, job.plan, job.requestId);
  if (!cleaned.ok) {
    exchange.cut();
    throw cleaned.error;
  }
  if (isEventStream(response)) job.holdOpen();
  const isWatched = job.watch !== undefined && address.kind !== "echo";
  const lasting = isWatched ? lastingBody(response) : undefined;
  if (job.watch !== undefined && lasting !== undefined) {
    const watched = watchAnswer(response, lasting, job.watch, () => exchange.cut());
    if (watched !== undefined) return ok(watched);
    exchange.cut();
    return err(OVERLOADED);
  }
  // With a body of the request's under way, too: it may yet exceed its limit and cut the answer.
  const isGuarded =
    !response.headers.has("content-type") ||
    exchange.body !== undefined ||
    job.target.includes("?") ||
    isWorthGathering(response);
  return ok(isGuarded ? await guardAnswer(response) : response);
}
