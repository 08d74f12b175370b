/**
 * Reads what one run of `bun test` reported (JUnit XML). By its fixed shape, not as XML: test
 * names may hold characters that XML cannot.
 *
 * @module
 */

export type Report = {
  readonly passed: number;
  readonly failed: number;
  /** Full names of skipped tests, groups first: `tunnel (needs nginx) > echoes`. */
  readonly skipped: readonly string[];
};

const TOTALS = /<testsuites [^>]*\btests="(\d+)"[^>]*\bfailures="(\d+)" skipped="(\d+)"/;

const SKIPPED = /<testcase name="([^"]*)" classname="([^"]*)"[^>]*>\s*<skipped\b/g;

const ENTITIES: Readonly<Record<string, string>> = {
  "&lt;": "<",
  "&gt;": ">",
  "&quot;": '"',
  "&apos;": "'",
  "&amp;": "&",
};

/** @returns `undefined` when this is no report: the run ended before it could write one. */
export function readReport(text: string): Report | undefined {
  const totals = TOTALS.exec(text);
  if (totals === null) return undefined;
  const [tests, failed, skippedCount] = totals.slice(1).map(Number);
  if (tests === undefined || failed === undefined || skippedCount === undefined) return undefined;
  const skipped = [...text.matchAll(SKIPPED)].map(([, name = "", group = ""]) =>
    // Bun names groups from the inside out.
    [...plainText(group).split(" > ").reverse(), plainText(name)]
      .filter((part) => part !== "")
      .join(" > "),
  );
  return skipped.length === skippedCount
    ? { passed: tests - failed - skippedCount, failed, skipped }
    : undefined;
}

function plainText(text: string): string {
  return text.replace(/&(?:lt|gt|quot|apos|amp);/g, (entity) => ENTITIES[entity] ?? entity);
}
