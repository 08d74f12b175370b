/**
 * Writes a decision down: today as one log line. What is recorded of a request never
 * includes its query or a claim.
 *
 * @module
 */
import type { Result } from "../result.ts";
import type { Denial, Inquiry } from "../types.ts";
import type { Decision } from "./decide.ts";
import type { Connection } from "./inquire.ts";
import type { Gate } from "./site.ts";

/** What was decided, and how it ended. */
export type Ending = {
  readonly inquiry: Inquiry;
  readonly decision?: Decision;
  /** The upstream's answer, `undefined` for a tunnel; or the denial. */
  readonly result: Result<Response | undefined, Denial>;
};

const SWITCHING_PROTOCOLS = 101;

/** @param startedNs `Bun.nanoseconds()` when the request arrived. */
export function recordDecision(gate: Gate, startedNs: number, ending: Ending): void {
  const { inquiry, decision, result } = ending;
  const token = decision?.token;
  const denial = result.ok ? undefined : result.error;
  // One literal with all fields, and no spreads: this is written for every request.
  gate.log.decision({
    requestId: inquiry.id,
    method: inquiry.method,
    host: inquiry.host,
    path: inquiry.path,
    client: inquiry.client.ip,
    route: decision?.route?.config.name,
    issuer: token?.issuerName,
    subject: token && gate.subjectHash(token),
    decision: result.ok ? "forward" : "deny",
    status: result.ok ? (result.value?.status ?? SWITCHING_PROTOCOLS) : result.error.status,
    code: denial?.code,
    reason: denial?.reason,
    detail: denial && quotableDetail(denial),
    policy: denial?.policy,
    stack: denial?.stack,
    ms: elapsedMs(startedNs),
  });
}

/** A request that could not be read: nothing of it is trusted enough to be written down. */
export type Malformed = {
  readonly id: string;
  readonly request: Request;
  readonly connection: Connection;
  readonly denial: Denial;
};

export function recordMalformed(gate: Gate, startedNs: number, malformed: Malformed): void {
  const { id, request, connection, denial } = malformed;
  gate.log.decision({
    requestId: id,
    method: request.method,
    host: "",
    path: "",
    client: connection.address ?? "unix",
    decision: "deny",
    status: denial.status,
    code: denial.code,
    reason: denial.reason,
    detail: quotableDetail(denial),
    ms: elapsedMs(startedNs),
  });
}

function elapsedMs(startedNs: number): number {
  return Math.round((Bun.nanoseconds() - startedNs) / 1e3) / 1e3;
}

/** A policy's own words may quote a claim; those of one that broke were cleared of them. */
function quotableDetail({ code, policy, detail }: Denial): string | undefined {
  return policy === undefined || code === "policy_fault" ? detail : undefined;
}
