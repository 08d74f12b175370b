/**
 * What the file system refuses, in an operator's words.
 *
 * @module
 */

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "check its mode and owner",
  EPERM: "check its mode and owner",
  ENOENT: "there is no such file or folder",
  EROFS: "the file system is mounted read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
};

/** @returns `the disk is full (ENOSPC)`; the bare code of what has no words here. */
export function diskReason(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "failed";
  const reason = REASONS[code];
  return reason === undefined ? code : `${reason} (${code})`;
}
