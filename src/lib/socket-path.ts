/**
 * How a unix socket in a deep folder is reached: the kernel takes no path of more than about a
 * hundred bytes, however it is meant.
 *
 * @module
 */
import { openSync } from "node:fs";
import { basename, dirname, relative } from "node:path";

/** `sun_path` holds 108 bytes with its final zero; macOS has 104. */
const LIMIT_BYTES = 103;

const fits = (path: string) => Buffer.byteLength(path) <= LIMIT_BYTES;

/** Open folders, by path: one for each socket that has no shorter name. */
const folders = new Map<string, number>();

/**
 * @param path Absolute.
 * @returns A name for it that the kernel takes: from here, or on Linux by way of an open folder.
 *   The path itself where there is none.
 * @throws What opening its folder throws.
 */
export function reachableSocketPath(path: string): string {
  if (fits(path)) return path;
  const near = relative(process.cwd(), path);
  if (fits(near)) return near;
  if (process.platform !== "linux") return path;
  const folder = dirname(path);
  const open = folders.get(folder) ?? openSync(folder, "r");
  folders.set(folder, open);
  return `/proc/self/fd/${open}/${basename(path)}`;
}
