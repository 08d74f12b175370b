/**
 * Whether a text can be a key that tokens are encrypted to, or one that the gate signs with.
 * Says what is wrong without any of the text.
 *
 * @module
 */
import { createPrivateKey, type KeyObject } from "node:crypto";

const RSA_BITS_MIN = 2048;
const EC_CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

/** @returns What is wrong; `undefined` for a private RSA, EC or X25519 key. */
export function checkDecryptionKey(text: string): string | undefined {
  return checkKey(text, "x25519", "a kind of key that decrypts nothing");
}

/** @returns What is wrong; `undefined` for a private RSA, EC or Ed25519 key. */
export function checkSigningKey(text: string): string | undefined {
  return checkKey(text, "ed25519", "a kind of key that signs nothing here");
}

/** @param other The type that passes besides RSA and EC. @param useless What any further type is. */
function checkKey(text: string, other: string, useless: string): string | undefined {
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
  return type === other ? undefined : useless;
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
