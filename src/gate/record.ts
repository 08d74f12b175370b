/**
 * Writes a decision down: as one log line, which never holds a query or a claim; in the audit,
 * which keeps of them what the configuration names; in the ledger of tokens; in the metrics.
 *
 * @module
 */
import { decisionEntry } from "../audit/entry.ts";
import { canonicalAddress } from "../lib/cidr.ts";
import type { Result } from "../result.ts";
import type { Denial, Inquiry, PolicyOutcome, Token } from "../types.ts";
import type { Decision } from "./decide.ts";
import type { Connection } from "./inquire.ts";
import type { Gate } from "./site.ts";

/** What was decided, and how it ended. */
type Ending = {
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
  const status = result.ok ? (result.value?.status ?? SWITCHING_PROTOCOLS) : result.error.status;
  const ms = elapsedMs(startedNs);
  gate.metrics.decided(decision?.route?.config.name, denial?.code, status, ms);
  if (decision !== undefined) {
    gate.metrics.judged(decision.policies);
    noteSighting(gate, inquiry, decision, denial);
  }
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
    status,
    code: denial?.code,
    reason: denial?.reason,
    detail: denial && quotableDetail(denial),
    policy: denial?.policy,
    stack: denial?.stack,
    ms,
  });
  // A public route's visitors are let in by its owner; who is refused elsewhere is a stranger.
  if (denial !== undefined && token === undefined && !isAdmitted(gate, inquiry, denial)) return;
  const program = decision?.route?.program;
  const parts = {
    inquiry,
    policies: decision?.policies ?? [],
    ms,
    ...(decision?.route && { route: decision.route.config.name }),
    ...(program && { declaredClaims: program.claimNames }),
    ...(token && tokenParts(gate, token)),
  };
  const { entryPlan } = gate.site;
  gate.ledger.audit.record(
    decisionEntry(entryPlan, denial === undefined ? { ...parts, status } : { ...parts, denial }),
  );
}

function isAdmitted({ ledger, site }: Gate, { path, query }: Inquiry, { code }: Denial): boolean {
  const kept = site.entryPlan.query.length === 0 ? 0 : query.length;
  return ledger.summary.admits(code, path.length + kept);
}

/** Whether a token passed is the gate's word: what the upstream fails at is not its owner's. */
function noteSighting(
  { ledger, log }: Gate,
  { id, client }: Inquiry,
  { token, route, policies }: Decision,
  denial: Denial | undefined,
): void {
  if (token === undefined || route === undefined) return;
  // Another site's doing: it must not make the owner's session look as if somebody tried doors.
  if (denial?.code === "cross_site") return;
  const denied = denial !== undefined && denial.status < 500;
  const seen = { token, client, route: route.config.name, denied };
  if (policies.every(({ unusual }) => unusual === undefined)) {
    ledger.sightings.note(seen);
    return;
  }
  const unusual = signalsOf(policies);
  ledger.sightings.note({ ...seen, unusual });
  const signals = unusual.map(({ policy, signal }) => `${policy}:${signal}`).join(" ");
  const message = "policies found something unusual";
  log.event("warn", "unusual", message, { requestId: id, route: seen.route, signals });
}

function signalsOf(policies: readonly PolicyOutcome[]) {
  return policies.flatMap(({ name: policy, unusual = [] }) =>
    unusual.map((signal) => ({ policy, signal })),
  );
}

function tokenParts({ ledger }: Gate, token: Token) {
  const tokenId = token.session ?? ledger.tokenHash.of(token);
  return tokenId === undefined ? { token } : { token, tokenId };
}

/** A request that could not be read: nothing of it is trusted enough to be written down. */
type Malformed = {
  readonly id: string;
  readonly request: Request;
  readonly connection: Connection;
  readonly denial: Denial;
};

export function recordMalformed(gate: Gate, startedNs: number, malformed: Malformed): void {
  const { id, request, connection, denial } = malformed;
  const { method } = request;
  const { scheme, address } = connection;
  const ip = address === null ? "unix" : (canonicalAddress(address) ?? "unknown");
  const ms = elapsedMs(startedNs);
  gate.log.decision({
    requestId: id,
    method,
    host: "",
    path: "",
    client: ip,
    decision: "deny",
    status: denial.status,
    code: denial.code,
    reason: denial.reason,
    detail: quotableDetail(denial),
    ms,
  });
  gate.metrics.decided(undefined, denial.code, denial.status, ms);
  if (!gate.ledger.summary.admits(denial.code, 0)) return;
  const nowMs = gate.now();
  const inquiry = { id, method, scheme, host: "", path: "", query: "", nowMs, client: { ip } };
  const parts = { inquiry, policies: [], ms, denial };
  gate.ledger.audit.record(decisionEntry(gate.site.entryPlan, parts));
}

function elapsedMs(startedNs: number): number {
  return Math.round((Bun.nanoseconds() - startedNs) / 1e3) / 1e3;
}

/** A policy's own words may quote a claim; those of one that broke were cleared of them. */
function quotableDetail({ code, policy, detail }: Denial): string | undefined {
  return policy === undefined || code === "policy_fault" ? detail : undefined;
}
