/**
 * The keys of the development issuer: made on first use, kept in one file that only its owner
 * may read, and shared by `claimgate token`, `claimgate idp` and the gate that verifies.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import { chmod, link, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK } from "jose";
import { GateError } from "../errors.ts";
import { diskReason } from "../lib/disk-fault.ts";
import { isTrustedOwner } from "../lib/owner.ts";
import { keepRotationLock } from "./rotation-lock.ts";

export type DevelopmentKey = {
  /** The key's thumbprint (RFC 7638). */
  readonly kid: string;
  readonly alg: "ES256";
  readonly privateJwk: JWK;
  readonly publicJwk: JWK;
};

const FILE = "development-keys.json";

/** The signing key and two before it: their tokens live at most a day. */
const MOST_KEYS = 3;

/** Far above what three keys take. */
const LARGEST_BYTES = 16 * 1024;

/** 32 bytes in base64url (RFC 7518 §6.2.1.2). */
const Coordinate = Type.String({ pattern: "^[A-Za-z0-9_-]{43}$" });

const StoredKey = Type.Object(
  {
    kty: Type.Literal("EC"),
    crv: Type.Literal("P-256"),
    x: Coordinate,
    y: Coordinate,
    d: Coordinate,
    kid: Coordinate,
    alg: Type.Literal("ES256"),
  },
  { additionalProperties: false },
);
type StoredKey = Static<typeof StoredKey>;

const StoredFile = Type.Object(
  { keys: Type.Array(StoredKey, { minItems: 1, maxItems: MOST_KEYS }) },
  { additionalProperties: false },
);

/**
 * Reads the development keys, or makes the first one. Processes that start at once end with
 * the same keys: the file appears whole and only one of them can put it there.
 *
 * @param folder Usually `.claimgate` beside the configuration; made with mode 0700.
 * @returns Newest first: the first signs, all verify.
 * @throws GateError `state_unusable` when the file is damaged, or others may read or replace it.
 */
export async function ensureDevelopmentKeys(folder: string): Promise<readonly DevelopmentKey[]> {
  return (await readKeys(folder)) ?? (await createKeys(folder));
}

/**
 * Puts a new key before the others, which still verify; the oldest beyond three is dropped.
 *
 * @returns As `ensureDevelopmentKeys`, after the change.
 * @throws GateError `state_unusable`, as `ensureDevelopmentKeys`.
 */
export async function rotateDevelopmentKeys(folder: string): Promise<readonly DevelopmentKey[]> {
  await ensureDevelopmentKeys(folder);
  await using _lock = await keepRotationLock(join(folder, `${FILE}.lock`));
  const older = (await readKeys(folder)) ?? [];
  const keys = [await generateKey(), ...older].slice(0, MOST_KEYS);
  const written = await writeTemporary(folder, keys);
  await onDisk("replace", join(folder, FILE), () => rename(written, join(folder, FILE)));
  return keys;
}

async function readKeys(folder: string): Promise<readonly DevelopmentKey[] | undefined> {
  const file = join(folder, FILE);
  const text = await onDisk("read", file, () => readPrivateFile(folder, file));
  if (text === undefined) return undefined;
  try {
    return await Promise.all(Value.Decode(StoredFile, JSON.parse(text)).keys.map(openKey));
  } catch {
    // The cause is left out on purpose: parsers quote what they choke on, and that is a private key.
    throw new GateError(
      "state_unusable",
      `${file} is damaged: delete it and new keys are made (tokens signed before are then refused)`,
    );
  }
}

async function readPrivateFile(folder: string, file: string): Promise<string | undefined> {
  const handle = await open(file, "r").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  try {
    const { mode, size, uid } = await handle.stat();
    const neighbour = (await stat(dirname(folder))).uid;
    for (const [path, owner] of [
      [file, uid],
      [folder, (await stat(folder)).uid],
    ] as const) {
      if (!isTrustedOwner(owner, neighbour)) throw ofAnother(path);
    }
    // Windows keeps access lists, not modes, and shows the same bits for every file.
    if (process.platform !== "win32") {
      if ((mode & 0o077) !== 0) throw openToOthers(file, "600");
      // Whoever may write to the folder may put keys of their own in place of these.
      if (((await stat(folder)).mode & 0o022) !== 0) throw openToOthers(folder, "700");
    }
    return size > LARGEST_BYTES ? "" : await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

function ofAnother(path: string): GateError {
  return new GateError(
    "state_unusable",
    `${path} belongs to another user, who knows the signing keys: delete it, or move the configuration to a folder of your own`,
  );
}

function openToOthers(path: string, mode: string): GateError {
  return new GateError(
    "state_unusable",
    `${path} is open to other users and holds signing keys: run chmod ${mode} ${path}`,
  );
}

async function createKeys(folder: string): Promise<readonly DevelopmentKey[]> {
  const file = join(folder, FILE);
  await onDisk("create", folder, async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await chmod(folder, 0o700);
  });
  const written = await writeTemporary(folder, [await generateKey()]);
  // link(2) fails where the name exists: the first to come wins, and no one sees half a file.
  await onDisk("create", file, () =>
    link(written, file)
      .catch((error: unknown) => {
        if (codeOf(error) !== "EEXIST") throw error;
      })
      .finally(() => rm(written, { force: true })),
  );
  const keys = await readKeys(folder);
  if (keys !== undefined) return keys;
  throw new GateError("state_unusable", `${file} vanished while it was being created: try again`);
}

/** Writes a file of mode 0600 beside the final one, on disk before it is given its name. */
async function writeTemporary(folder: string, keys: readonly DevelopmentKey[]): Promise<string> {
  const file = join(folder, `${FILE}.${randomBytes(8).toString("hex")}`);
  await onDisk("create", file, async () => {
    const handle = await open(file, "wx", 0o600);
    try {
      const stored = { keys: keys.map((key) => key.privateJwk) };
      await handle.writeFile(`${JSON.stringify(stored, undefined, 2)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
  });
  return file;
}

async function generateKey(): Promise<DevelopmentKey> {
  const pair = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(pair.privateKey);
  return keyOf({ ...jwk, kid: await calculateJwkThumbprint(jwk), alg: "ES256" });
}

/** @throws When `kid`, the public and the private half do not belong together. */
async function openKey(stored: StoredKey): Promise<DevelopmentKey> {
  await importJWK(stored, "ES256");
  if ((await calculateJwkThumbprint(stored)) !== stored.kid) throw new Error("kid of another key");
  return keyOf(stored);
}

function keyOf(jwk: JWK & { kid: string }): DevelopmentKey {
  const { d: _, ...shared } = jwk;
  return {
    kid: jwk.kid,
    alg: "ES256",
    privateJwk: jwk,
    publicJwk: { ...shared, use: "sig" },
  };
}

/** Turns what the file system refuses into a fault that names the file. */
async function onDisk<T>(verb: string, path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof GateError) throw error;
    throw new GateError("state_unusable", `cannot ${verb} ${path}: ${diskReason(error)}`, {
      cause: error,
    });
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
