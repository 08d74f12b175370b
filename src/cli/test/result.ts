/**
 * What became of a case or of a scenario.
 *
 * @module
 */
import type { PolicyOutcome } from "../../types.ts";

/** What is compared, in the order in which it is shown: `status 403`. */
export type Facts = ReadonlyMap<string, string>;

export type TestResult = {
  readonly kind: "case" | "scenario";
  readonly name: string;
  /** Of a case: whose it is. */
  readonly policy?: string;
  /** Of a case: set where its policy is one of those in the binary. */
  readonly shipped?: true;
  /** Of a scenario: who would have answered. */
  readonly route?: string;
  /** Policies that had a say in it. */
  readonly asked: readonly Pick<PolicyOutcome, "name" | "verdict" | "code">[];
  readonly ok: boolean;
  readonly expected: Facts;
  readonly actual: Facts;
  readonly file: string;
  readonly line: number;
  readonly ms: number;
};

/** @returns `decision deny, status 403`; a fact without a name is its own text. */
export function factsText(facts: Facts): string {
  return [...facts].map(([name, value]) => `${name} ${value}`.trim()).join(", ");
}
