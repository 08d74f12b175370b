/**
 * Checks the types of a policy folder with the type checker in this very executable, run as
 * a child. An unchanged folder that has passed is not checked again.
 *
 * @module
 */
import { access, constants, mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, normalize, resolve } from "node:path";
import { type Finding, GateError } from "../errors.ts";
import { discover, type SourceFile } from "./discover.ts";
import { displayPath } from "./display-path.ts";
import { readIfThere, writePrivately } from "./private-file.ts";
import { typeHint } from "./type-hint.ts";
import { compilerOptions, type TypesOnDisk, writeTypes } from "./types-on-disk.ts";

const CHECK_LIMIT_MS = 30_000;
const FINDINGS_LIMIT = 100;
const OUTPUT_LIMIT_BYTES = 1_048_576;
const MESSAGE_LIMIT = 500;

/**
 * @param folder Absolute; it need not exist.
 * @param stateFolder Where types and the last good result are kept, if it can be written.
 * @returns Type errors, each with its place. A checker that cannot be run is a finding too:
 *   what was not checked does not count as good.
 */
export async function typecheckPolicies(
  folder: string,
  stateFolder: string,
): Promise<readonly Finding[]> {
  const { files } = await discover(folder);
  if (files.length === 0) return [];
  return (await isWritable(stateFolder))
    ? await typecheckIn(stateFolder, folder, files)
    : await typecheckElsewhere(folder, files);
}

async function isWritable(stateFolder: string): Promise<boolean> {
  try {
    await mkdir(stateFolder, { recursive: true, mode: 0o700 });
    await access(stateFolder, constants.W_OK);
    return true;
  } catch {
    return false; // for whatever reason: there is another folder to try
  }
}

/** A configuration may lie where nothing can be written, as in a container: then in a folder for the moment. */
async function typecheckElsewhere(
  folder: string,
  files: readonly SourceFile[],
): Promise<readonly Finding[]> {
  try {
    const temporary = await mkdtemp(join(tmpdir(), "claimgate-types-"));
    try {
      return await typecheckIn(temporary, folder, files);
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  } catch {
    return [failure(folder, "the type checker has no folder that it can write to")];
  }
}

async function typecheckIn(
  stateFolder: string,
  folder: string,
  files: readonly SourceFile[],
): Promise<readonly Finding[]> {
  try {
    const types = await writeTypes(stateFolder);
    const root = await realpath(folder);
    const passed = join(stateFolder, "typecheck-passed");
    const key = cacheKey(root, files, types);
    if (key !== undefined && (await readIfThere(passed)) === key) return [];

    const findings = await check(root, stateFolder, types);
    if (findings.length === 0 && key !== undefined) {
      // Only if it is still the folder that was checked.
      const { files: after } = await discover(folder);
      if (cacheKey(root, after, types) === key) await writePrivately(passed, key);
    }
    return findings;
  } catch (cause) {
    const why = cause instanceof GateError ? cause.message : "the type checker cannot be run";
    return [failure(folder, why)];
  }
}

async function check(root: string, stateFolder: string, types: TypesOnDisk): Promise<Finding[]> {
  // A folder of its own: nothing that lies beside the policies has a say in how they are checked.
  const cwd = join(stateFolder, "typecheck");
  const config = {
    compilerOptions: compilerOptions(types.sdk),
    files: [types.globals],
    include: [`${root}/**/*.ts`],
    exclude: [`${root}/**/node_modules`, `${root}/**/*.test.ts`, `${root}/**/.*`],
  };
  await writePrivately(join(cwd, "tsconfig.json"), JSON.stringify(config));
  const child = Bun.spawn(
    [process.execPath, "check", "--no-script", "--no-pretty", "-p", join(cwd, "tsconfig.json")],
    {
      cwd,
      env: { BUN_BE_BUN: "1", NO_COLOR: "1" },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: CHECK_LIMIT_MS,
      maxBuffer: OUTPUT_LIMIT_BYTES,
      killSignal: "SIGKILL",
    },
  );
  const [output, complaint, status] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (status === 0) return [];
  const findings = readFindings(output, cwd);
  if (findings.length > 0) return findings.slice(0, FINDINGS_LIMIT);
  const said = `${output}\n${complaint}`.trim().split("\n")[0] ?? "";
  return [failure(root, `the type checker ended with ${status}: ${said.slice(0, MESSAGE_LIMIT)}`)];
}

/** `file(line,column): error TS1234: message`; lines that are indented go on with the message. */
const ERROR = /^(.+?)\((\d+),(\d+)\): error (TS\d+): (.*)$/;

function readFindings(output: string, cwd: string): Finding[] {
  return output.split("\n").flatMap((row): Finding[] => {
    const [, path, line, column, code, message] = ERROR.exec(row) ?? [];
    if (path === undefined || code === undefined || message === undefined) return [];
    return [
      {
        severity: "error",
        code: "policy_type",
        ...typeHint(code, message.slice(0, MESSAGE_LIMIT)),
        file: displayPath(resolve(cwd, path)),
        line: Number(line),
        column: Number(column),
      },
    ];
  });
}

function failure(folder: string, message: string): Finding {
  return {
    severity: "error",
    code: "typecheck_failed",
    message,
    file: displayPath(folder),
    line: 1,
    column: 1,
    fix: "see that claimgate may write to its folder and start itself",
  };
}

/** Whatever a module names: imports, re-exports, `import()`, types too. Rather too much than too little. */
const SPECIFIER = /\b(?:from|import|require|module)\s*\(?\s*["']([^"'\n]*)["']/g;
/** A reference, or an import whose target cannot be told from the text. */
const ELSEWHERE = /^\s*\/\/\/\s*<|\b(?:import|require)\s*\(\s*[^"'\s]/m;

/**
 * What the result depends on.
 *
 * @returns `undefined` if it depends on more than the folder's own modules: then nothing is kept.
 */
function cacheKey(
  root: string,
  files: readonly SourceFile[],
  { version, sdk }: TypesOnDisk,
): string | undefined {
  const hasher = new Bun.CryptoHasher("sha256");
  hasher.update(JSON.stringify([Bun.version, version, sdk, root]));
  const known = new Set(files.map(({ path }) => path));
  for (const { path, text } of files) {
    if (ELSEWHERE.test(text)) return undefined;
    for (const [, specifier = ""] of text.matchAll(SPECIFIER)) {
      if (specifier === "claimgate" || /^(?:node|bun):/.test(specifier)) continue;
      const target = normalize(join(dirname(path), specifier)).replaceAll("\\", "/");
      if (!specifier.startsWith(".") || !known.has(target)) return undefined;
    }
    hasher.update(JSON.stringify([path, text]));
  }
  return hasher.digest("hex");
}
