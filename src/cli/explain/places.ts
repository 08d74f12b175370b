/**
 * Where policies stand: in the configuration, and in their own files.
 *
 * @module
 */

import { namedPolicies } from "../../config/named-policies.ts";
import type { Config, RouteConfig } from "../../config/resolved.ts";
import type { LoadedPolicy } from "../../policy/load.ts";
import type { PolicyOutcome } from "../../types.ts";
import type { ExplainedPolicy } from "./explanation.ts";

/** A policy as a route names it. */
export type PlacedPolicy = {
  readonly name: string;
  readonly shadow: boolean;
  readonly options: unknown;
  /** `claimgate.yaml:12`. */
  readonly place: string;
};

/** @returns In the order in which they are asked. */
export function placedPolicies(
  { policies }: RouteConfig,
  { positionOf }: Pick<Config, "positionOf">,
  file: string,
): readonly PlacedPolicy[] {
  return namedPolicies(policies).map(({ ref: { name, options, path }, shadow }) => {
    return { name, options, place: `${file}:${positionOf(path).line}`, shadow };
  });
}

/**
 * Puts outcomes and places together. An outcome has no place of its own: where a policy is named
 * several times and was not asked each time, any of them may be meant, and all are told.
 */
export function explainPolicies(
  outcomes: readonly PolicyOutcome[],
  placed: readonly PlacedPolicy[],
  policyOf: (name: string) => LoadedPolicy | undefined,
): { readonly policies: readonly ExplainedPolicy[]; readonly notAsked: readonly string[] } {
  const policies = outcomes.map((outcome): ExplainedPolicy => {
    const isAlike = (one: { readonly name: string; readonly shadow: boolean }) =>
      one.name === outcome.name && one.shadow === outcome.shadow;
    const candidates = placed.filter(isAlike);
    const same = outcomes.filter(isAlike);
    const exact = candidates[same.indexOf(outcome)];
    const meant = candidates.length === same.length && exact ? [exact] : candidates;
    const policy = policyOf(outcome.name);
    const [only] = meant;
    return {
      outcome,
      places: meant.map(({ place }) => place),
      source: policy && `${policy.file}:${lineOf(policy.source, outcome)}`,
      options: meant.length === 1 && only?.options !== undefined ? jsonOf(only.options) : undefined,
    };
  });
  const asked = new Set(outcomes.map(keyOf));
  const notAsked = placed
    .filter((one) => !asked.has(keyOf(one)))
    .map(({ name, place }) => `${name} (${place})`);
  return { policies, notAsked };
}

function keyOf({ name, shadow }: { readonly name: string; readonly shadow: boolean }): string {
  return `${shadow ? "shadow" : "enforced"} ${name}`;
}

const LONGEST_OPTIONS = 500;

function jsonOf(options: unknown): string {
  const text = JSON.stringify(options) ?? "";
  return text.length <= LONGEST_OPTIONS ? text : `${text.slice(0, LONGEST_OPTIONS)}…`;
}

/** The line that answers with the outcome's code, as far as it is written out; else where it is asked. */
function lineOf(source: string, { code }: PolicyOutcome): number {
  const lines = source.split("\n");
  const answer =
    code === undefined
      ? -1
      : lines.findIndex((line) => line.includes(`deny("${code}"`) || line.includes(`"${code}",`));
  const evaluate = lines.findIndex((line) => /\bevaluate\b\s*[(:]/.test(line));
  return Math.max(answer >= 0 ? answer : evaluate, 0) + 1;
}
