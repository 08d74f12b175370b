/**
 * The keys of one issuer that are in force together, and how a token's header selects one.
 *
 * @module
 */
import type { CryptoKey } from "jose";
import { err, ok, type Result } from "../result.ts";
import type { SignedHeader } from "./header-rules.ts";
import { isObject, own } from "./strict-json.ts";
import { importVerificationKey, type VerificationKey } from "./verification-key.ts";

/** Immutable; whoever has verified with it compares by identity whether it is still in force. */
export type KeySet = {
  readonly keys: readonly VerificationKey[];
  /** Whether the keys have no names by their nature (a PEM file) and so fit any `kid`. */
  readonly fits: "kid" | "any";
};

export type ImportedKeys = {
  readonly set: KeySet;
  /** One line for each key that was left out. */
  readonly leftOut: readonly string[];
};

/** More than this in one answer is refused whole. */
const MOST_KEYS = 100;

/**
 * @param document A JWK Set (RFC 7517 §5) as parsed.
 * @returns The keys that can check signatures; bad ones are left out, never a failure of the
 *   rest. An error where the document is none, has too many keys, or no usable one.
 */
export async function importKeySet(
  document: unknown,
  fits: KeySet["fits"] = "kid",
): Promise<Result<ImportedKeys, string>> {
  const listed = isObject(document) ? own(document, "keys") : undefined;
  if (!Array.isArray(listed)) return err("not a JWK Set");
  if (listed.length > MOST_KEYS) return err(`more than ${MOST_KEYS} keys`);
  const keys: VerificationKey[] = [];
  const leftOut: string[] = [];
  for (const [index, value] of listed.entries()) {
    const key = await importVerificationKey(value);
    if (key.ok) keys.push(key.value);
    else leftOut.push(`key ${index + 1} of ${listed.length} is left out: ${key.error}`);
  }
  if (keys.length > 0) return ok({ set: { keys, fits }, leftOut });
  // An answer without a usable key is a failure, so that it cannot wipe good ones.
  return err(["no usable key", ...leftOut.slice(0, 3)].join("; "));
}

/** Whether both hold the same keys, in any order: then cached tokens stay good. */
export function isSameSet(a: KeySet, b: KeySet): boolean {
  const spell = ({ keys }: KeySet) => keys.map(({ jwk }) => JSON.stringify(jwk)).sort();
  return a.fits === b.fits && Bun.deepEquals(spell(a), spell(b));
}

/**
 * Among the keys that fit `kid` and `alg`, exactly one must remain, also without a `kid`.
 *
 * @returns `key_unknown` where other keys might help.
 */
export function selectKey(
  { keys, fits }: KeySet,
  { kid, algorithm }: SignedHeader,
): Result<CryptoKey, "key_unknown" | "key_unfit" | "key_ambiguous"> {
  const named = kid === undefined || fits === "any" ? keys : keys.filter((key) => key.kid === kid);
  const fitting = named
    .map((key) => key.byAlgorithm.get(algorithm))
    .filter((key) => key !== undefined);
  const [key, ...others] = fitting;
  if (others.length > 0) return err("key_ambiguous");
  if (key !== undefined) return ok(key);
  return err(named.length === 0 || kid === undefined ? "key_unknown" : "key_unfit");
}
