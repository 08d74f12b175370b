/**
 * The fingerprint of RSA keys made by a faulty chip library (CVE-2017-15361, "ROCA"): their
 * primes are powers of 65537 modulo many small primes, and so is the modulus. Such keys can
 * be factored.
 *
 * @module
 */

const GENERATOR = 65537;
const PRIMES =
  "3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71 73 79 83 89 97 101 103 107 109 113 127 131 137 139 149 151 157 163 167"
    .split(" ")
    .map(Number);

/** Some other key looks the same about once in 2^27. */
export function hasRocaFingerprint(modulus: bigint): boolean {
  return PRIMES.every((prime) => isPower(Number(modulus % BigInt(prime)), prime));
}

function isPower(residue: number, prime: number): boolean {
  let power = 1;
  do {
    if (power === residue) return true;
    power = (power * GENERATOR) % prime;
  } while (power !== 1);
  return false;
}
