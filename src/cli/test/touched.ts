/**
 * What a change of files touches, so that a watch shows that alone.
 *
 * @module
 */
import { policyNameOf } from "../../policy/discover.ts";
import type { TestResult } from "./result.ts";
import type { TestRun } from "./run-tests.ts";

/** @returns Those, and whatever fails; all results where it cannot be told. */
export function touchedResults(former: TestRun | undefined, run: TestRun): readonly TestResult[] {
  if (former === undefined) return run.results;
  const files = new Set([...run.texts.keys(), ...former.texts.keys()]);
  const changed = [...files].filter((file) => run.texts.get(file) !== former.texts.get(file));
  const isKnown = changed.every((file) => isScenarios(file) || isPolicy(file, run));
  // A helper is anybody's, and a configuration everybody's.
  if (changed.length === 0 || !isKnown) return run.results;
  const policies = new Set(
    run.results.filter(({ file }) => changed.includes(file)).map(({ policy }) => policy),
  );
  return run.results.filter(
    ({ ok, file, asked }) =>
      !ok || changed.includes(file) || asked.some(({ name }) => policies.has(name)),
  );
}

function isScenarios(file: string): boolean {
  return file.endsWith(".scenarios.yaml");
}

/** One that has cases, so that its name is known. */
function isPolicy(file: string, { results }: TestRun): boolean {
  const isModule = file.endsWith(".ts") && policyNameOf(file) !== undefined;
  return isModule && results.some((result) => result.kind === "case" && result.file === file);
}
