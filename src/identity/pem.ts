/**
 * A public key or certificate in PEM, as a JWK without a name.
 *
 * @module
 */
import { createPublicKey, X509Certificate } from "node:crypto";
import { err, ok, type Result } from "../result.ts";

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----/g;

/**
 * A certificate is only the key's wrapper here: the owner put it there, so neither its dates
 * nor its issuer are looked at.
 *
 * @returns A JWK Set with the one key, for the checks that every key goes through.
 */
export function readPem(text: string): Result<{ readonly keys: readonly unknown[] }, string> {
  const labels = [...text.matchAll(BLOCK)].map(([, label]) => label);
  const [label, ...others] = labels;
  if (label === undefined) return err("not a PEM file");
  if (others.length > 0) return err("more than one PEM block");
  try {
    switch (label) {
      case "PUBLIC KEY": // RFC 7468 §13
      case "RSA PUBLIC KEY": // RFC 8017 §A.1.1
        return ok({ keys: [createPublicKey(text).export({ format: "jwk" })] });
      case "CERTIFICATE": // RFC 7468 §5
        return ok({ keys: [new X509Certificate(text).publicKey.export({ format: "jwk" })] });
      default:
        return err("neither a public key nor a certificate"); // Node would take a private key, too.
    }
  } catch {
    return err("damaged, or a kind of key that is unknown here");
  }
}
