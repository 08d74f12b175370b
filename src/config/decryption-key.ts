/**
 * Whether a text can be a key that tokens are encrypted to. Says what is wrong without
 * any of the text.
 *
 * @module
 */
import { createPrivateKey, type KeyObject } from "node:crypto";

const RSA_BITS_MIN = 2048;
const EC_CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/** @returns What is wrong; `undefined` for a private RSA, EC or X25519 key. */
export function checkDecryptionKey(text: string): string | undefined {
  const trimmed = text.trim();
  const isPem = trimmed.startsWith("-----BEGIN ");
  if (isPem && !trimmed.startsWith("-----BEGIN PRIVATE KEY-----")) {
    return "a PEM file, but not an unencrypted PKCS #8 private key";
  }
  if (!isPem && !trimmed.startsWith("{")) return "neither a JWK nor a PEM file";
  const key = importKey(trimmed, isPem);
  if (key === undefined) return "not a private key that can be read";
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === "rsa") {
    const isShort = (details?.modulusLength ?? 0) < RSA_BITS_MIN;
    return isShort ? `an RSA key under ${RSA_BITS_MIN} bits` : undefined;
  }
  if (type === "ec") {
    return EC_CURVES.has(details?.namedCurve ?? "") ? undefined : "an EC key on another curve";
  }
  return type === "x25519" ? undefined : "a kind of key that decrypts nothing";
}

function importKey(text: string, isPem: boolean): KeyObject | undefined {
  try {
    return isPem
      ? createPrivateKey(text)
      : createPrivateKey({ key: JSON.parse(text), format: "jwk" });
  } catch {
    // Whatever the reason, it would quote the key; the caller says that it cannot be read.
    return undefined;
  }
}
