/**
 * SQLite's and the file system's errors, as the store's faults.
 *
 * @module
 */
import { SQLiteError } from "bun:sqlite";
import { GateError } from "../errors.ts";

/** What an operator reads for it; the code's first two words decide. */
const UNAVAILABLE: Readonly<Record<string, string>> = {
  SQLITE_BUSY: "another process keeps it locked",
  SQLITE_LOCKED: "another process keeps it locked",
  SQLITE_FULL: "the disk is full",
  SQLITE_IOERR: "the disk cannot be read or written",
  SQLITE_READONLY: "it cannot be written: check its mode and owner, and the folder's",
  SQLITE_CANTOPEN: "it cannot be opened: check its mode and owner, and the folder's",
  SQLITE_PERM: "it cannot be opened: check its mode and owner, and the folder's",
  EACCES: "it cannot be written: check its mode and owner, and the folder's",
  EPERM: "it cannot be written: check its mode and owner, and the folder's",
  EROFS: "the file system is mounted read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
};

const DAMAGED: Readonly<Record<string, string>> = {
  SQLITE_NOTADB: "it is not an SQLite database",
  SQLITE_CORRUPT: "its contents are corrupted",
};

const WHAT_TO_DO = "nothing was changed in it; restore a backup, or move it away to begin anew";

/** @param file Names the store in the message; it is the operator's own path. */
export function damaged(file: string, why: string, cause?: unknown): GateError {
  return new GateError("store_damaged", `Cannot use the store ${file}: ${why}`, { cause });
}

export function unavailable(file: string, why: string, cause?: unknown): GateError {
  return new GateError("store_unavailable", `Cannot use the store ${file}: ${why}`, { cause });
}

/** @returns A GateError as it is; anything that is no fault of the store comes back unchanged. */
export function storeFault(file: string, error: unknown): unknown {
  if (error instanceof GateError) return error;
  const code = codeOf(error);
  if (code === undefined) return error;
  const family = error instanceof SQLiteError ? code.split("_", 2).join("_") : code;
  const damage = DAMAGED[family];
  if (damage !== undefined) return damaged(file, `${damage}; ${WHAT_TO_DO}`, error);
  return unavailable(file, `${UNAVAILABLE[family] ?? "the system refuses"} (${code})`, error);
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** Whether another process holds a lock just now. */
export function isBusy(error: unknown): boolean {
  return error instanceof SQLiteError && /^SQLITE_(?:BUSY|LOCKED)/.test(error.code ?? "");
}
