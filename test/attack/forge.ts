/**
 * Tokens assembled by hand, byte for byte, so that whatever no library would sign can be sent
 * with a good signature. Not by jose: what verifies should not also be what forges.
 *
 * @module
 */
import {
  constants,
  createCipheriv,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  sign,
} from "node:crypto";
import type { JWK } from "jose";

export type ForgeKey = {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Public members alone; what an issuer would publish is up to the test. */
  readonly jwk: JWK;
};

export type KeyKind = "rsa" | "rsa-1024" | "P-256" | "P-384" | "P-521" | "Ed25519";

export function makeKey(kind: KeyKind): ForgeKey {
  const { publicKey, privateKey } = pairOf(kind);
  return { publicKey, privateKey, jwk: publicKey.export({ format: "jwk" }) as JWK };
}

function pairOf(kind: KeyKind) {
  if (kind === "Ed25519") return generateKeyPairSync("ed25519");
  if (kind.startsWith("P-")) return generateKeyPairSync("ec", { namedCurve: kind });
  return generateKeyPairSync("rsa", { modulusLength: kind === "rsa" ? 2048 : 1024 });
}

/** An object becomes JSON; text and bytes stay as they are. */
export type Part = object | string | Buffer;

export function encode(part: Part): string {
  if (Buffer.isBuffer(part)) return part.toString("base64url");
  const text = typeof part === "string" ? part : JSON.stringify(part);
  return Buffer.from(text, "utf8").toString("base64url");
}

/** @param alg How it is really signed, whatever the header says. */
export function forge(header: Part, payload: Part, key: ForgeKey, alg: string): string {
  return signSegments(encode(header), encode(payload), key, alg);
}

/** Signs two segments as they are, encoded well or not. */
export function signSegments(header: string, payload: string, key: ForgeKey, alg: string): string {
  const input = `${header}.${payload}`;
  return `${input}.${signatureOf(alg, key, input).toString("base64url")}`;
}

export function signatureOf(alg: string, { privateKey }: ForgeKey, input: string): Buffer {
  const hash = `sha${alg.slice(2)}`;
  const bytes = Buffer.from(input, "latin1");
  if (alg === "EdDSA") return sign(null, bytes, privateKey);
  if (alg.startsWith("ES")) {
    return sign(hash, bytes, { key: privateKey, dsaEncoding: "ieee-p1363" });
  }
  if (alg.startsWith("RS")) return sign(hash, bytes, privateKey);
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
  return sign(hash, bytes, { key: privateKey, padding, saltLength });
}

/** RFC 7518 §3.2, with whatever bytes stand for the secret. */
export function forgeHmac(
  header: Readonly<Record<string, unknown>>,
  payload: Part,
  alg: string,
  secret: string | Buffer,
): string {
  const input = `${encode({ ...header, alg })}.${encode(payload)}`;
  const mac = createHmac(`sha${alg.slice(2)}`, secret)
    .update(input)
    .digest("base64url");
  return `${input}.${mac}`;
}

/** What attackers have used as an HMAC secret: every public form of a public key. */
export function publicForms({ publicKey, jwk }: ForgeKey): Buffer[] {
  const pem = publicKey.export({ format: "pem", type: "spki" }).toString();
  const texts = [pem, pem.trimEnd(), JSON.stringify(jwk), jwk.n ?? jwk.x ?? ""];
  return [
    ...texts.map((text) => Buffer.from(text)),
    publicKey.export({ format: "der", type: "spki" }),
    Buffer.from(jwk.n ?? jwk.x ?? "", "base64url"),
    Buffer.alloc(0),
  ];
}

export type SealOptions = {
  readonly header?: Readonly<Record<string, unknown>>;
  /** The header as it is written, instead. */
  readonly headerText?: string;
  /** How the content key is wrapped; the header says so too unless it says otherwise. */
  readonly wrap?: "RSA-OAEP-256" | "RSA-OAEP" | "RSA1_5" | "none";
  /** Bytes of the content key; 32 for A256GCM. */
  readonly contentKey?: Buffer;
  /** Segments as they are about to be joined. */
  readonly alter?: (segments: string[]) => void;
};

/** A JWE (RFC 7516 §7.1) of five segments, AES-GCM within. */
export function seal(plaintext: string | Buffer, key: ForgeKey, options: SealOptions = {}): string {
  const { wrap = "RSA-OAEP-256", contentKey = randomBytes(32), header = {} } = options;
  const usual = { alg: wrap, enc: `A${contentKey.length * 8}GCM`, cty: "JWT" };
  const protectedHeader = encode(options.headerText ?? { ...usual, ...header });
  const iv = randomBytes(12);
  const name = `aes-${contentKey.length * 8}-gcm` as "aes-256-gcm";
  const cipher = createCipheriv(name, contentKey, iv);
  cipher.setAAD(Buffer.from(protectedHeader, "latin1"));
  const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  const segments = [
    protectedHeader,
    ...[wrapped(contentKey, key, wrap), iv, sealed, cipher.getAuthTag()].map((bytes) =>
      bytes.toString("base64url"),
    ),
  ];
  options.alter?.(segments);
  return segments.join(".");
}

function wrapped(contentKey: Buffer, { publicKey: key }: ForgeKey, wrap: string): Buffer {
  if (wrap === "none") return Buffer.alloc(0);
  if (wrap === "RSA1_5") {
    return publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, contentKey);
  }
  const oaepHash = wrap === "RSA-OAEP" ? "sha1" : "sha256";
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, contentKey);
}
