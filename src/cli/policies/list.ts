/**
 * What there is to know of each policy without asking it anything.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import { namedPolicies } from "../../config/named-policies.ts";
import type { Config } from "../../config/resolved.ts";
import type { PolicySet } from "../../policy/load.ts";

/** One entry in some route's policies. */
export type PolicyUse = {
  readonly route: string;
  readonly file: string;
  readonly line: number;
  /** Under `shadow`: recorded, never enforced. */
  readonly shadow: boolean;
};

export type ListedPolicy = {
  readonly name: string;
  readonly description: string;
  readonly shipped: boolean;
  /** Of the owner's own; shipped ones are in the executable. */
  readonly file?: string;
  /** JSON Schemas; null where the policy has none. */
  readonly options: TSchema | null;
  readonly claims: TSchema | null;
  /** How many cases it has. */
  readonly cases: number;
  /** In order of the file; empty where no configuration is known. */
  readonly uses: readonly PolicyUse[];
};

/** @param around The configuration that holds, and its path as the owner typed it. */
export function listPolicies(
  { policies }: PolicySet,
  around: { readonly config: Config; readonly file: string } | undefined,
): readonly ListedPolicy[] {
  const uses: ReadonlyMap<string, readonly PolicyUse[]> =
    around === undefined ? new Map() : usesIn(around.config, around.file);
  return [...policies.values()]
    .map(({ name, description, shipped, file, options, claims, cases }) => ({
      name,
      description,
      shipped,
      ...(!shipped && { file }),
      options: options ?? null,
      claims: claims ?? null,
      cases: cases.length,
      uses: uses.get(name) ?? [],
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function usesIn({ routes, positionOf }: Config, file: string): ReadonlyMap<string, PolicyUse[]> {
  const uses = new Map<string, PolicyUse[]>();
  for (const { name: route, policies } of routes) {
    for (const { ref, shadow } of namedPolicies(policies)) {
      const use = { route, file, line: positionOf(ref.path).line, shadow };
      uses.set(ref.name, [...(uses.get(ref.name) ?? []), use]);
    }
  }
  return uses;
}
