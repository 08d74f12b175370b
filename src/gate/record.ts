/**
 * Writes a decision down: today as one log line. What is recorded of a request never
 * includes its query or a claim.
 *
 * @module
 */
import type { DecisionRecord } from "../telemetry/log.ts";
import type { Denial, Inquiry } from "../types.ts";
import type { Decision } from "./decide.ts";
import type { Connection } from "./inquire.ts";
import type { Gate } from "./site.ts";

/** What was decided, and how it ended: with a denial, or with the upstream's status. */
export type Ending = {
  readonly inquiry: Inquiry;
  readonly decision?: Decision;
} & ({ readonly denial: Denial } | { readonly status: number });

/** @param startedNs `Bun.nanoseconds()` when the request arrived. */
export function recordDecision(gate: Gate, startedNs: number, ending: Ending): void {
  const { inquiry, decision } = ending;
  const ms = elapsedMs(startedNs);
  const { id: requestId, method, host, path, client } = inquiry;
  const token = decision?.token;
  const known = {
    requestId,
    method,
    host,
    path,
    client: client.ip,
    ...(decision?.route && { route: decision.route.config.name }),
    ...(token && { issuer: token.issuerName, subject: gate.subjectHash(token) }),
  };
  const record: DecisionRecord =
    "denial" in ending
      ? { ...known, decision: "deny", ...denialFields(ending.denial), ms }
      : { ...known, decision: "forward", status: ending.status, ms };
  gate.log.decision(record);
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
    ...denialFields(denial),
    ms: elapsedMs(startedNs),
  });
}

function elapsedMs(startedNs: number): number {
  return Math.round((Bun.nanoseconds() - startedNs) / 1e3) / 1e3;
}

function denialFields({ status, code, reason, detail, policy, stack }: Denial) {
  // A policy's own words may quote a claim; those of one that broke were cleared of them.
  const isQuotable = policy === undefined || code === "policy_fault";
  return {
    status,
    code,
    ...(reason !== undefined && { reason }),
    ...(detail !== undefined && isQuotable && { detail }),
    ...(policy !== undefined && { policy }),
    ...(stack !== undefined && { stack }),
  };
}
