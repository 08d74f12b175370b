/**
 * Keys that the gate makes for itself, once: random bytes in a file of their own, beside the
 * store or the configuration, for their owner alone.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { GateError } from "../errors.ts";
import { diskReason } from "../lib/disk-fault.ts";
import { isTrustedOwner } from "../lib/owner.ts";

type KeyFile = {
  /** Its folder is made, for the owner alone, if it is not there. */
  readonly file: string;
  readonly bytes: number;
  /** What others could do with it: "who could forge the audit". */
  readonly risk: string;
  /** What is lost with it: "records written before can then not be verified". */
  readonly loss: string;
};

/**
 * Reads the key, or makes it. Of processes that start at once one makes it and all read it.
 *
 * @throws GateError `state_unusable` when it is damaged, cannot be made, is open to others, or
 *   was made by another user.
 */
export async function openKeyFile(key: KeyFile): Promise<Uint8Array> {
  const { file } = key;
  const kept = await readKeyFile(key);
  if (kept !== undefined) return kept;
  await onDisk("make", file, () => makeKey(key));
  const made = await readKeyFile(key);
  if (made !== undefined) return made;
  throw new GateError("state_unusable", `${file} vanished while it was being made: try again`);
}

/** @returns `undefined` while there is none. @throws GateError `state_unusable`, as `openKeyFile`. */
export function readKeyFile(key: KeyFile): Promise<Uint8Array | undefined> {
  return onDisk("read", key.file, () => readKey(key));
}

async function readKey({ file, bytes, risk, loss }: KeyFile): Promise<Uint8Array | undefined> {
  const handle = await open(file, "r").catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT") return undefined;
    throw cause;
  });
  if (handle === undefined) return undefined;
  try {
    const { mode, uid, size } = await handle.stat();
    if (!isTrustedOwner(uid, (await stat(dirname(file))).uid)) {
      const fix = "delete it, or move the store to a folder of your own";
      throw new GateError("state_unusable", `${file} belongs to another user, ${risk}: ${fix}`);
    }
    // Windows keeps access lists, not modes, and shows the same bits for every file.
    if (process.platform !== "win32" && (mode & 0o077) !== 0) {
      const fix = `run chmod 600 ${file}`;
      throw new GateError("state_unusable", `${file} is open to other users, ${risk}: ${fix}`);
    }
    const key = size === bytes ? await handle.readFile() : undefined;
    if (key?.length === bytes) return new Uint8Array(key);
    const fix = `put the right one back, or delete it and a new one is made (${loss})`;
    throw new GateError("state_unusable", `${file} is damaged: ${fix}`);
  } finally {
    await handle.close();
  }
}

async function makeKey({ file, bytes }: KeyFile): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(randomBytes(bytes));
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
    const message = `cannot ${verb} ${file}: ${diskReason(cause)}`;
    throw new GateError("state_unusable", message, { cause });
  }
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
}
