import { expect, test } from "bun:test";
import type { TestResult } from "../../../src/cli/test/result.ts";
import type { TestRun } from "../../../src/cli/test/run-tests.ts";
import { touchedResults } from "../../../src/cli/test/touched.ts";

const facts = new Map([["", "allow"]]);
const base = { ok: true, expected: facts, actual: facts, line: 1, ms: 1 } as const;
const caseOf = (policy: string): TestResult => ({
  ...base,
  kind: "case",
  name: `case of ${policy}`,
  policy,
  asked: [{ name: policy, verdict: "allow" }],
  file: `policies/${policy}.ts`,
});
const scenarioIn = (file: string, ...policies: string[]): TestResult => ({
  ...base,
  kind: "scenario",
  name: `scenario in ${file}`,
  route: "home",
  asked: policies.map((name) => ({ name, verdict: "allow" as const })),
  file,
});

const results = [
  caseOf("staff"),
  caseOf("hours"),
  scenarioIn("a.scenarios.yaml", "staff"),
  scenarioIn("b.scenarios.yaml", "staff", "hours"),
  { ...scenarioIn("c.scenarios.yaml"), ok: false, name: "fails" },
];
const files = [
  "claimgate.yaml",
  "policies/staff.ts",
  "policies/hours.ts",
  "policies/_help.ts",
  "a.scenarios.yaml",
  "b.scenarios.yaml",
  "c.scenarios.yaml",
];
const run = (changed?: string): TestRun => ({
  results,
  texts: new Map(files.map((file) => [file, file === changed ? "new" : "old"])),
});
const touchedBy = (changed: string) => touchedResults(run(), run(changed)).map(({ name }) => name);
const ALL = results.map(({ name }) => name);

test.each([
  ["policies/hours.ts", ["case of hours", "scenario in b.scenarios.yaml", "fails"]],
  ["a.scenarios.yaml", ["scenario in a.scenarios.yaml", "fails"]],
  ["policies/_help.ts", ALL],
  ["claimgate.yaml", ALL],
  ["nothing at all", ALL],
])("%s touches %j", (changed, names) => {
  expect(touchedBy(changed)).toEqual(names);
});

test("the first run, and one after a file has gone, show all", () => {
  expect(touchedResults(undefined, run())).toEqual(results);
  const former = run();
  const more = new Map([...former.texts, ["policies/gone.ts", "old"]]);
  expect(touchedResults({ ...former, texts: more }, run())).toEqual(results);
});
