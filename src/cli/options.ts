/**
 * The options that several commands have in common, so that they are written and read alike.
 *
 * @module
 */
import { GateError } from "../errors.ts";

export const USUAL_CONFIG = "claimgate.yaml";

export const CONFIG_OPTION = ["--config <file>", "configuration file", USUAL_CONFIG] as const;

/** What a list shows without `--limit`. */
export const MOST_LISTED = 1_000;

/** @throws GateError `usage_wrong` */
export function readLimit(written: string | undefined, usual = MOST_LISTED): number {
  if (written === undefined) return usual;
  const limit = /^\d{1,9}$/.test(written) ? Number(written) : 0;
  if (limit > 0) return limit;
  throw new GateError("usage_wrong", "--limit takes a whole number from 1 on");
}

/** For an option that may be given several times. */
export function collect(value: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, value];
}
