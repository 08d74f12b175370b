/**
 * What a signed token's header may say (RFC 7515 §4.1, RFC 8725 §3, RFC 9068 §4).
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { err, ok, type Result } from "../result.ts";
import { canonicalAlgorithm } from "./algorithms.ts";
import type { RefusalReason } from "./refusal.ts";
import { type JsonObject, own } from "./strict-json.ts";

/** Members that would let the token choose its own key, or change what is signed. */
const REFUSED_MEMBERS: readonly string[] = [
  "jwk", // RFC 7515 §4.1.3: a key of the sender's choice
  "jku", // RFC 7515 §4.1.2: an address of the sender's choice
  "x5u", // RFC 7515 §4.1.5: the same, for a certificate
  "x5c", // RFC 7515 §4.1.6: a certificate of the sender's choice
  "crit", // RFC 7515 §4.1.11: extensions, none of which are understood here
  "b64", // RFC 7797 §3: another signing input
  "zip", // RFC 7516 §4.1.3: never decompressed
];

/** RFC 9068 §2.1 and RFC 7519 §5.1, or none at all: where the owner wrote no `tokenTypes`. */
const USUAL_TYPES: readonly string[] = ["at+jwt", "jwt"];

/** RFC 2045 §5.1 token characters: what has others is no media type. */
const MEDIA_TYPE = /^[A-Za-z0-9!#$&^_.+/-]+$/;

export type SignedHeader = {
  /** `EdDSA` where the token says `Ed25519`. */
  readonly algorithm: string;
  readonly kid: string | undefined;
};

/** @returns What selects the key, once everything else in the header is as it must be. */
export function checkHeader(
  header: JsonObject,
  config: Pick<IssuerConfig, "algorithms" | "tokenTypes">,
): Result<SignedHeader, RefusalReason> {
  if (hasRefusedMember(header, REFUSED_MEMBERS)) return err("header_member_refused");
  const algorithm = canonicalAlgorithm(own(header, "alg"));
  if (algorithm === undefined || !allows(config.algorithms, algorithm)) {
    return err("algorithm_refused");
  }
  const kid = own(header, "kid");
  if (Object.hasOwn(header, "kid") && typeof kid !== "string") return err("kid_refused");
  if (!allowsType(header, config.tokenTypes)) return err("type_refused");
  return ok({ algorithm, kid: typeof kid === "string" ? kid : undefined });
}

/** Whether any of the members is there, whatever its value. */
export function hasRefusedMember(header: JsonObject, members: readonly string[]): boolean {
  return members.some((name) => Object.hasOwn(header, name));
}

/**
 * A media type without case and without `application/` (RFC 7515 §4.1.9).
 *
 * @returns `undefined` for an empty one, or what is no media type.
 */
export function canonicalType(value: unknown): string | undefined {
  if (typeof value !== "string" || !MEDIA_TYPE.test(value)) return undefined;
  const type = value.toLowerCase().replace(/^application\//, "");
  return type === "" ? undefined : type;
}

function allows(algorithms: readonly string[], algorithm: string): boolean {
  return algorithms.some((allowed) => canonicalAlgorithm(allowed) === algorithm);
}

function allowsType(header: JsonObject, wanted: readonly string[] | undefined): boolean {
  if (!Object.hasOwn(header, "typ")) return wanted === undefined;
  const type = canonicalType(own(header, "typ"));
  return type !== undefined && (wanted ?? USUAL_TYPES).includes(type);
}
