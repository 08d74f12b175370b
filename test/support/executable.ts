/**
 * Which claimgate the end-to-end tests run: the compiled one that the test command has built,
 * or, under a plain `bun test`, the source.
 *
 * @module
 */
import { join } from "node:path";
import { buildExecutable } from "./build.ts";

const ROOT = join(import.meta.dir, "../..");

/** Set by the test command: absolute path of the executable it has built. */
export const EXECUTABLE_VARIABLE = "CLAIMGATE_EXECUTABLE";

/** @returns The words that start claimgate, to be followed by its arguments. */
export function claimgateCommand(): readonly string[] {
  const executable = process.env[EXECUTABLE_VARIABLE];
  if (executable !== undefined) return [executable];
  return [process.execPath, "--max-http-header-size=65536", join(ROOT, "src/main.ts")];
}

let built: Promise<string> | undefined;

/**
 * For tests that make sense only with the compiled executable.
 *
 * @returns Its absolute path; built into `dist/` first (seconds) where the test command has not.
 */
export function compiledExecutable(): Promise<string> {
  const executable = process.env[EXECUTABLE_VARIABLE];
  if (executable !== undefined) return Promise.resolve(executable);
  const outfile = join(ROOT, "dist/claimgate");
  built ??= buildExecutable({ outfile }).then(() => outfile);
  return built;
}
