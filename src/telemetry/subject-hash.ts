/**
 * Names a subject in the log without telling who it is: a keyed hash of issuer and `sub`,
 * the same for as long as the key beside the configuration is kept.
 *
 * @module
 */
import { createHmac, randomBytes } from "node:crypto";
import { join } from "node:path";
import { openKeyFile } from "../config/key-file.ts";
import type { Token } from "../types.ts";

export type SubjectHash = (token: Token) => string;

/** Hex digits: 64 bits tell the subjects of one installation apart. */
const DIGITS = 16;
const KEY_BYTES = 32;

/**
 * @param folder Where the key lies (`subject-hash.key`, mode 0600), made on first use.
 *   Where it can be neither read nor made, or is not safe, hashes last as long as the process.
 */
export async function openSubjectHash(folder: string): Promise<SubjectHash> {
  const key = await readOrMakeKey(folder);
  const known = new WeakMap<Token, string>();
  return (token) => {
    const before = known.get(token);
    if (before !== undefined) return before;
    const hash = createHmac("sha256", key)
      .update(`${token.issuer.length}:${token.issuer}${token.subject}`)
      .digest("hex")
      .slice(0, DIGITS);
    known.set(token, hash);
    return hash;
  };
}

/** The log goes on without it, and without those that others could have read or made. */
async function readOrMakeKey(folder: string): Promise<Uint8Array> {
  const words = { risk: "who could tell subjects from their hashes", loss: "hashes then change" };
  const file = join(folder, "subject-hash.key");
  return openKeyFile({ file, bytes: KEY_BYTES, ...words }).catch(() => randomBytes(KEY_BYTES));
}
