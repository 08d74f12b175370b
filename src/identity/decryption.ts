/**
 * Encrypted tokens: a signed token inside a JWE (RFC 7516, RFC 7519 §11.2), opened with the
 * issuer's decryptionKey.
 *
 * @module
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { compactDecrypt } from "jose";
import { GateError } from "../errors.ts";
import { err, ok, type Result } from "../result.ts";
import { canonicalType, hasRefusedMember } from "./header-rules.ts";
import type { RefusalReason } from "./refusal.ts";
import { isObject, type JsonObject, own } from "./strict-json.ts";

export type DecryptionKey = {
  readonly kid?: string;
  /** Those of ours that the key is for. */
  readonly algorithms: readonly string[];
  readonly key: KeyObject;
};

const RSA_ALGORITHMS: readonly string[] = ["RSA-OAEP-256"];
const ECDH_ALGORITHMS: readonly string[] = ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"];
const ENCRYPTIONS: readonly string[] = ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"];

/** RFC 7519 §5.2, and what RFC 9068 calls the signed token inside. */
const CONTENT_TYPES: readonly string[] = ["jwt", "at+jwt"];

const REFUSED_MEMBERS: readonly string[] = [
  "jwk", // RFC 7516 §4.1.5 and below: a key of the sender's choice
  "jku",
  "x5u",
  "x5c",
  "crit", // RFC 7516 §4.1.13: extensions, none of which are understood here
  "b64", // RFC 7797: has no meaning here
  "zip", // RFC 7516 §4.1.3: never decompressed
  "p2s", // RFC 7518 §4.8: PBES2 makes the receiver work as hard as the sender likes
  "p2c",
];

const RSA_BITS_MIN = 2048;
const CURVES: ReadonlySet<string | undefined> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/**
 * @param text A private JWK (JSON), or PKCS #8 PEM, which has no `kid`.
 * @throws GateError `config_invalid`, with nothing of the key in it.
 */
export function readDecryptionKey(text: string): DecryptionKey {
  const jwk = text.trim().startsWith("{") ? parseJwk(text) : undefined;
  const key = importPrivate(jwk ?? text);
  const kid = jwk === undefined ? undefined : own(jwk, "kid");
  const written = jwk === undefined ? undefined : own(jwk, "alg");
  const fitting = key === undefined ? [] : algorithmsOf(key);
  const algorithms = written === undefined ? fitting : fitting.filter((name) => name === written);
  if (key === undefined || algorithms.length === 0) {
    const rule = "RSA from 2048 bits, EC, or X25519, for RSA-OAEP-256 or ECDH-ES";
    throw new GateError("config_invalid", `decryptionKey is no private key that decrypts: ${rule}`);
  }
  return { key, algorithms, ...(typeof kid === "string" && { kid }) };
}

type EncryptedHeader = {
  readonly algorithm: string;
  readonly kid: string | undefined;
};

export function checkEncryptedHeader(header: JsonObject): Result<EncryptedHeader, RefusalReason> {
  if (hasRefusedMember(header, REFUSED_MEMBERS)) return err("encryption_header_refused");
  const algorithm = own(header, "alg");
  const encryption = own(header, "enc");
  const isAccepted =
    typeof algorithm === "string" &&
    [...RSA_ALGORITHMS, ...ECDH_ALGORITHMS].includes(algorithm) &&
    typeof encryption === "string" &&
    ENCRYPTIONS.includes(encryption);
  if (!isAccepted) return err("encryption_algorithm_refused");
  const kid = own(header, "kid");
  if (Object.hasOwn(header, "kid") && typeof kid !== "string") return err("kid_refused");
  if (Object.hasOwn(header, "typ") && canonicalType(own(header, "typ")) === undefined) {
    return err("type_refused");
  }
  const content = canonicalType(own(header, "cty"));
  if (content === undefined || !CONTENT_TYPES.includes(content)) return err("content_type_refused");
  return ok({ algorithm, kid: typeof kid === "string" ? kid : undefined });
}

/** @returns The content as text, or `undefined` where the key does not open it. */
export async function decrypt(
  text: string,
  { algorithm }: EncryptedHeader,
  { key, algorithms }: DecryptionKey,
): Promise<string | undefined> {
  if (!algorithms.includes(algorithm)) return undefined;
  try {
    const { plaintext } = await compactDecrypt(text, key, {
      keyManagementAlgorithms: [algorithm],
      contentEncryptionAlgorithms: [...ENCRYPTIONS],
      maxDecompressedLength: 0,
    });
    // Bytes beyond ASCII become characters that no token has.
    return Buffer.from(plaintext).toString("latin1");
  } catch {
    // One answer for every cause: telling them apart would make an oracle.
    return undefined;
  }
}

function parseJwk(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) && (own(value, "use") ?? "enc") === "enc" ? value : undefined;
  } catch {
    return undefined; // The parser would quote the key.
  }
}

function importPrivate(source: JsonObject | string): KeyObject | undefined {
  try {
    return typeof source === "string"
      ? createPrivateKey(source)
      : createPrivateKey({ key: source, format: "jwk" });
  } catch {
    return undefined; // The same: whatever is wrong, the text is a secret.
  }
}

function algorithmsOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) {
  if (type === "rsa") return (details?.modulusLength ?? 0) < RSA_BITS_MIN ? [] : RSA_ALGORITHMS;
  if (type === "ec") return CURVES.has(details?.namedCurve) ? ECDH_ALGORITHMS : [];
  return type === "x25519" ? ECDH_ALGORITHMS : [];
}
