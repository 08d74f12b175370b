/**
 * A key in a file of its own, for its owner alone.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GateError } from "../errors.ts";

/**
 * Reads the key, or makes it. Of processes that start at once one makes it and all read it.
 *
 * @throws GateError `state_unusable`
 */
export async function ensureKeyFile(
  folder: string,
  name: string,
  bytes: number,
): Promise<Uint8Array> {
  const file = join(folder, name);
  try {
    const kept = (await readIfThere(file)) ?? (await makeKey(folder, file, bytes));
    if (kept.length === bytes) return kept;
  } catch (cause) {
    const message = `cannot read or make ${file}: ${codeOf(cause) ?? "failed"}`;
    throw new GateError("state_unusable", message, { cause });
  }
  const message = `${file} is damaged: put the right one back, or delete it and revoke again what was revoked by token`;
  throw new GateError("state_unusable", message);
}

async function makeKey(folder: string, file: string, bytes: number): Promise<Uint8Array> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    await writeFile(draft, randomBytes(bytes), { mode: 0o600, flag: "wx" });
    // link(2) fails where the name exists: the first to come wins, and no one sees half a file.
    await link(draft, file).catch((cause: unknown) => {
      if (codeOf(cause) !== "EEXIST") throw cause;
    });
  } finally {
    await rm(draft, { force: true });
  }
  return await readFile(file);
}

async function readIfThere(file: string): Promise<Uint8Array | undefined> {
  return readFile(file).catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  });
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
}
