/**
 * What a person types to start this very program.
 *
 * @module
 */
import { realpathSync } from "node:fs";

/** @returns One or more words for a POSIX shell: `claimgate`, or paths that work anywhere. */
export function programWord(): string {
  if (isCompiled()) return wordFor("claimgate", process.execPath);
  return `${wordFor("bun", process.execPath)} ${shellQuoted(Bun.main)}`;
}

/** Whether this is the executable: then the entry point lies in Bun's embedded file system. */
export function isCompiled(): boolean {
  return /^(?:\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/u.test(Bun.main);
}

/** The plain name where the shell finds the same file by it. */
function wordFor(name: string, file: string): string {
  const found = Bun.which(name);
  const isSame = found !== null && realpathSync(found) === realpathSync(file);
  return isSame ? name : shellQuoted(file);
}

/** @returns The text as one word for a POSIX shell. */
export function shellQuoted(text: string): string {
  if (/^[\w@%+=:,./-]+$/u.test(text)) return text;
  return `'${text.replaceAll("'", "'\\''")}'`;
}
