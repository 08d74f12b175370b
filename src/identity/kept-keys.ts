/**
 * The last good keys of an issuer on disk, for a start while the issuer is down.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { chmod, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { IssuerConfig } from "../config/resolved.ts";
import { isTrustedOwner } from "../lib/owner.ts";
import { err, ok, type Result } from "../result.ts";
import { importKeySet, type KeySet } from "./key-set.ts";

export type KeptKeys = {
  readonly set: KeySet;
  /** Milliseconds since 1970. */
  readonly fetchedAtMs: number;
};

type KeptOwner = Pick<IssuerConfig, "name" | "issuer" | "keys">;

/** A hundred large keys fit. */
const LARGEST_BYTES = 1024 * 1024;

/** A clock that was set back a little is no reason to disbelieve. */
const CLOCK_SLACK_MS = 60_000;

const KeptFile = Type.Object({
  issuer: Type.String(),
  /** The owner's `keys`: keys from another address are another issuer's. */
  origin: Type.Unknown(),
  fetchedAt: Type.String(),
  keys: Type.Array(Type.Unknown()),
});
type KeptFile = Static<typeof KeptFile>;

/**
 * @returns The keys; `undefined` where none are kept or they belong to another issuer; an error
 *   line where the file is damaged, or somebody else could have written it.
 */
export async function readKeptKeys(
  folder: string,
  owner: KeptOwner,
  nowMs: number,
): Promise<Result<KeptKeys | undefined, string>> {
  const text = await readPrivateText(folder, fileOf(folder, owner));
  if (!text.ok) return text;
  if (text.value === undefined) return ok(undefined);
  const kept = parse(text.value);
  if (kept === undefined) return err("the kept keys are damaged and ignored");
  const isOwn = kept.issuer === owner.issuer && Bun.deepEquals(kept.origin, owner.keys, true);
  if (!isOwn) return ok(undefined);
  const fetchedAtMs = Date.parse(kept.fetchedAt);
  if (!(fetchedAtMs <= nowMs + CLOCK_SLACK_MS)) {
    return err("the kept keys have no date or one in the future, and are ignored");
  }
  const imported = await importKeySet({ keys: kept.keys });
  return imported.ok
    ? ok({ set: imported.value.set, fetchedAtMs: Math.min(fetchedAtMs, nowMs) })
    : err(`the kept keys are ignored: ${imported.error}`);
}

/**
 * Replaces the file whole, mode 0600 in a folder of mode 0700.
 *
 * @throws The file system's error.
 */
export async function writeKeptKeys(
  folder: string,
  owner: KeptOwner,
  { set, fetchedAtMs }: KeptKeys,
): Promise<void> {
  const kept: KeptFile = {
    issuer: owner.issuer,
    origin: owner.keys,
    fetchedAt: new Date(fetchedAtMs).toISOString(),
    keys: set.keys.map(({ jwk }) => jwk),
  };
  const state = stateFolder(folder);
  await mkdir(state, { recursive: true, mode: 0o700 });
  await chmod(state, 0o700);
  const file = fileOf(folder, owner);
  const temporary = `${file}.${randomBytes(8).toString("hex")}`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(kept, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function stateFolder(folder: string): string {
  return join(folder, ".claimgate");
}

function fileOf(folder: string, { name }: KeptOwner): string {
  return join(stateFolder(folder), `keys-${encodeURIComponent(name)}.json`);
}

async function readPrivateText(
  folder: string,
  file: string,
): Promise<Result<string | undefined, string>> {
  try {
    await using handle = await open(file, "r");
    const { mode, size, uid } = await handle.stat();
    const state = await stat(stateFolder(folder));
    const neighbour = (await stat(folder)).uid;
    if (![uid, state.uid].every((owner) => isTrustedOwner(owner, neighbour))) {
      return err("the kept keys belong to another user and are ignored");
    }
    // Windows keeps access lists, not modes, and shows the same bits for every file.
    const isOpen =
      process.platform !== "win32" && ((mode & 0o022) !== 0 || (state.mode & 0o022) !== 0);
    if (isOpen) return err("the kept keys can be written by other users and are ignored");
    if (size > LARGEST_BYTES) return err("the kept keys are too large and are ignored");
    return ok(await handle.readFile("utf8"));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "failed";
    return code === "ENOENT" ? ok(undefined) : err(`the kept keys cannot be read (${code})`);
  }
}

function parse(text: string): KeptFile | undefined {
  try {
    return Value.Decode(KeptFile, JSON.parse(text));
  } catch {
    return undefined; // Damaged in whatever way: the caller says so.
  }
}
