/**
 * Tells one token from all others without keeping it.
 *
 * @module
 */

/**
 * The SHA-256 of what cannot be changed without making the token another or a bad one. Of a
 * signed token that is all before the signature: an ECDSA signature has a second form that is as
 * good as the first (s and n − s), so whoever holds a token could change its last part and be
 * taken for somebody else. An encrypted token counts whole.
 *
 * @param text A compact serialization; whether it is a good one makes no difference.
 * @returns 43 characters of base64url.
 */
export function digestToken(text: string): string {
  const isSigned = text.split(".", 4).length === 3;
  const lasting = isSigned ? text.slice(0, text.lastIndexOf(".")) : text;
  return new Bun.CryptoHasher("sha256").update(lasting).digest("base64url");
}
