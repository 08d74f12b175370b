/**
 * Applications from npm that are too large to be dependencies of ours: installed into a folder of
 * the test's own, by exact version, without their scripts.
 *
 * @module
 */
import { join } from "node:path";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const INSTALL_LIMIT_MS = 50_000;

export type NpmManifest = {
  readonly dependencies: Readonly<Record<string, string>>;
  /** What one of them names in a way that not every registry knows: the version meant. */
  readonly overrides?: Readonly<Record<string, string>>;
};

/**
 * @returns The folder with its `node_modules`.
 * @throws Error with the installer's own words.
 */
export async function installNpm(manifest: NpmManifest): Promise<TempFolder> {
  const folder = await tempFolder({ "package.json": JSON.stringify(manifest) });
  const child = Bun.spawn([process.execPath, "install", "--ignore-scripts", "--no-progress"], {
    cwd: folder.path,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: INSTALL_LIMIT_MS,
  });
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) === 0) return folder;
  await folder[Symbol.asyncDispose]();
  throw new Error(
    `Cannot install ${Object.keys(manifest.dependencies).join(", ")}: ${out}${error}`,
  );
}

/** @param path Below `node_modules`. */
export function npmFile(folder: TempFolder, path: string): string {
  return join(folder.path, "node_modules", path);
}
