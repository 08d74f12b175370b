/**
 * Keys and the tokens they sign.
 *
 * @module
 */
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

export type SignerAlgorithm = "RS256" | "PS256" | "ES256" | "ES384" | "EdDSA";

export type Signer = {
  readonly alg: SignerAlgorithm;
  readonly kid: string;
  readonly privateKey: CryptoKey;
  /** With `kid`, `alg` and `use`, as an issuer would publish it. */
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
  /** Signs just these claims; `header` is laid over `alg`, `kid` and `typ: "JWT"`. */
  sign(claims: JWTPayload, header?: Readonly<Record<string, unknown>>): Promise<string>;
};

export async function createSigner(
  alg: SignerAlgorithm,
  kid = `${alg.toLowerCase()}-${crypto.randomUUID().slice(0, 8)}`,
): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const published = { kid, alg, use: "sig" };
  return {
    alg,
    kid,
    privateKey,
    publicJwk: { ...(await exportJWK(publicKey)), ...published },
    privateJwk: { ...(await exportJWK(privateKey)), ...published },
    sign: (claims, header = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg, kid, typ: "JWT", ...header }).sign(privateKey),
  };
}
