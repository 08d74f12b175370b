/**
 * The checks of a token in the order in which they are made, up to the one that failed. Which
 * that was, the refusal's own reason tells: nothing is checked here a second time.
 *
 * @module
 */
import type { RefusalReason } from "../../identity/refusal.ts";
import type { Check } from "./explanation.ts";

/** Each check, in order, with what it means to have passed it. */
const PASSED = {
  form: "three segments of base64url; header and payload are JSON objects",
  encryption: "opened with the issuer's decryptionKey",
  introspection: "the issuer says that it is an active bearer token",
  issuer: "iss is an issuer that this route trusts",
  "header members": "none that would choose its own key",
  algorithm: "one that the issuer may use",
  kid: "a string, or absent",
  type: "one that the issuer may use",
  keys: "the issuer's are at hand",
  key: "one fits kid and alg",
  signature: "good",
  audience: "one of the issuer's audiences",
  subject: "a string, or absent",
  id: "a string, or absent",
  times: "exp is there, and all are numbers",
  "required claims": "all there",
  "issued at": "not in the future",
  "not before": "not in the future",
  lifetime: "within maxLifetime",
  expiry: "not reached",
} as const;

type CheckName = keyof typeof PASSED;

const ORDER = Object.keys(PASSED) as readonly CheckName[];

const FAILED_AT = {
  token_too_long: "form",
  characters_refused: "form",
  segments_refused: "form",
  encoding_refused: "form",
  utf8_refused: "form",
  json_refused: "form",
  member_duplicate: "form",
  nesting_refused: "form",
  encryption_required: "encryption",
  encryption_unexpected: "encryption",
  encryption_header_refused: "encryption",
  encryption_algorithm_refused: "encryption",
  content_type_refused: "encryption",
  decryption_failed: "encryption",
  token_inactive: "introspection",
  token_kind_refused: "introspection",
  introspection_unavailable: "introspection",
  introspection_busy: "introspection",
  nesting_encrypted: "encryption",
  issuer_refused: "issuer",
  issuer_unknown: "issuer",
  header_member_refused: "header members",
  algorithm_refused: "algorithm",
  kid_refused: "kid",
  type_refused: "type",
  keys_unavailable: "keys",
  key_unknown: "key",
  key_unfit: "key",
  key_ambiguous: "key",
  signature_invalid: "signature",
  audience_refused: "audience",
  audience_mismatch: "audience",
  subject_refused: "subject",
  id_refused: "id",
  time_refused: "times",
  claim_missing: "required claims",
  issued_in_future: "issued at",
  not_yet_valid: "not before",
  lifetime_exceeded: "lifetime",
  token_expired: "expiry",
} as const satisfies Record<RefusalReason, CheckName>;

/** What `--claims` has no part in. */
const OF_THE_BYTES: ReadonlySet<CheckName> = new Set([
  "form",
  "encryption",
  "header members",
  "algorithm",
  "kid",
  "type",
  "keys",
  "key",
  "signature",
]);

/** `opaque`: its issuer was asked about it. */
type TokenKind = "signed" | "encrypted" | "opaque" | "claims";

type TokenFacts = {
  readonly kind: TokenKind;
  /** The name in the configuration of the issuer that was chosen. */
  readonly issuer?: string | undefined;
  /** Absent where the token holds. */
  readonly refusal?: { readonly reason: string; readonly detail: string };
};

/** @returns The checks up to the one that failed; all where none did. */
export function tokenChecks({ kind, issuer, refusal }: TokenFacts): readonly Check[] {
  const failedAt = refusal && failedCheck(refusal.reason);
  const checks: Check[] = [];
  for (const name of namesFor(kind, failedAt)) {
    if (name === failedAt && refusal !== undefined) {
      return [...checks, { name, ok: false, detail: `${refusal.reason}: ${refusal.detail}` }];
    }
    const detail = name === "issuer" && issuer !== undefined ? issuer : PASSED[name];
    checks.push({ name, ok: true, detail });
  }
  if (refusal === undefined) return checks;
  return [{ name: "token", ok: false, detail: `${refusal.reason}: ${refusal.detail}` }];
}

/** Whether what the token says was known to be the issuer's word before it failed. */
export function isVerified(reason: string | undefined): boolean {
  const failedAt = reason === undefined ? undefined : failedCheck(reason);
  if (reason === undefined) return true;
  return failedAt !== undefined && ORDER.indexOf(failedAt) > ORDER.indexOf("signature");
}

function failedCheck(reason: string): CheckName | undefined {
  return Object.hasOwn(FAILED_AT, reason) ? FAILED_AT[reason as RefusalReason] : undefined;
}

function namesFor(kind: TokenKind, failedAt: CheckName | undefined): readonly CheckName[] {
  const ofWords = ORDER.filter((name) => !OF_THE_BYTES.has(name));
  if (kind === "opaque" || failedAt === "introspection") return ofWords;
  if (kind === "claims") return ofWords.filter((name) => name !== "introspection");
  const ofJwt = ORDER.filter((name) => name !== "introspection");
  if (kind === "encrypted") return ofJwt;
  const plain = ofJwt.filter((name) => name !== "encryption");
  if (failedAt !== "encryption") return plain;
  // Of a token that is not encrypted, the issuer tells whether it should be.
  return ["form", "issuer", "encryption"];
}
