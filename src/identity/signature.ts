/**
 * The signature of a compact token, checked by jose.
 *
 * @module
 */
import { type CryptoKey, compactVerify } from "jose";

/**
 * @param text Three segments whose header has been checked: its `alg` chose the key.
 * @param key Bound to one algorithm when it was imported.
 */
export async function isSignedBy(text: string, key: CryptoKey): Promise<boolean> {
  try {
    await compactVerify(text, key);
    return true;
  } catch {
    return false; // jose throws for whatever is wrong, and none of it may pass.
  }
}
