/**
 * Entries as a gate makes them.
 *
 * @module
 */
import type { ActEntry, DecisionEntry } from "../../src/audit/entry.ts";

/** 2026-01-05T10:00:00Z. */
export const START_MS = Date.UTC(2026, 0, 5, 10);

/** @param number Tells entries apart: each is a second after the one before. */
export function forwardEntry(number: number, changes: Partial<DecisionEntry> = {}): DecisionEntry {
  return {
    kind: "decision",
    requestId: `request-${number}`,
    at: new Date(START_MS + number * 1_000).toISOString(),
    method: "GET",
    scheme: "https",
    host: "api.acme.dev",
    path: `/orders/${number}`,
    client: { ip: "10.0.0.7" },
    route: "orders",
    decision: "forward",
    status: 200,
    token: { issuer: "okta", subject: "alice", id: "k3yedhash", expiresAt: "2026-01-05T11:00:00Z" },
    claims: { sub: "alice" },
    policies: [{ name: "staff", verdict: "allow", ms: 0.1, shadow: false }],
    ms: 1.5,
    ...changes,
  };
}

export function denyEntry(number: number, changes: Partial<DecisionEntry> = {}): DecisionEntry {
  return forwardEntry(number, {
    decision: "deny",
    status: 403,
    code: "policy_denied",
    reason: "role_missing",
    policy: "staff",
    policies: [{ name: "staff", verdict: "deny", code: "role_missing", ms: 0.1, shadow: false }],
    ...changes,
  });
}

export function actEntry(number: number): ActEntry {
  const at = new Date(START_MS + number * 1_000).toISOString();
  return { kind: "act", at, actor: "cli", act: "revoke", target: "subject okta alice" };
}
