/**
 * What hygiene wants to know of the key that has signed a token.
 *
 * @module
 */
import type { CryptoKey } from "jose";
import type { SigningKey } from "../types.ts";
import type { SignedHeader } from "./header-rules.ts";
import { type KeySet, selectKey } from "./key-set.ts";

/** The same object for all tokens of a key. */
const known = new WeakMap<CryptoKey, SigningKey>();

/** @param set The one that the signature was checked with. */
export function signingKeyOf(set: KeySet, header: SignedHeader): SigningKey | undefined {
  const selected = selectKey(set, header);
  if (!selected.ok) return undefined;
  const before = known.get(selected.value);
  if (before !== undefined) return before;
  const { algorithm } = selected.value;
  // Of those that sign, RSA keys alone have one (Web Cryptography API §20.4).
  const bits = "modulusLength" in algorithm ? algorithm.modulusLength : undefined;
  const key: SigningKey = Object.freeze({
    ...(header.kid !== undefined && { kid: header.kid }),
    ...(typeof bits === "number" && { rsaBits: bits }),
  });
  known.set(selected.value, key);
  return key;
}
