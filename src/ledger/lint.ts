/**
 * What is unhealthy in a token, told once, when it is first seen. From its claims and times
 * alone: nobody is refused for it. `lint-advice.ts` says what to change, and where.
 *
 * @module
 */
import type { Token } from "../types.ts";

export type LintCode =
  | "audience_broad" // good at many places: whoever gets it there can come here with it
  | "clock_ahead" // issued in our future: its issuer's clock, or ours, is wrong
  | "groups_overage" // too many groups for the token: it has none, and policies see none
  | "iat_missing" // nobody can tell whether it was issued before its subject was revoked
  | "jti_missing" // it cannot be told from others at its issuer, nor revoked there by id
  | "key_retiring" // signed with a key that its issuer no longer signs with
  | "lifetime_long" // more than a day
  | "rsa_2048"; // under 3072 bits: NIST SP 800-57 ends such keys with 2030

const LONGEST_LIFETIME_SECONDS = 24 * 3_600;
/** With the issuer's own `userinfo` and one neighbour it is still this application's. */
const MOST_AUDIENCES = 3;
/** Less is rounding: `iat` is in whole seconds, and some round up. */
const SKEW_MS = 1_000;
const RSA_BITS = 3_072;

/** @returns Sorted; the same list for the same codes. */
export function lintToken(token: Token, nowMs: number): readonly string[] {
  const { claims, issuedAt, expiresAt, audience, signedBy } = token;
  const found: LintCode[] = [];
  if (claims.hasgroups === true || namesGroups(claims._claim_names)) found.push("groups_overage");
  // The rest is about what is sent with each request: of a session that is our own cookie.
  if (token.session === undefined) {
    const begins = issuedAt ?? nowMs / 1_000;
    if (expiresAt - begins > LONGEST_LIFETIME_SECONDS) found.push("lifetime_long");
    if (token.id === undefined || token.id === "") found.push("jti_missing");
    if (issuedAt === undefined) found.push("iat_missing");
    else if (issuedAt * 1_000 > nowMs + SKEW_MS) found.push("clock_ahead");
    if (audience.length > MOST_AUDIENCES || audience.some((one) => one.includes("*"))) {
      found.push("audience_broad");
    }
    if ((signedBy?.rsaBits ?? RSA_BITS) < RSA_BITS) found.push("rsa_2048");
  }
  return listOf(found.sort());
}

/** Microsoft's pointer to where the groups are (OpenID Connect Core §5.6.2). */
function namesGroups(names: unknown): boolean {
  return typeof names === "object" && names !== null && Object.hasOwn(names, "groups");
}

export function addLint(codes: readonly string[], code: LintCode): readonly string[] {
  return codes.includes(code) ? codes : listOf([...codes, code].sort());
}

/** Most tokens have the same few lists: each is kept once, not once for each token. */
const lists = new Map<string, readonly string[]>();

function listOf(codes: readonly string[]): readonly string[] {
  const key = codes.join(" ");
  const known = lists.get(key);
  if (known !== undefined) return known;
  lists.set(key, Object.freeze(codes));
  return codes;
}
