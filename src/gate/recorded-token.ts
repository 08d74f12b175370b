/**
 * A token as far as the audit kept it.
 *
 * @module
 */
import type { DecisionEntry } from "../audit/entry.ts";
import type { IssuerConfig } from "../config/resolved.ts";
import type { Claims, Token } from "../types.ts";

type Recorded = NonNullable<DecisionEntry["token"]>;

/** @returns Claims that are frozen deeply; what was not kept is not there, see `lookout.ts`. */
export function recordedToken(
  entry: DecisionEntry,
  token: Recorded,
  issuer: Pick<IssuerConfig, "issuer">,
): Token {
  const claims = recordedClaims(entry, token, issuer);
  const { aud, jti } = claims;
  const issuedAt = token.issuedAt === undefined ? undefined : secondsOf(token.issuedAt);
  return {
    issuer: issuer.issuer,
    issuerName: token.issuer,
    subject: token.subject,
    audience: textsIn(aud),
    ...(typeof jti === "string" && { id: jti }),
    ...(issuedAt !== undefined && { issuedAt }),
    expiresAt: secondsOf(token.expiresAt),
    scopes: textsIn(claims.scopes),
    claims,
  };
}

/** What was kept as a claim, and what is known of the token besides. */
function recordedClaims(
  { claims = {} }: DecisionEntry,
  { subject, issuedAt, expiresAt }: Recorded,
  { issuer }: Pick<IssuerConfig, "issuer">,
): Claims {
  const known = {
    iss: issuer,
    exp: secondsOf(expiresAt),
    ...(subject !== "" && { sub: subject }),
    ...(issuedAt !== undefined && { iat: secondsOf(issuedAt) }),
  };
  return Object.fromEntries([...Object.entries(known), ...Object.entries(claims)]);
}

function secondsOf(at: string): number {
  return Date.parse(at) / 1_000;
}

function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}
