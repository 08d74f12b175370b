/**
 * Results for people: by policy and by route, with what differs where one fails.
 *
 * @module
 */
import { counted, type Paint, visible } from "../paint.ts";
import type { CoverageReport } from "./coverage.ts";
import { type Facts, factsText, type TestResult } from "./result.ts";

/** @returns Whole lines. */
export function resultsText(results: readonly TestResult[], paint: Paint): string {
  const each = (result: TestResult) => lineOf(result, paint);
  let text = "";
  for (const [title, group] of groupsOf(results)) {
    text += `${paint(visible(title), "bold")}\n`;
    text += isKnownGood(group) ? lineOfAll(group, paint) : group.map(each).join("");
    text += "\n";
  }
  return `${text}${summaryOf(results, paint)}\n`;
}

/** In the order in which they ran: policies, then routes. */
export function groupsOf(
  results: readonly TestResult[],
): ReadonlyMap<string, readonly TestResult[]> {
  const groups = new Map<string, TestResult[]>();
  for (const result of results) {
    const title = titleOf(result);
    const group = groups.get(title);
    if (group === undefined) groups.set(title, [result]);
    else group.push(result);
  }
  return groups;
}

function titleOf({ policy, route }: TestResult): string {
  if (policy !== undefined) return `policy ${policy}`;
  return route === undefined ? "no route" : `route ${route}`;
}

/** Nobody's work: what comes with the binary and holds. */
function isKnownGood(group: readonly TestResult[]): boolean {
  return group.every(({ ok, shipped }) => ok && shipped === true);
}

function lineOfAll(group: readonly TestResult[], paint: Paint): string {
  const ms = group.reduce((sum, one) => sum + one.ms, 0);
  const took = paint(`${ms.toFixed(1)} ms`, "dim");
  const cases = `${counted(group.length, "case")} that ${group.length === 1 ? "comes" : "come"} with the binary`;
  return `  ${paint("✓", "green")} ${cases}  ${took}\n`;
}

function lineOf(result: TestResult, paint: Paint): string {
  const { ok, name, file, line, ms } = result;
  const mark = ok ? paint("✓", "green") : paint("✗", "red");
  const place = ok ? "" : `  ${visible(file)}:${line}`;
  const took = paint(`${ms.toFixed(1)} ms`, "dim");
  const head = `  ${mark} ${visible(name)}${paint(place, "dim")}  ${took}\n`;
  return ok ? head : head + diffText(result, paint);
}

/** What was expected and is not so, then what is; what both say stands between. */
function diffText({ expected, actual }: TestResult, paint: Paint): string {
  const lines: string[] = [];
  for (const name of new Set([...expected.keys(), ...actual.keys()])) {
    const [wanted, found] = [expected.get(name), actual.get(name)];
    if (wanted === found) lines.push(paint(`      ${word(name, wanted)}`, "dim"));
    else {
      if (wanted !== undefined) lines.push(paint(`    - ${word(name, wanted)}`, "red"));
      if (found !== undefined) lines.push(paint(`    + ${word(name, found)}`, "green"));
      else if (wanted !== undefined) lines.push(paint(`    + ${word(name, "(none)")}`, "green"));
    }
  }
  const legend = paint("      - expected  + actual", "dim");
  return `${legend}\n${lines.join("\n")}\n`;
}

function word(name: string, value = ""): string {
  return visible(name === "" ? value : `${name}: ${value}`);
}

/** `14 passed, 1 failed (23.4 ms)`. */
function summaryOf(results: readonly TestResult[], paint: Paint): string {
  const failed = results.filter(({ ok }) => !ok).length;
  const passed = results.length - failed;
  const ms = results.reduce((sum, one) => sum + one.ms, 0);
  const counts = failed === 0 ? `${passed} passed` : `${passed} passed, ${failed} failed`;
  const took = paint(`(${ms.toFixed(1)} ms)`, "dim");
  return `${paint(counts, failed === 0 ? "green" : "red")} ${took}`;
}

/** What `--json` prints: nothing but what the contract names. */
export function resultsJson(results: readonly TestResult[]): object {
  const failed = results.filter(({ ok }) => !ok).length;
  const text = (facts: Facts) => factsText(facts);
  const cases = results.map(({ kind, policy, name, ok, expected, actual, file, line, ms }) => ({
    ...(kind === "case" ? { policy } : { scenario: name }),
    name,
    ok,
    expected: text(expected),
    actual: text(actual),
    file,
    line,
    ms,
  }));
  return { passed: results.length - failed, failed, cases };
}

/** @returns Whole lines. */
export function coverageText({ files, verdicts }: CoverageReport, paint: Paint): string {
  if (files.length === 0) return "There are no policies of your own to cover\n";
  const width = Math.max("lines of".length, ...files.map(({ file }) => file.length));
  let text = paint(`${"lines of".padEnd(width)}   reached  not reached\n`, "bold");
  for (const { file, percent, missed } of files) {
    const share = percent === undefined ? "-" : `${Math.floor(percent)} %`;
    const rest = percent === undefined ? "no policy imports it" : missed;
    const line = `${visible(file).padEnd(width)}  ${share.padStart(8)}  ${rest.replaceAll(",", ", ")}`;
    const tint = missed === "" && percent !== undefined ? "green" : "yellow";
    text += `${paint(line.trimEnd(), tint)}\n`;
  }
  text += "\n";
  if (verdicts.length === 0) return `${text}${paint("every code is reached", "green")}\n`;
  const missing = verdicts.reduce((sum, { codes }) => sum + codes.length, 0);
  text += `${paint(`${counted(missing, "answer")} that nothing reaches`, "bold")}\n`;
  for (const { policy, codes } of verdicts) {
    text += `${paint(visible(`  ${policy}: ${codes.join(", ")}`), "yellow")}\n`;
  }
  return text;
}
