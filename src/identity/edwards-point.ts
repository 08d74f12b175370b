/**
 * Whether 32 bytes are a point of the curve of Ed25519. Importing a key does not ask.
 *
 * @module
 */

const P = 2n ** 255n - 19n;
const SIGN_BIT = 1n << 255n;
/** -121665/121666 mod p: RFC 8032 §5.1. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/** @see https://www.rfc-editor.org/rfc/rfc8032#section-5.1.3 */
export function isEdwardsPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const encoded = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
  const y = encoded & (SIGN_BIT - 1n);
  if (y >= P) return false;
  const u = y * y - 1n;
  const v = D * y * y + 1n;
  // x² = u/v has a root exactly when u·v is a square, as v is never zero. By Euler's criterion.
  const square = (((u * v) % P) + P) % P;
  if (square === 0n) return (encoded & SIGN_BIT) === 0n;
  return power(square, (P - 1n) / 2n) === 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let factor = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * factor) % P;
    factor = (factor * factor) % P;
  }
  return result;
}
