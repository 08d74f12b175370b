/**
 * The signature algorithms that may ever be accepted: asymmetric, by RFC 7518 §3.1 and
 * RFC 8037 §3.1. What is not in this table does not exist.
 *
 * @module
 */

type Algorithm = {
  readonly name: string;
  readonly kty: "RSA" | "EC" | "OKP";
  /** Where a curve belongs to the algorithm. */
  readonly crv?: string;
};

const ALGORITHMS: readonly Algorithm[] = [
  { name: "RS256", kty: "RSA" },
  { name: "RS384", kty: "RSA" },
  { name: "RS512", kty: "RSA" },
  { name: "PS256", kty: "RSA" },
  { name: "PS384", kty: "RSA" },
  { name: "PS512", kty: "RSA" },
  { name: "ES256", kty: "EC", crv: "P-256" },
  { name: "ES384", kty: "EC", crv: "P-384" },
  { name: "ES512", kty: "EC", crv: "P-521" },
  { name: "EdDSA", kty: "OKP", crv: "Ed25519" },
];

/** @returns The algorithm's one name (RFC 9864: `Ed25519` is `EdDSA`), or `undefined`. */
export function canonicalAlgorithm(name: unknown): string | undefined {
  const wanted = name === "Ed25519" ? "EdDSA" : name;
  return ALGORITHMS.find((algorithm) => algorithm.name === wanted)?.name;
}

/** The algorithms that a kind of key can be used with; none for what is unknown here. */
export function algorithmsFor(kty: unknown, crv: unknown): readonly string[] {
  return ALGORITHMS.filter(
    (algorithm) => algorithm.kty === kty && (algorithm.crv === undefined || algorithm.crv === crv),
  ).map(({ name }) => name);
}
