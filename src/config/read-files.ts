/**
 * Files that a configuration names: that they are there, and secrets kept in them.
 *
 * @module
 */
import type { Stats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { err, ok, type Result } from "../result.ts";
import type { Reading } from "./report.ts";
import type { YamlPath } from "./resolved.ts";

const SECRET_LIMIT_BYTES = 64 * 1024;
const FILE_PREFIX = "file:";

/**
 * @param text As written; relative to the configuration's folder.
 * @returns The absolute path; a file that is not there has been reported.
 */
export async function readFilePath(
  text: string,
  path: YamlPath,
  { folder, report }: Reading,
): Promise<string> {
  const file = resolve(folder, text);
  const complaint = text === "" ? "names no file" : await complaintAbout(file);
  if (complaint !== undefined) {
    report.at(path, {
      code: "file_missing",
      message: `${String(path.at(-1))}: ${complaint}`,
      fix: `paths are relative to the configuration's folder, ${folder}`,
    });
  }
  return file;
}

/**
 * Reads a secret: `file:PATH`, or the text itself (mostly from `${NAME}`).
 *
 * @returns The secret; `undefined` where it is missing or empty, which has been reported
 *   without its value.
 */
export async function readSecret(
  text: string,
  path: YamlPath,
  { folder, report, source }: Reading,
): Promise<string | undefined> {
  const key = String(path.at(-1));
  if (text.trim() === "") {
    const [variable] = source.variablesOf(path);
    const empty = variable === undefined ? key : `${key}: the environment variable ${variable}`;
    const fix = variable === undefined ? `write file:PATH or \${NAME}` : `set ${variable}`;
    report.at(path, { code: "secret_empty", message: `${empty} is empty`, fix });
    return undefined;
  }
  if (!text.startsWith(FILE_PREFIX)) return text;

  const name = text.slice(FILE_PREFIX.length);
  const file = resolve(folder, name);
  const complaint = name === "" ? "file: names no file" : await complaintAbout(file);
  if (complaint !== undefined) {
    report.at(path, {
      code: "file_missing",
      message: `${key}: ${complaint}`,
      fix: `file:PATH is relative to the configuration's folder, ${folder}`,
    });
    return undefined;
  }
  const secret = await readFile(file, "utf8").catch(() => undefined);
  if (secret === undefined || secret.length > SECRET_LIMIT_BYTES || secret.trim() === "") {
    const message = `${key}: ${secret === undefined ? "cannot read" : secret.trim() === "" ? "nothing in" : "too much in"} ${file}`;
    report.at(path, {
      code: secret?.trim() === "" ? "secret_empty" : "file_unreadable",
      message,
      fix: "put the secret alone in that file, readable by the user that runs the gate",
    });
    return undefined;
  }
  return secret;
}

/** Why a file cannot be made or written; `complaint` goes after the key's name. */
type NewFileProblem = { readonly code: string; readonly complaint: string; readonly fix: string };

/**
 * Finds the place of a file that the gate makes by itself, or goes on writing.
 *
 * @param text As written; relative to `folder`.
 * @returns The absolute path. Its folder is there; a file may be, and nothing else.
 */
export async function findNewFile(
  text: string,
  folder: string,
): Promise<Result<string, NewFileProblem>> {
  if (text.trim() === "" || text.endsWith("/") || /\p{Cc}/u.test(text)) {
    return err({ code: "file_invalid", complaint: "names no file", fix: "write a file's path" });
  }
  const file = resolve(folder, text);
  const parent = await statusOf(dirname(file));
  if (typeof parent === "string" || !parent.isDirectory()) {
    const complaint = `there is no folder ${dirname(file)}`;
    return err({ code: "folder_missing", complaint, fix: "make that folder, or name another" });
  }
  const found = await statusOf(file);
  const complaint = found === "ENOENT" ? undefined : complaintOf(found, file);
  if (complaint === undefined) return ok(file);
  return err({ code: "file_invalid", complaint, fix: "name a file, or a path where none is yet" });
}

async function complaintAbout(file: string): Promise<string | undefined> {
  const found = await statusOf(file);
  return found === "ENOENT" ? `there is no file ${file}` : complaintOf(found, file);
}

/** @returns What stands there, or the system's code for why that cannot be told. */
function statusOf(file: string): Promise<Stats | string> {
  return stat(file).catch((cause: NodeJS.ErrnoException) => cause.code ?? "unknown");
}

function complaintOf(found: Stats | string, file: string): string | undefined {
  if (typeof found === "string") return `cannot read ${file} (${found})`;
  return found.isFile() ? undefined : `${file} is not a file`;
}
