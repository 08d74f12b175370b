/**
 * base64url without padding (RFC 7515 §2), in the one spelling that each sequence of bytes has.
 *
 * @module
 */

/**
 * @returns `undefined` for padding, white space, other alphabets, a lone last character,
 *   or spare bits that are not zero.
 */
export function decodeBase64url(text: string): Uint8Array | undefined {
  // Buffer's decoder forgives all of these, so what it read must come out as it went in.
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}
