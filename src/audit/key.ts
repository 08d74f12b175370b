/**
 * The key of the audit's chains: 32 random bytes beside the store, for its owner alone. Who has
 * it can forge records; who loses it can verify nothing that was written before.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Config } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { isTrustedOwner } from "../lib/owner.ts";

const FILE = "audit.key";
const KEY_BYTES = 32;

/** Beside the database; for Redis, beside the configuration. */
export function auditKeyFolder({ store, folder }: Pick<Config, "store" | "folder">): string {
  return store.kind === "sqlite" ? dirname(store.file) : folder;
}

/**
 * Reads the key, or makes it. Of processes that start at once one makes it and all read it.
 *
 * @param folder Where the store lies; made, for the owner alone, if it is not there.
 * @throws GateError `state_unusable` when it is damaged, cannot be made, is open to others, or
 *   was made by another user.
 */
export async function openAuditKey(folder: string): Promise<Uint8Array> {
  const file = join(folder, FILE);
  const kept = await readAuditKey(folder);
  if (kept !== undefined) return kept;
  await onDisk("make", file, () => makeKey(folder, file));
  const made = await readAuditKey(folder);
  if (made !== undefined) return made;
  throw new GateError("state_unusable", `${file} vanished while it was being made: try again`);
}

/**
 * @returns The key; `undefined` while there is none.
 * @throws GateError `state_unusable`, as `openAuditKey`.
 */
export function readAuditKey(folder: string): Promise<Uint8Array | undefined> {
  const file = join(folder, FILE);
  return onDisk("read", file, () => readKey(folder, file));
}

async function readKey(folder: string, file: string): Promise<Uint8Array | undefined> {
  const handle = await open(file, "r").catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  });
  if (handle === undefined) return undefined;
  try {
    const { mode, uid, size } = await handle.stat();
    if (!isTrustedOwner(uid, (await stat(folder)).uid)) {
      const message = `${file} belongs to another user, who could forge the audit: delete it, or move the store to a folder of your own`;
      throw new GateError("state_unusable", message);
    }
    // Windows keeps access lists, not modes, and shows the same bits for every file.
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const message = `${file} is open to other users, who could forge the audit: run chmod 600 ${file}`;
      throw new GateError("state_unusable", message);
    }
    const key = size === KEY_BYTES ? await handle.readFile() : undefined;
    if (key?.length === KEY_BYTES) return new Uint8Array(key);
    const message = `${file} is damaged: put the right one back, or delete it and a new one is made (records written before can then not be verified)`;
    throw new GateError("state_unusable", message);
  } finally {
    await handle.close();
  }
}

async function makeKey(folder: string, file: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(randomBytes(KEY_BYTES));
      await handle.sync();
    } finally {
      await handle.close();
    }
    // link(2) fails where the name exists: the first to come wins, and no one sees half a file.
    await link(draft, file).catch((cause: unknown) => {
      if (codeOf(cause) !== "EEXIST") throw cause;
    });
  } finally {
    await rm(draft, { force: true });
  }
}

/** Turns what the file system refuses into a fault that names the file. */
async function onDisk<T>(verb: string, file: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (cause instanceof GateError) throw cause;
    const message = `cannot ${verb} ${file}: ${codeOf(cause) ?? "failed"}`;
    throw new GateError("state_unusable", message, { cause });
  }
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
}
