/**
 * The string formats that schemas of policies may name, on top of TypeBox, which knows none.
 *
 * @module
 */
import { FormatRegistry } from "@sinclair/typebox";
import { parseRange } from "../lib/cidr.ts";
import { parseDuration } from "../lib/duration.ts";
import { HEADER_NAME, headerProblem } from "./verdict.ts";

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  cidr: (text) => parseRange(text) !== undefined,
  "time-zone": isTimeZone,
  duration: (text) => parseDuration(text) !== undefined,
  date: isDate,
  country: (text) => /^[A-Z]{2}$/.test(text), // ISO 3166-1 alpha-2
  pattern: isPattern,
  header: (text) => text.length <= 128 && HEADER_NAME.test(text),
  "upstream-header": (text) => headerProblem(text, "") === undefined,
  claim: (text) => text !== "",
};

/** What each format wants, for findings. */
export const FORMAT_HINTS: Readonly<Record<string, string>> = {
  cidr: "a range of addresses like 10.0.0.0/8",
  "time-zone": "a time zone like Europe/Vienna",
  duration: "a duration like 15m",
  date: "a date like 2026-12-24",
  country: "a country code like AT",
  pattern: "a regular expression",
  header: "the name of a header",
  "upstream-header": "the name of a header that policies may set",
  claim: "the name of a claim, or a dotted path like org.plan",
};

/**
 * Makes the formats known to TypeBox. Its registry is shared by the process, and another
 * library may have put a laxer `date` or `duration` there, so this is done before each compilation.
 */
export function registerFormats(): void {
  for (const [name, holds] of Object.entries(FORMATS)) FormatRegistry.Set(name, holds);
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false; // the constructor is the only test there is
  }
}

function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false;
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function isPattern(text: string): boolean {
  try {
    new RegExp(text, "u");
    return true;
  } catch {
    return false; // the constructor is the only test there is
  }
}
