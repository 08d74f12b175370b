/** Milliseconds of each unit. */
const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** No sign, no white space, no exponent. */
const DURATION = /^(\d{1,12})(?:\.(\d{1,6}))?(ms|s|m|h|d)$/;

/**
 * Reads a duration as people write it: `500ms`, `30s`, `1.5h`, `7d`.
 *
 * @returns Milliseconds, or `undefined` for anything else and for what no number holds exactly.
 */
export function parseDuration(text: string): number | undefined {
  const [, whole = "", fraction = "", unit = ""] = DURATION.exec(text) ?? [];
  const unitMs = UNIT_MS[unit];
  if (unitMs === undefined) return undefined;
  // Digits first, then the point: 1.001s is 1001 and not 1000.9999999999999.
  const digits = Number(whole + fraction) * unitMs;
  return Number.isSafeInteger(digits) ? digits / 10 ** fraction.length : undefined;
}
