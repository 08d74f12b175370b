/**
 * X.509 certificates made on the spot: an authority, and what it issues. Just enough of
 * RFC 5280 for TLS on loopback.
 *
 * @module
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** PEM texts. */
export type Certificate = { readonly cert: string; readonly key: string };

export type Authority = {
  /** PEM, for those who shall trust it. */
  readonly cert: string;
  /** A certificate for localhost and 127.0.0.1, for servers and clients alike. */
  readonly issue: (name: string) => Certificate;
};

const HOUR_MS = 3_600_000;

/** Object identifiers, encoded. */
const OID = {
  ecdsaWithSha256: "06082a8648ce3d040302",
  commonName: "0603550403",
  keyUsage: "0603551d0f",
  subjectAltName: "0603551d11",
  basicConstraints: "0603551d13",
} as const;

export function makeAuthority(name: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const isCritical = der(0x01, bytes("ff"));
  const extensions = [
    der(0x30, bytes(OID.basicConstraints), isCritical, der(0x04, der(0x30, isCritical))),
    // keyCertSign
    der(0x30, bytes(OID.keyUsage), isCritical, der(0x04, der(0x03, bytes("0204")))),
  ];
  const signed = (subject: string, key: KeyObject, more: readonly Buffer[]) =>
    pem("CERTIFICATE", certificate({ issuer: name, subject, key, extensions: more }, privateKey));
  return {
    cert: signed(name, publicKey, extensions),
    issue(subject) {
      const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const names = [der(0x82, Buffer.from("localhost")), der(0x87, bytes("7f000001"))];
      const alternative = der(0x30, bytes(OID.subjectAltName), der(0x04, der(0x30, ...names)));
      return {
        cert: signed(subject, pair.publicKey, [alternative]),
        key: pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      };
    },
  };
}

type Content = {
  readonly issuer: string;
  readonly subject: string;
  readonly key: KeyObject;
  readonly extensions: readonly Buffer[];
};

/** RFC 5280 §4.1. */
function certificate({ issuer, subject, key, extensions }: Content, signer: KeyObject): Buffer {
  const algorithm = der(0x30, bytes(OID.ecdsaWithSha256));
  const now = Date.now();
  const content = der(
    0x30,
    der(0xa0, der(0x02, bytes("02"))),
    der(0x02, Buffer.concat([bytes("01"), randomBytes(15)])),
    algorithm,
    nameOf(issuer),
    der(0x30, utcTime(now - HOUR_MS), utcTime(now + 24 * HOUR_MS)),
    nameOf(subject),
    key.export({ type: "spki", format: "der" }),
    der(0xa3, der(0x30, ...extensions)),
  );
  const signature = sign("sha256", content, signer);
  return der(0x30, content, algorithm, der(0x03, bytes("00"), signature));
}

function nameOf(commonName: string): Buffer {
  const value = der(0x0c, Buffer.from(commonName));
  return der(0x30, der(0x31, der(0x30, bytes(OID.commonName), value)));
}

function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, "").slice(2, 14);
  return der(0x17, Buffer.from(`${digits}Z`));
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, "hex");
}

function pem(label: string, content: Buffer): string {
  const lines = content.toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
