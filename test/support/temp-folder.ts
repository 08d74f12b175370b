/**
 * Folders that clean up after themselves: `await using folder = await tempFolder()`.
 *
 * @module
 */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export type TempFolder = AsyncDisposable & {
  readonly path: string;
  /** @returns The absolute path of the file, whose folders are made. */
  write(name: string, text: string): Promise<string>;
};

/** @param files Name below the folder: text. */
export async function tempFolder(
  files: Readonly<Record<string, string>> = {},
): Promise<TempFolder> {
  const path = await mkdtemp(join(tmpdir(), "claimgate-test-"));
  const folder: TempFolder = {
    path,
    async write(name, text) {
      const file = join(path, name);
      await mkdir(dirname(file), { recursive: true });
      await Bun.write(file, text);
      return file;
    },
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
  for (const [name, text] of Object.entries(files)) await folder.write(name, text);
  return folder;
}
