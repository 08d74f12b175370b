/**
 * From a payload that is known to be the issuer's to a token: its claims, what is required of
 * them, its times. The one place for these rules, whether a signature stands behind the
 * payload or somebody asks what would become of it.
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { type Ok, ok, type Result } from "../result.ts";
import type { Refusal, SigningKey, Token } from "../types.ts";
import { checkClaims, checkTimes, type StandardClaims, type TokenTimes } from "./claim-rules.ts";
import { mapClaims } from "./map-claims.ts";
import { refuse } from "./refusal.ts";
import { type JsonObject, own } from "./strict-json.ts";

/** A token that holds at some moments, which `judge` tells. */
export type AcceptedToken = {
  /** The same object for each request that brings it. */
  readonly accepted: Ok<Token>;
  readonly times: TokenTimes;
};

/** What tells a real token from one that was made up. */
type Evidence = Pick<Token, "digest"> & { readonly signedBy?: SigningKey | undefined };

/** @param evidence Of the credential; nothing where there is none. */
export function acceptPayload(
  payload: JsonObject,
  config: IssuerConfig,
  evidence: Evidence,
): Result<AcceptedToken, Refusal> {
  const standard = checkClaims(payload, config);
  if (!standard.ok) return refuse(standard.error);
  const accepted = toToken(payload, standard.value, config, evidence);
  const missing = config.requiredClaims.find(
    (name) => (own(accepted.claims, name) ?? null) === null,
  );
  if (missing !== undefined)
    return refuse("claim_missing", `the required claim ${missing} is missing`);
  return ok({ accepted: ok(accepted), times: standard.value.times });
}

/** What depends on the moment; everything else about the token is settled. */
export function judge(
  { accepted, times }: AcceptedToken,
  config: IssuerConfig,
  nowMs: number,
): Result<Token, Refusal> {
  const reason = checkTimes(times, config, nowMs / 1000);
  return reason === undefined ? accepted : refuse(reason);
}

function toToken(
  payload: JsonObject,
  standard: StandardClaims,
  config: IssuerConfig,
  { digest, signedBy }: Evidence,
): Token {
  const { subject = "", id, audience, times } = standard;
  const claims = mapClaims(payload, config.claims);
  const scopes = own(claims, "scopes");
  return Object.freeze({
    issuer: config.issuer,
    issuerName: config.name,
    subject,
    audience: Object.freeze(audience),
    ...(id !== undefined && { id }),
    ...(times.issuedAt !== undefined && { issuedAt: times.issuedAt }),
    expiresAt: times.expiresAt,
    scopes: Array.isArray(scopes) ? scopes : [],
    claims,
    ...(digest !== undefined && { digest }),
    ...(signedBy !== undefined && { signedBy }),
  });
}
