/**
 * Which lines of policies no case and no scenario reaches, and which of their answers.
 *
 * JavaScriptCore notes what runs when it is told to at its start (`recordingEnvironment`); with
 * the source maps of the policies it knows lines of TypeScript.
 *
 * @module
 */
import type { SourceFile } from "../../policy/discover.ts";
import { policyNameOf } from "../../policy/discover.ts";
import { displayPath } from "../../policy/display-path.ts";
import type { PolicySet } from "../../policy/load.ts";
import type { TestResult } from "./result.ts";

export type CoverageReport = {
  readonly files: readonly FileCoverage[];
  /** Of each policy: codes that its text denies with, and `challenge`, where nothing reached them. */
  readonly verdicts: readonly { readonly policy: string; readonly codes: readonly string[] }[];
};

type FileCoverage = {
  readonly file: string;
  /** Absent for a helper that no policy imports. */
  readonly percent?: number;
  /** `9-10,12`; empty where all lines are reached. */
  readonly missed: string;
};

const VARIABLE = "BUN_JSC_useControlFlowProfiler";

/** What a process must be started with so that its lines are counted. */
export const recordingEnvironment: Readonly<Record<string, string>> = { [VARIABLE]: "1" };

export function isRecording(): boolean {
  return process.env[VARIABLE] === "1";
}

export function coverageOf(
  set: PolicySet,
  modules: readonly SourceFile[],
  results: readonly TestResult[],
): CoverageReport {
  const reached = new Set(
    results.flatMap(({ asked }) =>
      asked.map(({ name, verdict, code }) => `${name} ${verdict === "deny" ? code : verdict}`),
    ),
  );
  const verdicts = [...set.policies.values()]
    .filter(({ shipped }) => !shipped)
    .map(({ name, source }) => ({
      policy: name,
      codes: answersIn(source).filter((code) => !reached.has(`${name} ${code}`)),
    }))
    .filter(({ codes }) => codes.length > 0);
  const files = modules.filter(({ path }) => !path.endsWith(".d.ts")).map(fileCoverage);
  return { files, verdicts };
}

function fileCoverage({ file, path }: SourceFile): FileCoverage {
  const shown = displayPath(file);
  const row = rowOf(file);
  // A policy is always loaded; a helper may be imported by none.
  if (row === undefined)
    return { file: shown, missed: policyNameOf(path) === undefined ? "" : "?" };
  const columns = row.split("|");
  const percent = Number(columns.at(-2));
  return { file: shown, percent, missed: (columns.at(-1) ?? "").trim() };
}

type CodeCoverage = (file: string, ignoresSourceMap?: boolean) => string;

/** @returns ` FILE | FUNCTIONS % | LINES % | MISSED`; `undefined` for a file that was never loaded. */
function rowOf(file: string): string | undefined {
  // Not among its types: what `bun test --coverage` is made of.
  const { codeCoverageForFile } = require("bun:jsc") as { codeCoverageForFile: CodeCoverage };
  try {
    return codeCoverageForFile(file);
  } catch {
    return undefined; // the only answer that there is for such a file
  }
}

const transpiler = new Bun.Transpiler({ loader: "ts" });

/** The answers that are written out; comments and types are none, and a code that is put together is not seen. */
function answersIn(source: string): readonly string[] {
  const code = transpiler.transformSync(source);
  const denials = [...code.matchAll(/\bdeny\(\s*["'`]([a-z0-9_]+)["'`]/g)].map(
    ([, word = ""]) => word,
  );
  const challenges = /\bchallenge\(/.test(code) ? ["challenge"] : [];
  return [...new Set([...denials, ...challenges])];
}
