/**
 * Asks a route's policies and turns their verdict into the gate's own terms.
 *
 * @module
 */
import { type Evaluation, evaluate } from "../policy/evaluate.ts";
import type { Verdict } from "../policy/verdict.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial, Inquiry, PolicyOutcome, RateLimit, Token } from "../types.ts";
import type { Route, Rules } from "./site.ts";

type Authorization = {
  readonly outcomes: readonly PolicyOutcome[];
  readonly result: Result<Obligations, Denial>;
};

/** What policies that let a request pass ask for besides. */
type Obligations = {
  readonly headers: Readonly<Record<string, string>>;
  readonly rateLimits?: readonly RateLimit[] | undefined;
};

/** No policy at all: only `anyAuthenticated` routes come this far without one. */
const ANY_AUTHENTICATED: Authorization = { outcomes: [], result: ok({ headers: {} }) };
const UNGUARDED: Authorization = {
  outcomes: [],
  result: err({ status: 500, code: "internal_fault", reason: "route_unguarded" }),
};

/** @returns At once, unless a policy is asynchronous. */
export function authorize(
  rules: Rules,
  route: Route,
  token: Token,
  inquiry: Inquiry,
): Authorization | Promise<Authorization> {
  if (route.program === undefined) {
    return route.config.anyAuthenticated ? ANY_AUTHENTICATED : UNGUARDED;
  }
  const { historyOf } = rules;
  const input = {
    token,
    inquiry,
    route: route.config.name,
    ...(historyOf && { history: () => historyOf(token) }),
  };
  const answer = evaluate(route.program, input, rules.config.policyTimeoutMs);
  return answer instanceof Promise ? answer.then(concluded) : concluded(answer);
}

function concluded({ verdict, outcomes }: Evaluation): Authorization {
  return { outcomes, result: inDenials(verdict) };
}

/** What a client may know of a verdict is its status and code; the rest is for the operator. */
function inDenials(verdict: Verdict): Result<Obligations, Denial> {
  switch (verdict.kind) {
    case "allow":
      return ok(verdict);
    case "deny": {
      const { policy, code: reason, detail, revoke } = verdict;
      const denial = { status: 403, code: "policy_denied", reason, policy } as const;
      const extra = { ...(detail !== undefined && { detail }), ...(revoke && { revoke }) };
      return err({ ...denial, ...extra });
    }
    case "challenge": {
      const { policy, challenge } = verdict;
      return challenge.scope === undefined
        ? err({ status: 401, code: "step_up_required", reason: "challenge", policy, challenge })
        : err({ status: 403, code: "insufficient_scope", reason: "challenge", policy, challenge });
    }
    case "fault": {
      const { policy, code: reason, detail, stack } = verdict;
      const denial = { status: 403, code: "policy_fault", reason, policy, detail } as const;
      return err(stack === undefined ? denial : { ...denial, stack });
    }
  }
}
