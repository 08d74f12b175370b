/**
 * Results as JUnit XML, as CI servers read it.
 *
 * @module
 */
import { groupsOf } from "./report.ts";
import { factsText, type TestResult } from "./result.ts";

/** A suite for each policy and each route. */
export function junitXml(results: readonly TestResult[]): string {
  const suites = [...groupsOf(results)].map(([title, group]) => {
    const cases = group.map((result) => caseXml(title, result)).join("");
    return `  <testsuite name="${escaped(title)}" ${countsOf(group)}>\n${cases}  </testsuite>\n`;
  });
  const head = `<?xml version="1.0" encoding="UTF-8"?>\n`;
  return `${head}<testsuites name="claimgate" ${countsOf(results)}>\n${suites.join("")}</testsuites>\n`;
}

function countsOf(results: readonly TestResult[]): string {
  const failed = results.filter(({ ok }) => !ok).length;
  const seconds = secondsOf(results.reduce((sum, { ms }) => sum + ms, 0));
  return `tests="${results.length}" failures="${failed}" errors="0" time="${seconds}"`;
}

function caseXml(
  title: string,
  { name, ok, expected, actual, file, line, ms }: TestResult,
): string {
  const what = `name="${escaped(name)}" classname="${escaped(title)}"`;
  const where = `file="${escaped(file)}" line="${line}" time="${secondsOf(ms)}"`;
  if (ok) return `    <testcase ${what} ${where}/>\n`;
  const [wanted, found] = [factsText(expected), factsText(actual)];
  const message = escaped(`expected ${wanted}, got ${found}`);
  const text = escaped(`${file}:${line}\nexpected: ${wanted}\nactual:   ${found}`);
  return `    <testcase ${what} ${where}>\n      <failure message="${message}">${text}</failure>\n    </testcase>\n`;
}

function secondsOf(ms: number): string {
  return (ms / 1_000).toFixed(6);
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** What XML 1.0 §2.2 has no way to write becomes a question mark. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "?")
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}
