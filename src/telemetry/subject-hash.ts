/**
 * Names a subject in the log without telling who it is: a keyed hash of issuer and `sub`,
 * the same for as long as the key beside the configuration is kept.
 *
 * @module
 */
import { createHmac, randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Token } from "../types.ts";

export type SubjectHash = (token: Token) => string;

/** Hex digits: 64 bits tell the subjects of one installation apart. */
const DIGITS = 16;
const KEY_BYTES = 32;

/**
 * @param folder Where the key lies (`subject-hash.key`, mode 0600), made on first use.
 *   Where it can be neither read nor made, hashes last as long as the process.
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

async function readOrMakeKey(folder: string): Promise<Buffer> {
  const file = join(folder, "subject-hash.key");
  const fresh = randomBytes(KEY_BYTES);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    // Exclusive: of two processes that start at once, one makes it and both read it.
    await writeFile(file, fresh, { mode: 0o600, flag: "wx" });
    await chmod(file, 0o600);
    return fresh;
  } catch {
    const kept = await readFile(file).catch(() => undefined);
    return kept?.length === KEY_BYTES ? kept : fresh;
  }
}
