/**
 * Why a credential is refused, as the operator reads it. The client gets the code alone:
 * one for all causes but expiry and missing keys.
 *
 * @module
 */
import { type Err, err } from "../result.ts";
import type { Refusal } from "../types.ts";

/** Each reason with its line. None says anything of the token but what is wrong with it. */
const DETAILS = {
  // Read, before anything is believed
  token_too_long: "longer than 16 KB",
  characters_refused: "empty, or holds what is not a b64token character (RFC 6750 §2.1)",
  segments_refused: "neither three segments nor five",
  encoding_refused: "a segment is not canonical base64url",
  utf8_refused: "header or payload is not UTF-8, or begins with a BOM",
  json_refused: "header or payload is not a JSON object",
  member_duplicate: "header or payload names a member twice",
  nesting_refused: "header or payload is nested too deeply",
  // Header
  header_member_refused: "the header has jwk, jku, x5u, x5c, crit, b64 or zip",
  algorithm_refused: "alg is missing, or not one that the issuer may use",
  kid_refused: "kid is not a string",
  type_refused: "typ is not one that the issuer may use",
  // Issuer and key
  issuer_refused: "iss is missing or not a string",
  issuer_unknown: "iss is none of the issuers that are trusted here",
  encryption_required: "the issuer has a decryptionKey, and the token is not encrypted",
  keys_unavailable: "no key of the issuer is at hand",
  key_unknown: "no key of the issuer has this kid",
  key_unfit: "the key with this kid is not for this alg",
  key_ambiguous: "several keys of the issuer fit",
  signature_invalid: "the signature does not fit the key",
  // Encryption
  encryption_unexpected: "encrypted, and no issuer that is trusted here has a decryptionKey",
  encryption_header_refused: "the encryption header has a member that is refused",
  encryption_algorithm_refused: "alg or enc of the encryption is not accepted",
  content_type_refused: "cty of the encryption is not JWT",
  decryption_failed: "no decryptionKey opens the token",
  nesting_encrypted: "the encrypted content is not a signed token",
  // Opaque tokens, which the issuer is asked about (RFC 7662)
  token_inactive: "the issuer says that it is not active",
  token_kind_refused: "active, but no bearer token, or one made to get others with",
  introspection_unavailable: "the issuer's introspection endpoint is of no use",
  introspection_busy: "too many tokens that are not known are being asked about",
  // Claims
  audience_refused: "aud is missing, or neither a string nor a list of strings",
  audience_mismatch: "none of the issuer's audiences is in aud",
  subject_refused: "sub is not a string of Unicode characters",
  id_refused: "jti is not a string of Unicode characters",
  time_refused: "exp is missing, or exp, nbf or iat is not a finite number",
  claim_missing: "a required claim is missing",
  // Times
  issued_in_future: "iat is in the future",
  not_yet_valid: "nbf is in the future",
  lifetime_exceeded: "lives longer than maxLifetime",
  token_expired: "exp has passed",
} as const;

export type RefusalReason = keyof typeof DETAILS;

/** What the client may tell apart. */
const CODES: Partial<Record<RefusalReason, Refusal["code"]>> = {
  keys_unavailable: "keys_unavailable",
  introspection_unavailable: "keys_unavailable",
  introspection_busy: "keys_unavailable",
  token_expired: "token_expired",
};

/**
 * What another moment or other keys may turn into a token. Everything else fails for good
 * while the configuration is the same.
 */
const PASSING: ReadonlySet<string> = new Set<RefusalReason>([
  "keys_unavailable",
  "token_inactive",
  "introspection_unavailable",
  "introspection_busy",
  "key_unknown",
  "key_unfit",
  "key_ambiguous",
  "signature_invalid",
  "issued_in_future",
  "not_yet_valid",
  "lifetime_exceeded",
  "token_expired",
]);

/** @param detail Instead of the reason's own line; may name the configuration, never the token. */
export function refuse(reason: RefusalReason, detail: string = DETAILS[reason]): Err<Refusal> {
  return err({ code: CODES[reason] ?? "token_invalid", reason, detail });
}

/** Whether neither time nor keys can mend the failure. */
export function isLasting({ reason }: Refusal): boolean {
  return !PASSING.has(reason);
}
