/**
 * One public key from outside, fit for checking signatures or left out with the reason.
 * Only what was checked here is imported: no other member of the JWK takes part.
 *
 * @module
 */
import { type CryptoKey, importJWK, type JWK } from "jose";
import { err, ok, type Result } from "../result.ts";
import { algorithmsFor, canonicalAlgorithm } from "./algorithms.ts";
import { decodeBase64url } from "./base64url.ts";
import { isEdwardsPoint } from "./edwards-point.ts";
import { hasRocaFingerprint } from "./roca.ts";
import { isObject, type JsonObject, own } from "./strict-json.ts";

export type VerificationKey = {
  /** Absent in a JWKS that has none; such a key fits tokens without `kid` alone. */
  readonly kid?: string;
  /** Imported once for each algorithm that the key is for. */
  readonly byAlgorithm: ReadonlyMap<string, CryptoKey>;
  /** The members that were checked: equal for equal keys. */
  readonly jwk: JWK;
};

/** Members of private and symmetric keys: RFC 7518 §6.2.2, §6.3.2, §6.4. */
const SECRET_MEMBERS: readonly string[] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

const RSA_BITS_MIN = 2048;
/** What the cryptographic library takes at most. */
const RSA_BITS_MAX = 16_384;
/** The same; a larger exponent would only make each check slower. */
const RSA_EXPONENT_MAX = 2n ** 33n - 1n;

/** Bytes of a coordinate: RFC 7518 §6.2.1.2. */
const COORDINATE_BYTES: Readonly<Record<string, number>> = {
  "P-256": 32,
  "P-384": 48,
  "P-521": 66,
};

/** @returns The key, or why it is left out: a line without anything of the key. */
export async function importVerificationKey(
  value: unknown,
): Promise<Result<VerificationKey, string>> {
  if (!isObject(value)) return err("not an object");
  const purpose = checkPurpose(value);
  if (purpose !== undefined) return err(purpose);
  const material = readMaterial(value);
  if (!material.ok) return material;

  const fitting = algorithmsFor(material.value.kty, material.value.crv);
  const algorithms = Object.hasOwn(value, "alg")
    ? fitting.filter((name) => name === canonicalAlgorithm(own(value, "alg")))
    : fitting;
  if (algorithms.length === 0) return err("alg is no asymmetric signature algorithm for this key");

  const kid = own(value, "kid");
  if (Object.hasOwn(value, "kid") && typeof kid !== "string") return err("kid is not a string");
  const jwk: JWK = {
    ...material.value,
    ...(algorithms.length === 1 && { alg: algorithms[0] }),
    ...(typeof kid === "string" && { kid }),
  };
  const byAlgorithm = await importFor(algorithms, material.value);
  if (byAlgorithm === undefined) return err("not a key: off its curve, or damaged");
  return ok({ byAlgorithm, jwk, ...(typeof kid === "string" && { kid }) });
}

function checkPurpose(jwk: JsonObject): string | undefined {
  if (own(jwk, "kty") === "oct") return "symmetric";
  if (SECRET_MEMBERS.some((name) => Object.hasOwn(jwk, name))) return "private";
  if (Object.hasOwn(jwk, "use") && own(jwk, "use") !== "sig") return "use is not sig";
  if (!Object.hasOwn(jwk, "key_ops")) return undefined;
  const operations = own(jwk, "key_ops");
  return Array.isArray(operations) && operations.includes("verify")
    ? undefined
    : "key_ops has no verify";
}

type Material = { readonly kty: string; readonly crv?: string };

/** The members that are the key, each in its one spelling. */
function readMaterial(jwk: JsonObject): Result<Material & JWK, string> {
  switch (own(jwk, "kty")) {
    case "RSA":
      return readRsa(own(jwk, "n"), own(jwk, "e"));
    case "EC":
      return readEc(own(jwk, "crv"), own(jwk, "x"), own(jwk, "y"));
    case "OKP":
      return readEdwards(own(jwk, "crv"), own(jwk, "x"));
    default:
      return err("kty is unknown");
  }
}

function readRsa(n: unknown, e: unknown): Result<Material & JWK, string> {
  const modulus = readInteger(n);
  const exponent = readInteger(e);
  if (modulus === undefined || exponent === undefined) return err("n or e is not base64url");
  const bits = modulus.toString(2).length;
  if (bits < RSA_BITS_MIN) return err(`RSA under ${RSA_BITS_MIN} bits`);
  if (bits > RSA_BITS_MAX) return err(`RSA over ${RSA_BITS_MAX} bits`);
  const isExponentFit = exponent > 1n && exponent % 2n === 1n && exponent <= RSA_EXPONENT_MAX;
  if (!isExponentFit) return err("the RSA exponent is 1, even, or too large");
  if (modulus % 2n === 0n) return err("the RSA modulus is even");
  if (hasRocaFingerprint(modulus)) return err("RSA key of a faulty generator (CVE-2017-15361)");
  return ok({ kty: "RSA", n: encodeInteger(modulus), e: encodeInteger(exponent) });
}

/** Big-endian; some issuers write a leading zero byte, which RFC 7518 §6.3.1.1 forbids. */
function readInteger(value: unknown): bigint | undefined {
  const bytes = typeof value === "string" ? decodeBase64url(value) : undefined;
  if (bytes === undefined || bytes.length === 0 || bytes.length > RSA_BITS_MAX) return undefined;
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function encodeInteger(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex").toString("base64url");
}

function readEc(crv: unknown, x: unknown, y: unknown): Result<Material & JWK, string> {
  const bytes = typeof crv === "string" ? own(COORDINATE_BYTES, crv) : undefined;
  if (typeof crv !== "string" || bytes === undefined) return err("crv is unknown");
  if (typeof x !== "string" || typeof y !== "string") return err("x or y is missing");
  const hasLength = [x, y].every((text) => decodeBase64url(text)?.length === bytes);
  return hasLength ? ok({ kty: "EC", crv, x, y }) : err("x or y has another length than its curve");
}

function readEdwards(crv: unknown, x: unknown): Result<Material & JWK, string> {
  if (crv !== "Ed25519") return err("crv is unknown");
  const bytes = typeof x === "string" ? decodeBase64url(x) : undefined;
  if (typeof x !== "string" || bytes === undefined) return err("x is not base64url");
  return isEdwardsPoint(bytes) ? ok({ kty: "OKP", crv, x }) : err("off its curve");
}

async function importFor(
  algorithms: readonly string[],
  jwk: JWK,
): Promise<ReadonlyMap<string, CryptoKey> | undefined> {
  const byAlgorithm = new Map<string, CryptoKey>();
  try {
    for (const algorithm of algorithms) {
      const key = await importJWK(jwk, algorithm);
      if (key instanceof Uint8Array) return undefined;
      byAlgorithm.set(algorithm, key);
    }
    return byAlgorithm;
  } catch {
    return undefined; // The library does not say why; the caller says what it can be.
  }
}
