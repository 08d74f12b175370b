/**
 * Secrets that leave the process, in cookies, addresses and the store, are encrypted (JWE, AES-256
 * in GCM) by a key made of `session.secret`, so that every replica and the next start can read
 * them. The first secret writes, all read.
 *
 * @module
 */
import { createHmac, hkdfSync } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";

/** What is sealed for one purpose cannot be opened for another. */
type Purpose = "attempt" | "hand-over" | "session" | "assertion";

export type KeyRing = {
  /** @param content JSON is made of it. */
  seal(purpose: Purpose, content: object): Promise<string>;
  /** @returns What was sealed; `undefined` for whatever none of the keys opens. */
  open(purpose: Purpose, text: string): Promise<unknown>;
  /** A short keyed hash: 128 bits as base64url. */
  publicId(secret: string): string;
};

const PURPOSES: readonly Purpose[] = ["attempt", "hand-over", "session", "assertion"];
const KEY_BYTES = 32;
const ID_CHARACTERS = 22;
/** The store's values are at most this long, cookies and addresses much shorter. */
const LONGEST_TEXT = 64 * 1024;

type Key = { readonly id: string; readonly of: ReadonlyMap<Purpose | "public-id", Uint8Array> };

/** @param secrets At least one, the one that writes first. */
export function createKeyRing(secrets: readonly (string | Uint8Array)[]): KeyRing {
  const keys = secrets.map(deriveKey);
  const [first] = keys;
  if (first === undefined) throw new Error("a key ring has a key");

  return {
    async seal(purpose, content) {
      const text = new TextEncoder().encode(JSON.stringify(content));
      return new CompactEncrypt(text)
        .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid: first.id })
        .encrypt(keyFor(first, purpose));
    },
    async open(purpose, text) {
      if (text.length > LONGEST_TEXT) return undefined;
      for (const key of keys) {
        const content = await openBy(keyFor(key, purpose), text);
        if (content !== undefined) return content;
      }
      return undefined;
    },
    publicId(secret) {
      const hash = createHmac("sha256", keyFor(first, "public-id")).update(secret);
      return hash.digest("base64url").slice(0, ID_CHARACTERS);
    },
  };
}

function deriveKey(secret: string | Uint8Array): Key {
  const derive = (info: string) =>
    new Uint8Array(hkdfSync("sha256", secret, "claimgate", info, KEY_BYTES));
  const names = [...PURPOSES, "public-id" as const];
  return {
    id: Buffer.from(derive("key-id")).toString("base64url").slice(0, 8),
    of: new Map(names.map((name) => [name, derive(name)])),
  };
}

function keyFor({ of }: Key, purpose: Purpose | "public-id"): Uint8Array {
  const key = of.get(purpose);
  if (key === undefined) throw new Error("a key was derived for each purpose");
  return key;
}

async function openBy(key: Uint8Array, text: string): Promise<unknown> {
  try {
    const { plaintext } = await compactDecrypt(text, key, {
      keyManagementAlgorithms: ["dir"],
      contentEncryptionAlgorithms: ["A256GCM"],
      maxDecompressedLength: 0,
    });
    return JSON.parse(new TextDecoder().decode(plaintext));
  } catch {
    return undefined; // Whatever is wrong, it is not ours.
  }
}
