/**
 * Durations, sizes and counts with their defaults and bounds.
 *
 * @module
 */
import { parseDuration } from "../lib/duration.ts";
import { parseSize } from "../lib/size.ts";
import type { Report } from "./report.ts";
import type { YamlPath } from "./resolved.ts";

/** As the owner would write them; both ends are allowed. */
export type Bounds = { readonly from: string; readonly to: string };

type Unit = {
  readonly parse: (text: string) => number | undefined;
  readonly noun: string;
  readonly examples: string;
};

const DURATION: Unit = {
  parse: parseDuration,
  noun: "a duration",
  examples: "500ms, 30s, 5m, 24h, 7d",
};
const SIZE: Unit = { parse: parseSize, noun: "a size", examples: "512B, 16KB, 10MB, 1GB" };

/**
 * @param text As written; absent for the default.
 * @returns Milliseconds; the default where something was reported.
 */
export function readDurationMs(
  text: string | undefined,
  preset: string,
  bounds: Bounds,
  path: YamlPath,
  report: Report,
): number {
  return readQuantity(DURATION, text, preset, bounds, path, report);
}

/** @returns Bytes; otherwise as `readDurationMs`. */
export function readSizeBytes(
  text: string | undefined,
  preset: string,
  bounds: Bounds,
  path: YamlPath,
  report: Report,
): number {
  return readQuantity(SIZE, text, preset, bounds, path, report);
}

/** @param range Both ends are allowed. @returns The default where something was reported. */
export function readCount(
  count: number | undefined,
  preset: number,
  [from, to]: readonly [number, number],
  path: YamlPath,
  report: Report,
): number {
  if (count === undefined) return preset;
  if (count >= from && count <= to) return count;
  report.at(path, {
    code: "value_out_of_range",
    message: `${String(path.at(-1))} must be from ${from} to ${to}`,
    fix: `write a value in that range; the default is ${preset}`,
  });
  return preset;
}

function readQuantity(
  unit: Unit,
  text: string | undefined,
  preset: string,
  { from, to }: Bounds,
  path: YamlPath,
  report: Report,
): number {
  const fallback = parseKnown(unit, preset);
  if (text === undefined) return fallback;
  const value = unit.parse(text);
  const key = String(path.at(-1));
  if (value === undefined) {
    report.at(path, {
      code: "value_invalid",
      message: `${key} must be ${unit.noun}`,
      fix: `write a number and its unit, for example ${unit.examples}`,
    });
    return fallback;
  }
  if (value < parseKnown(unit, from) || value > parseKnown(unit, to)) {
    report.at(path, {
      code: "value_out_of_range",
      message: `${key} must be from ${from} to ${to}`,
      fix: `write a value in that range; the default is ${preset}`,
    });
    return fallback;
  }
  return value;
}

function parseKnown(unit: Unit, text: string): number {
  const value = unit.parse(text);
  if (value === undefined) throw new TypeError(`${text} is not ${unit.noun}`);
  return value;
}
