/**
 * The key of the audit's chains: 32 random bytes beside the store, for its owner alone. Who has
 * it can forge records; who loses it can verify nothing that was written before.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { openKeyFile, readKeyFile } from "../config/key-file.ts";
import type { Config } from "../config/resolved.ts";

const KEY_BYTES = 32;

/** Beside the database; for Redis, beside the configuration. */
export function auditKeyFolder({ store, folder }: Pick<Config, "store" | "folder">): string {
  return store.kind === "sqlite" ? dirname(store.file) : folder;
}

/**
 * Reads the key, or makes it.
 *
 * @param folder Where the store lies; made, for the owner alone, if it is not there.
 * @throws GateError `state_unusable`, as `openKeyFile`.
 */
export function openAuditKey(folder: string): Promise<Uint8Array> {
  return openKeyFile(keyFile(folder));
}

/** @returns The key; `undefined` while there is none. @throws As `openAuditKey`. */
export function readAuditKey(folder: string): Promise<Uint8Array | undefined> {
  return readKeyFile(keyFile(folder));
}

const keyFile = (folder: string) => ({
  file: join(folder, "audit.key"),
  bytes: KEY_BYTES,
  risk: "who could forge the audit",
  loss: "records written before can then not be verified",
});
