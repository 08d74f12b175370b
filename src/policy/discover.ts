/**
 * Finds the modules of a policy folder and names them. Reads directories and sizes, no code.
 *
 * @module
 */
import type { Dirent } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Finding } from "../errors.ts";
import { displayPath } from "./display-path.ts";

export type SourceFile = {
  /** Path under the folder with "/" between its parts: `finance/approver.ts`. */
  readonly path: string;
  /** Absolute, with symbolic links resolved: what error messages of the runtime will name. */
  readonly file: string;
  readonly text: string;
};

type Discovery = {
  /** Every TypeScript module, helpers too, sorted by path. */
  readonly files: readonly SourceFile[];
  readonly findings: readonly Finding[];
};

const FILES_LIMIT = 1_000;
const FILE_LIMIT_BYTES = 1_048_576;
const DEPTH_LIMIT = 16;

/**
 * Lists `*.ts` under `folder`. Left out are tests (`*.test.ts`), names that begin with a
 * dot, and `node_modules`. A symbolic link to a file is followed as long as it stays in the folder (that is how
 * Kubernetes mounts a ConfigMap); any other is a finding.
 *
 * @returns Nothing for a folder that does not exist.
 */
export async function discover(folder: string): Promise<Discovery> {
  const found: { path: string; file: string }[] = [];
  const findings: Finding[] = [];
  const refuse = (file: string, code: string, message: string, fix: string) =>
    findings.push({ ...placeIn(file), severity: "error", code, message, fix });

  const visit = async (directory: string, prefix: string, depth: number): Promise<void> => {
    const entries = await readdir(directory, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith(".") || entry.name === "node_modules") continue;
      const [path, file] = [prefix + entry.name, join(directory, entry.name)];
      if (entry.isDirectory() && depth < DEPTH_LIMIT) await visit(file, `${path}/`, depth + 1);
      if (entry.isDirectory() || !isModule(entry)) continue;
      const target = entry.isSymbolicLink() ? await linkedFile(file, root) : file;
      if (target === undefined) {
        refuse(
          file,
          "policy_outside",
          `${path} is a symbolic link to something outside the policies folder`,
          "copy the file into the folder",
        );
      } else found.push({ path, file: target });
    }
  };

  let root: string;
  try {
    root = await realpath(folder);
    await visit(root, "", 0);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === "ENOENT") return { files: [], findings: [] };
    const message = `the policies folder cannot be read (${code ?? "unknown error"})`;
    refuse(folder, "policies_unreadable", message, "make it a folder that claimgate can read");
    return { files: [], findings };
  }
  if (found.length > FILES_LIMIT) {
    const message = `more than ${FILES_LIMIT} TypeScript files in the policies folder`;
    refuse(folder, "policies_too_many", message, "keep only policies and their helpers in it");
    return { files: [], findings };
  }

  const files: SourceFile[] = [];
  for (const { path, file } of found) {
    const { size } = await stat(file);
    if (size <= FILE_LIMIT_BYTES) files.push({ path, file, text: await readFile(file, "utf8") });
    else refuse(file, "policy_too_large", `${path} is larger than 1 MB`, "move its data elsewhere");
  }
  return { files, findings };
}

/**
 * The policy's name, or `undefined` for a helper: a file, or a folder, whose name begins
 * with "_", or a declaration file.
 */
export function policyNameOf(path: string): string | undefined {
  if (path.endsWith(".d.ts") || path.split("/").some((part) => part.startsWith("_"))) {
    return undefined;
  }
  return path.slice(0, -".ts".length);
}

function isModule(entry: Dirent): boolean {
  if (entry.isSymbolicLink() && !entry.name.includes(".")) return true; // a linked folder, perhaps
  return entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts");
}

async function linkedFile(link: string, root: string): Promise<string | undefined> {
  const target = await realpath(link);
  const inside = target.startsWith(root + sep);
  return inside && (await stat(target)).isFile() ? target : undefined;
}

function placeIn(file: string): { file: string; line: number; column: number } {
  return { file: displayPath(file), line: 1, column: 1 };
}

function errorCode(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
}
