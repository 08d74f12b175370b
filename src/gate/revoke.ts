/**
 * What policies want revoked besides their denials.
 *
 * @module
 */
import type { Inquiry } from "../types.ts";
import type { Decision } from "./decide.ts";
import type { Gate } from "./site.ts";

/** What a policy wants revoked is in force when this returns. */
export function applyRevocations(
  { ledger, now }: Pick<Gate, "ledger" | "now">,
  inquiry: Inquiry,
  decision: Decision,
): void {
  const { token, result } = decision;
  if (result.ok || token === undefined) return;
  const { revoke, policy, reason: code = "" } = result.error;
  if (revoke === undefined || policy === undefined) return;
  const wish = { policy, revoke, code, token, requestId: inquiry.id };
  const at = new Date(now()).toISOString();
  for (const { kind, issuer, value } of ledger.policyRevocations.apply(wish)) {
    // As `claimgate revoke` would name it.
    const target = `${kind} ${value}${issuer === undefined ? "" : ` of ${token.issuerName}`}`;
    const actor = `policy ${policy}`;
    ledger.audit.record({ kind: "act", at, actor, act: "revoke", target, reason: code });
  }
}
