/**
 * A self-signed certificate, made on the spot: no tool is needed, and no key lies in the tree.
 *
 * @module
 */
import { generateKeyPairSync, sign } from "node:crypto";

export type Certificate = { readonly cert: string; readonly key: string };

/** @param host The one name it is for; good from 2020 to 2049. */
export function makeCertificate(host = "localhost"): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const ecdsaWithSha256 = sequence(der(0x06, "2a8648ce3d040302"));
  const name = sequence(der(0x31, sequence(der(0x06, "550403"), der(0x0c, text(host)))));
  const validity = sequence(der(0x17, text("200101000000Z")), der(0x17, text("491231235959Z")));
  const names = sequence(der(0x82, text(host)));
  const extensions = sequence(sequence(der(0x06, "551d11"), der(0x04, names)));
  const body = sequence(
    der(0xa0, der(0x02, "02")), // version 3
    der(0x02, "01"), // serial number
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ format: "der", type: "spki" }),
    der(0xa3, extensions),
  );
  const signature = sign("sha256", body, privateKey);
  const bytes = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature));
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
  };
}

/** X.690 §8.1: tag, length, content; a string is hexadecimal. */
function der(tag: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const content = Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part, "hex") : part)),
  );
  const { length } = content;
  const long = length > 0xff ? [0x82, length >> 8, length & 0xff] : [0x81, length];
  return Buffer.concat([Buffer.from([tag, ...(length < 0x80 ? [length] : long)]), content]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, ...parts);
}

function text(value: string): Buffer {
  return Buffer.from(value, "latin1");
}
