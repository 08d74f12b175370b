import { lstat } from "node:fs/promises";

/** Whether anything is at that path, a broken link too. */
export function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
