/**
 * A decision with everything that led to it, for people as a tree, for machines as JSON.
 *
 * @module
 */
import type { PolicyOutcome } from "../../types.ts";

export type Check = {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
};

export type ExplainedPolicy = {
  readonly outcome: PolicyOutcome;
  /** `claimgate.yaml:12`; several where the outcome may belong to any of them. */
  readonly places: readonly string[];
  /** `policies/staff.ts:9`, where the code stands that the policy answered with. */
  readonly source?: string | undefined;
  /** As JSON; absent where there are none. */
  readonly options?: string | undefined;
};

export type ExplainedUpstream = {
  readonly method: string;
  readonly target: string;
  /** Credentials are not in it. */
  readonly headers: Readonly<Record<string, string>>;
};

/** What the token says of itself. */
export type TokenContent = {
  /** Whether its issuer stands for that, nobody does, or it was made up. */
  readonly standing: "verified" | "unverified" | "given";
  readonly lines: readonly string[];
};

export type Explanation = {
  /** Of a recorded request. */
  readonly requestId?: string;
  /** `GET https://acme.dev/orders from 10.0.0.7 at …`; without its query. */
  readonly request: string;
  readonly decision: "forward" | "deny";
  /** `null` for a request that was not made and would go to the upstream. */
  readonly status: number | null;
  readonly code: string | null;
  readonly route: { readonly name: string; readonly file: string; readonly line: number } | null;
  /** Why this route, and the nearest other one. */
  readonly routeNotes: readonly string[];
  /** Where it was: `authorization`, `cookie session`; `null` where none was found, or looked for. */
  readonly credential: string | null;
  readonly checks: readonly Check[];
  readonly content?: TokenContent;
  readonly policies: readonly ExplainedPolicy[];
  /** Policies that the decision did not come to. */
  readonly notAsked: readonly string[];
  readonly upstream?: ExplainedUpstream;
  /** For a denial: what would have let the request pass. */
  readonly advice: readonly string[];
  readonly notes: readonly string[];
};

/** What `--json` prints: nothing but what the contract names. */
export function explanationJson(explanation: Explanation): object {
  const { requestId, decision, status, code, route, credential, checks, upstream } = explanation;
  return {
    ...(requestId !== undefined && { requestId }),
    decision,
    status,
    code,
    route,
    credential,
    checks,
    policies: explanation.policies.map(({ outcome }) => outcome),
    ...(upstream && { upstream }),
  };
}
