/**
 * For a denial: what would have let the request pass, as far as configuration, codes and schemas
 * tell. It promises no more than the next step.
 *
 * @module
 */
import type {
  CredentialPlace,
  IssuerConfig,
  PolicyRef,
  RouteConfig,
} from "../../config/resolved.ts";
import type { LoadedPolicy } from "../../policy/load.ts";
import { expectedWords } from "../../policy/schema.ts";
import type { Challenge, Claims, PolicyOutcome } from "../../types.ts";
import { placeWord } from "./request.ts";

type AdviceFacts = {
  readonly denial: {
    readonly code: string;
    readonly reason?: string | undefined;
    readonly detail?: string | undefined;
    readonly policy?: string | undefined;
    readonly challenge?: Challenge | undefined;
    readonly allow?: readonly string[] | undefined;
  };
  readonly route?: RouteConfig | undefined;
  /** That the token is of, or says it is of. */
  readonly issuer?: IssuerConfig | undefined;
  readonly policies: readonly PolicyOutcome[];
  readonly policyOf: (name: string) => LoadedPolicy | undefined;
  /** Of a token that was verified, where all of them are known. */
  readonly claims?: Claims | undefined;
};

export function adviceOn(facts: AdviceFacts): readonly string[] {
  const { denial, route, issuer } = facts;
  switch (denial.code) {
    case "route_not_found":
      return ["a route for this host and path"];
    case "method_not_allowed":
      return denial.allow === undefined ? [] : [`one of the methods ${denial.allow.join(", ")}`];
    case "token_missing":
      return route === undefined ? [] : [`a token in ${placesOf(route.credentials)}`];
    case "token_expired":
      return ["a newer token"];
    case "token_invalid":
      return tokenAdvice(denial.reason, issuer, route);
    case "keys_unavailable":
      return ["the issuer's keys, which could not be read"];
    case "token_revoked":
      return ["a sign-in after the revocation, or claimgate unrevoke"];
    case "cross_site":
      return ["a request from a page of the same origin, or crossSite: allow on the route"];
    case "store_unavailable":
      return ["a store that answers"];
    case "insufficient_scope":
    case "step_up_required":
      return challengeAdvice(denial.challenge);
    case "policy_fault":
      return [`a mended policy ${denial.policy ?? ""}`.trimEnd()];
    case "policy_denied":
      return policyAdvice(facts);
    default:
      return [];
  }
}

function placesOf(places: readonly CredentialPlace[]): string {
  return places.map(placeWord).join(", or ");
}

function tokenAdvice(
  reason: string | undefined,
  issuer: IssuerConfig | undefined,
  route: RouteConfig | undefined,
): readonly string[] {
  switch (reason) {
    case "issuer_unknown":
    case "issuer_refused":
      return route === undefined ? [] : [`a token of ${route.issuers.join(" or ")}`];
    case "audience_mismatch":
    case "audience_refused":
      return issuer === undefined ? [] : [`aud with one of: ${issuer.audiences.join(", ")}`];
    case "algorithm_refused":
      return issuer === undefined ? [] : [`alg one of: ${issuer.algorithms.join(", ")}`];
    case "type_refused":
      return issuer?.tokenTypes === undefined
        ? []
        : [`typ one of: ${issuer.tokenTypes.join(", ")}`];
    case "claim_missing":
      return issuer === undefined ? [] : [`the claims ${issuer.requiredClaims.join(", ")}`];
    case "lifetime_exceeded":
      return issuer === undefined
        ? []
        : [`a lifetime of ${issuer.maxLifetimeSeconds} s at most (maxLifetime)`];
    case "not_yet_valid":
    case "issued_in_future":
      return ["the same token later"];
    default:
      return [];
  }
}

function challengeAdvice(challenge: Challenge | undefined): readonly string[] {
  if (challenge === undefined) return [];
  const { acr, maxAge, scope } = challenge;
  return [
    ...(scope === undefined ? [] : [`the scopes ${scope.join(", ")}`]),
    ...(acr === undefined ? [] : [`a sign-in with acr ${acr.join(" or ")}`]),
    ...(maxAge === undefined ? [] : [`a sign-in of the last ${maxAge} s`]),
  ];
}

const MOST_MISFITS = 3;

function policyAdvice(facts: AdviceFacts): readonly string[] {
  const { denial, policies, policyOf, claims, route } = facts;
  const { policy, reason, detail } = denial;
  if (policy === undefined) return detail === undefined ? [] : [`another value: ${detail}`];
  const others = alternativesTo(policy, route?.policies ?? []).flatMap((name) => {
    const outcome = policies.find((one) => one.name === name && !one.shadow);
    return outcome?.detail === undefined ? [] : [`or ${name}: ${outcome.detail}`];
  });
  const schema = policyOf(policy)?.claimsSchema;
  if (reason === "claims_mismatch" && schema !== undefined && claims !== undefined) {
    const errors = [...schema.errors(claims)];
    // Of one claim the first error says what is wanted; the next ones follow from it.
    const misfits = errors
      .filter(({ path }, at) => errors.findIndex((one) => one.path === path) === at)
      .slice(0, MOST_MISFITS);
    return [
      ...misfits.map((error) => `claim ${error.path.slice(1)}: ${expectedWords(error)}`),
      ...others,
    ];
  }
  const words = detail ?? "it says no more than its code";
  return [`${policy}: ${words}`, ...others];
}

/** The policies beside it in an `any`, of which one would have been enough. */
function alternativesTo(policy: string, refs: readonly PolicyRef[]): readonly string[] {
  for (const ref of refs) {
    if (ref.kind !== "any" && ref.kind !== "all") continue;
    const names = ref.of.flatMap((member) => (member.kind === "policy" ? [member.name] : []));
    if (ref.kind === "any" && names.includes(policy)) return names.filter((one) => one !== policy);
    const within = alternativesTo(policy, ref.of);
    if (within.length > 0) return within;
  }
  return [];
}
