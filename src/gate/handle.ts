/**
 * A request's straight way from arrival to answer:
 * read → limit the address → decide → limit the subject → forward, lead to sign-in or deny →
 * revoke what a policy asked for → record. A request that another proxy asks about goes the same
 * way, but is not forwarded.
 *
 * @module
 */

import type { BrandConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { createOrigins } from "../login/origins.ts";
import { forward } from "../proxy/forward.ts";
import { asksForTunnel, openTunnel, type TunnelData } from "../proxy/tunnel.ts";
import type { Watch } from "../proxy/watch.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial, Inquiry } from "../types.ts";
import { withAssertion } from "./assert.ts";
import { type Approval, type Decision, decide } from "./decide.ts";
import { answerDenial, setRateLimit } from "./denial.ts";
import {
  answerApproved,
  forProxy,
  readVerification,
  signInElsewhere,
  type Verification,
} from "./forward-auth.ts";
import { type Connection, type ReadInquiry, readInquiry } from "./inquire.ts";
import { limitAddress, limitSubject, noteFailure } from "./limit.ts";
import { outboundRequest } from "./outbound.ts";
import { openPatience } from "./patience.ts";
import { recordDecision, recordMalformed } from "./record.ts";
import { answerReserved, RESERVED_PREFIX } from "./reserved.ts";
import { applyRevocations } from "./revoke.ts";
import { leadToSignIn } from "./sign-in.ts";
import type { Gate, Route, Site } from "./site.ts";

/** What the gate needs of the server a request came on. */
type GateServer = Pick<Bun.Server<TunnelData>, "timeout" | "upgrade">;

/**
 * @returns The answer; `undefined` once an upgrade has taken the connection over. Never
 *   throws: whatever is not foreseen is 500 `internal_fault`.
 */
export async function handle(
  gate: Gate,
  request: Request,
  connection: Connection,
  server: GateServer,
): Promise<Response | undefined> {
  const id = Bun.randomUUIDv7();
  const startedNs = Bun.nanoseconds();
  let response: Response | undefined;
  try {
    response = await answer(gate, request, connection, server, { id, startedNs });
  } catch (fault) {
    const stack = fault instanceof Error ? fault.stack : String(fault);
    const message = "a request met a fault of ours and was refused";
    gate.log.event("error", "internal_fault", message, { requestId: id, stack });
    response = answerDenial(INTERNAL_FAULT, id, request.headers.get("accept"));
  }
  if (gate.draining) response?.headers.set("Connection", "close");
  return response;
}

const INTERNAL_FAULT: Denial = { status: 500, code: "internal_fault" };

/** Nothing is served where there is no upstream, and of the gate's own addresses by no other. */
const NOT_FOUND: Denial = { status: 404, code: "route_not_found" };

const NOWHERE: Decision = { policies: [], result: err(NOT_FOUND) };

const OVERLOADED: Denial = { status: 503, code: "overloaded", retryAfterSeconds: 10 };
/** How long a request waits for a store that does not take what is to be recorded. */
const ROOM_LIMIT_MS = 5_000;

const isReserved = ({ inquiry }: ReadInquiry) => inquiry.path.startsWith(RESERVED_PREFIX);

type Arrival = { readonly id: string; readonly startedNs: number };

/** The request that is to be decided on. */
type Arrived = {
  readonly read: Result<ReadInquiry, Denial>;
  /** Where it is another proxy's. */
  readonly verification?: Verification | undefined;
};

function readArrived(
  { site: { surroundings }, now }: Gate,
  request: Request,
  connection: Connection,
  id: string,
): Arrived {
  const nowMs = now();
  const read = readInquiry(request, connection, surroundings, id, nowMs);
  if (!read.ok || !isReserved(read.value)) return { read };
  const asked = { connection, surroundings, id, nowMs };
  const verification = readVerification(request, read.value, asked);
  return verification === undefined ? { read } : { read: verification.read, verification };
}

async function answer(
  gate: Gate,
  request: Request,
  connection: Connection,
  server: GateServer,
  { id, startedNs }: Arrival,
): Promise<Response | undefined> {
  const accept = request.headers.get("accept");
  let { read, verification } = readArrived(gate, request, connection, id);
  const denied = (denial: Denial, brand?: BrandConfig) =>
    answerDenial(forProxy(verification, denial), id, accept, brand);
  // Whoever asks how the gate is must be told above all while something is wrong with it.
  let own =
    read.ok && isReserved(read.value)
      ? await answerOwn(gate, { read: read.value, verification }, request)
      : undefined;
  if (own?.ok) return own.value;

  const { limiter, audit } = gate.ledger;
  // The audit loses nothing: while its store is behind, requests wait, and are refused at last,
  // before anything is decided that could not be recorded.
  const room = audit.room(request, ROOM_LIMIT_MS);
  if (room !== undefined) {
    if (!(await room)) return denied(OVERLOADED);
    // Seconds later: what counts are the time and the configuration of the decision.
    ({ read, verification } = readArrived(gate, request, connection, id));
    // A question of somebody who may not ask any more; no route has the gate's own addresses.
    if (read.ok && isReserved(read.value)) own ??= err(NOT_FOUND);
  }
  const { site } = gate;
  if (!read.ok) {
    recordMalformed(gate, startedNs, { id, request, connection, denial: read.error });
    return denied(read.error);
  }
  const { inquiry, ambiguousPath } = read.value;
  const { brand } = site.config;
  if (own !== undefined) {
    recordDecision(gate, startedNs, { inquiry, result: own });
    return denied(own.error, brand);
  }

  const { address } = site.config.limits;
  const shut = limitAddress(limiter, address, inquiry);
  if (shut !== undefined) {
    recordDecision(gate, startedNs, { inquiry, result: err(shut) });
    return denied(shut, brand);
  }

  const decided = await decide(site, inquiry, ambiguousPath);
  const isServed = verification !== undefined || decided.route?.config.upstreams.length !== 0;
  const decision = isServed ? decided : NOWHERE;
  const { route, token, result } = decision;
  if (!result.ok) noteFailure(limiter, address, inquiry, result.error);
  const readOk = read.value;
  const passed =
    result.ok && route !== undefined
      ? await passLimited(gate, decision, route, inquiry, result.value, (approval) =>
          verification !== undefined
            ? ok(answerApproved(site, inquiry, approval))
            : pass(gate, site, route, approval, {
                request,
                read: readOk,
                server,
                watch:
                  token && ((end) => gate.streams.watch({ site, route, token, read: readOk }, end)),
              }),
        )
      : err(result.ok ? INTERNAL_FAULT : result.error);
  // In force before the denial is answered.
  applyRevocations(gate, inquiry, decision);

  if (passed.ok) {
    recordDecision(gate, startedNs, { inquiry, decision, result: passed });
    return passed.value;
  }
  const { denial, redirect } = leadToSignIn(site, inquiry, decision, passed.error);
  recordDecision(gate, startedNs, { inquiry, decision, result: err(denial) });
  if (redirect === undefined) return denied(denial, brand);
  redirect.headers.set("X-Request-Id", id);
  if (verification === undefined) return redirect;
  const signIn = redirect.headers.get("Location") ?? "";
  const elsewhere = signInElsewhere(createOrigins(site.config), inquiry, signIn);
  if (verification.denied !== "status") {
    redirect.headers.set("Location", elsewhere);
    return redirect;
  }
  const answer = denied(denial, brand);
  answer.headers.set("X-Claimgate-Login", elsewhere);
  return answer;
}

/** The gate's own addresses are its own, whoever asks for them. */
async function answerOwn(
  gate: Gate,
  { read, verification }: Pick<Arrived, "verification"> & { readonly read: ReadInquiry },
  request: Request,
): Promise<Result<Response, Denial>> {
  return verification === undefined ? answerReserved(gate, read, request) : err(NOT_FOUND);
}

type Passage = {
  readonly request: Request;
  readonly read: ReadInquiry;
  readonly server: GateServer;
  /** Absent on a public route: there is no token that could lose its force. */
  readonly watch: Watch | undefined;
};

type Passed = Result<Response | undefined, Denial>;

/** Lets an approved request go on, as often as its owner may. */
async function passLimited(
  gate: Gate,
  { token }: Decision,
  route: Route,
  inquiry: Inquiry,
  approval: Approval,
  go: (approval: Approval) => Passed | Promise<Passed>,
): Promise<Result<Response | undefined, Denial>> {
  const asserting = withAssertion(gate, route, inquiry, token, approval);
  const asserted = asserting instanceof Promise ? await asserting : asserting;
  if (!asserted.ok) return asserted;
  const { rateLimits } = approval;
  const asking = limitSubject(gate.ledger.limiter, {
    route: route.config,
    token,
    inquiry,
    rateLimits,
  });
  const limited = asking instanceof Promise ? await asking : asking;
  if (!limited.ok) return limited;
  const passed = await go(asserted.value);
  const standing = limited.value;
  if (standing !== undefined && passed.ok && passed.value !== undefined) {
    // An application's own word on its limits is left alone.
    if (!passed.value.headers.has("ratelimit")) setRateLimit(passed.value.headers, standing);
  }
  return passed;
}

/** Sends an approved request on its way. What the upstream fails at is a denial, too. */
async function pass(
  gate: Gate,
  site: Site,
  route: Route,
  approval: Approval,
  { request, read, server, watch }: Passage,
): Promise<Result<Response | undefined, Denial>> {
  const { inquiry } = read;
  const upstream = site.upstreams.get(route.config.name);
  if (upstream === undefined) throw new Error("a route has no upstream");
  const outbound = outboundRequest(route, read, approval);
  if (!outbound.ok) return outbound;

  const { idleTimeoutMs } = site.config.http;
  const { timeoutMs } = route.config;
  const setIdleLimit = (seconds: number) => server.timeout(request, seconds);
  const patience =
    timeoutMs < idleTimeoutMs ? undefined : openPatience(setIdleLimit, idleTimeoutMs);
  const job = {
    request,
    upstream,
    target: outbound.value.target,
    headers: outbound.value.headers,
    plan: route.headerPlan,
    requestId: inquiry.id,
    timeoutMs,
    maxBodyBytes: site.config.http.maxBodyBytes,
    watch,
    holdOpen: patience?.holdOpen ?? (() => setIdleLimit(0)),
    patience,
  };
  const sentNs = Bun.nanoseconds();
  try {
    return await (asksForTunnel(request) ? openTunnel(job, server) : forward(job));
  } catch (fault) {
    const denial = upstreamDenial(fault);
    const fields = { requestId: inquiry.id, route: route.config.name, cause: causeOf(fault) };
    gate.log.event("warn", denial.code, (fault as GateError).message, fields);
    return err(denial);
  } finally {
    patience?.end();
    gate.metrics.answered(route.config.name, (Bun.nanoseconds() - sentNs) / 1e6);
  }
}

/** @throws Whatever is not the upstream's failure. */
function upstreamDenial(fault: unknown): Denial {
  if (fault instanceof GateError) {
    if (fault.code === "upstream_timeout") return { status: 504, code: fault.code };
    if (fault.code === "upstream_unreachable") return { status: 502, code: fault.code };
  }
  throw fault;
}

/**
 * For the log alone: the system's own word for what went wrong. A code where there is one:
 * Bun's messages quote the upstream's whole URL, query and all.
 */
function causeOf(fault: unknown): string | undefined {
  const cause = fault instanceof Error ? fault.cause : undefined;
  if (!(cause instanceof Error)) return undefined;
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}
