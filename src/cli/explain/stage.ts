/**
 * At which step of its way a request was refused.
 *
 * @module
 */
import type { Denial } from "../../types.ts";

/** In the order of the way. */
export const STAGES = [
  "request",
  "limits",
  "route",
  "credential",
  "token",
  "revocation",
  "policies",
  "identity",
  "headers",
  "upstream",
] as const;

export type Stage = (typeof STAGES)[number];

/** Of 400s, whose code is one for all. */
const MALFORMED: Readonly<Record<string, Stage>> = {
  path_ambiguous: "route",
  path_readings_differ: "route",
  credential_twice: "credential",
  connection_option_invalid: "headers",
};

/** A denial as the gate made it, or as the audit has it. */
type Refused = Pick<Denial, "reason" | "policy"> & { readonly code: string };

/** One for each denial; what is of none of the steps counts as the request. */
export function stageOf({ code, reason = "", policy }: Refused): Stage {
  switch (code) {
    case "request_malformed":
      return MALFORMED[reason] ?? "request";
    case "route_not_found":
    case "method_not_allowed":
      return "route";
    case "token_missing":
    case "cross_site":
      return "credential";
    case "token_invalid":
      return reason.startsWith("credential_") ? "credential" : "token";
    case "token_expired":
    case "keys_unavailable":
      return "token";
    case "token_revoked":
      return "revocation";
    case "store_unavailable":
      if (reason === "session_unread") return "credential";
      if (reason === "assertion_unavailable") return "identity";
      return reason === "revocations_stale" ? "revocation" : "request";
    case "policy_denied":
      return policy === undefined && reason === "identity_unfit" ? "identity" : "policies";
    case "policy_fault":
    case "insufficient_scope":
    case "step_up_required":
      return "policies";
    case "rate_limited":
      return "limits";
    case "upstream_unreachable":
    case "upstream_timeout":
      return "upstream";
    default:
      return "request";
  }
}
