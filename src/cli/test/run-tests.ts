/**
 * Runs the cases of policies and the scenarios beside a configuration.
 *
 * @module
 */
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { loadConfig } from "../../config/load.ts";
import type { Config } from "../../config/resolved.ts";
import { type Finding, GateError } from "../../errors.ts";
import { type Assembly, assemble } from "../../gate/assemble.ts";
import type { CaseResult } from "../../policy/cases.ts";
import { discover } from "../../policy/discover.ts";
import { displayPath } from "../../policy/display-path.ts";
import { openTokenVerifiers } from "../explain/token-verifiers.ts";
import { configFault } from "../report-findings.ts";
import { type CoverageReport, coverageOf } from "./coverage.ts";
import { namesOf, readScenarios } from "./read-scenarios.ts";
import type { TestResult } from "./result.ts";
import { runScenario } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";

type TestOptions = {
  /** Of names; without it, all run. */
  readonly filter?: string | undefined;
  readonly coverage?: true | undefined;
  /** Told which files and folders could change the outcome, before they are read. */
  readonly follow: (paths: readonly string[]) => void;
};

export type TestRun = {
  readonly results: readonly TestResult[];
  readonly coverage?: CoverageReport;
  /** What was read: the text of each file, by the path that results show. */
  readonly texts: ReadonlyMap<string, string>;
};

const ENDING = ".scenarios.yaml";
/** As `init` names it; followed before it is there. */
const USUAL_NAME = `claimgate${ENDING}`;
const FILE_LIMIT_BYTES = 1024 * 1024;

/**
 * @param file The configuration, as the owner typed it.
 * @throws GateError `usage_wrong` (no such file, nothing matches the filter), `config_invalid`
 *   with all findings: of the configuration, the policies or the scenarios.
 */
export async function runTests(file: string, options: TestOptions): Promise<TestRun> {
  const config = await loadConfig(file, process.env);
  if (!config.ok) throw configFault(file, config.error);
  const files = await scenarioFiles(config.value.folder);
  options.follow(followed(config.value, files));
  // A case that fails is a result here, and nothing that keeps the others from running.
  const lenient = { ...config.value, reload: { requireCases: false } };
  const assembly = await assemble(lenient, file);
  if (!assembly.ok) {
    // Cases that fail are not what is wrong: they would have been told as results.
    const errors = assembly.error.filter(({ severity }) => severity === "error");
    throw configFault(file, errors);
  }
  try {
    const texts = await readTexts(files);
    const scenarios = scenariosIn(texts, assembly.value);
    const results = await runAll(assembly.value, scenarios, options);
    const shown = results.filter((result) => isWanted(result, options.filter));
    if (shown.length === 0 && options.filter !== undefined) {
      const message = "no policy, case, scenario or file has that in its name";
      throw new GateError("usage_wrong", message);
    }
    const { files: modules } = await discover(config.value.policies);
    const covered = options.coverage && coverageOf(assembly.value.policies, modules, results);
    for (const module of modules) texts.set(displayPath(module.file), module.text);
    texts.set(file, await readFile(config.value.file, "utf8"));
    return { results: shown, texts, ...(covered && { coverage: covered }) };
  } finally {
    assembly.value.policies.dispose();
  }
}

async function scenarioFiles(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  return names
    .filter((name) => name.endsWith(ENDING) && !name.startsWith("."))
    .sort()
    .map((name) => join(folder, name));
}

function followed({ file, folder, policies, geo }: Config, files: readonly string[]): string[] {
  const all = new Set([file, policies, ...files, join(folder, USUAL_NAME)]);
  return geo === undefined ? [...all] : [...all, geo];
}

/** @throws GateError `config_invalid` */
async function readTexts(files: readonly string[]): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const file of files) {
    const shown = displayPath(file);
    if ((await stat(file)).size > FILE_LIMIT_BYTES) {
      throw new GateError(
        "config_invalid",
        `${shown} is larger than 1 MB: make several files of it`,
      );
    }
    texts.set(shown, await readFile(file, "utf8"));
  }
  return texts;
}

/** @throws GateError `config_invalid` with the findings of all files. */
function scenariosIn(
  texts: ReadonlyMap<string, string>,
  { config, policies }: Assembly,
): readonly Scenario[] {
  const names = namesOf(config, policies.policies.keys());
  const findings: Finding[] = [];
  const scenarios: Scenario[] = [];
  for (const [file, text] of texts) {
    const read = readScenarios(file, text, process.env, names, Date.now());
    if (read.ok) scenarios.push(...read.value);
    else findings.push(...read.error);
  }
  if (findings.length === 0) return scenarios;
  const errors = findings.length === 1 ? "1 error" : `${findings.length} errors`;
  throw new GateError("config_invalid", `the scenarios do not hold: ${errors}`, { findings });
}

/** All of them where lines are counted: a filter picks what is shown, not what is covered. */
async function runAll(
  assembly: Assembly,
  scenarios: readonly Scenario[],
  { filter, coverage }: TestOptions,
): Promise<readonly TestResult[]> {
  const tokens = openTokenVerifiers(assembly.config, { fetch: noNetwork, warn: () => {} });
  try {
    const isShipped = (name: string) => assembly.policies.policies.get(name)?.shipped === true;
    const results: TestResult[] = assembly.cases.map((one) => ({
      ...caseResult(one),
      ...(isShipped(one.policy) && { shipped: true }),
    }));
    for (const one of scenarios) {
      if (coverage || isWanted(one, filter)) results.push(await runScenario(one, assembly, tokens));
    }
    return results;
  } finally {
    tokens.close();
  }
}

async function noNetwork(): Promise<never> {
  throw new Error("tests have no network");
}

/** Whether it has the filter in one of its names, in whatever case. */
function isWanted(
  { policy = "", name, file }: Pick<TestResult, "policy" | "name" | "file">,
  filter: string | undefined,
): boolean {
  if (filter === undefined) return true;
  const wanted = filter.toLowerCase();
  return [policy, name, file].some((one) => one.toLowerCase().includes(wanted));
}

function caseResult({
  policy,
  name,
  ok,
  expected,
  actual,
  file,
  line,
  ms,
}: CaseResult): TestResult {
  const [verdict = "", code] = actual.split(" ");
  const said = verdict === "deny" && code !== undefined ? { verdict, code } : undefined;
  const known = verdict === "challenge" || verdict === "allow" ? { verdict } : undefined;
  const answer = said ?? known;
  return {
    kind: "case",
    policy,
    name,
    asked: answer === undefined ? [] : [{ name: policy, ...answer } as TestResult["asked"][number]],
    ok,
    expected: new Map([["", expected]]),
    actual: new Map([["", actual]]),
    file,
    line,
    ms,
  };
}
