import type { PolicyRef, RouteConfig } from "./resolved.ts";

type NamedPolicy = {
  readonly ref: Extract<PolicyRef, { kind: "policy" }>;
  /** Under `shadow`: recorded, never enforced. */
  readonly shadow: boolean;
};

/** Every policy that is named in `refs`, however deep, in the order in which they are asked. */
export function namedPolicies(refs: readonly PolicyRef[]): readonly NamedPolicy[] {
  return refs.flatMap(namedIn);
}

/** The names of all policies that these routes ask. */
export function policyNames(routes: readonly Pick<RouteConfig, "policies">[]): ReadonlySet<string> {
  return new Set(
    routes.flatMap(({ policies }) => namedPolicies(policies)).map(({ ref }) => ref.name),
  );
}

function namedIn(ref: PolicyRef): readonly NamedPolicy[] {
  switch (ref.kind) {
    case "policy":
      return [{ ref, shadow: false }];
    case "shadow":
      return namedIn(ref.of).map((named) => ({ ...named, shadow: true }));
    case "not":
      return namedIn(ref.of);
    case "all":
    case "any":
      return namedPolicies(ref.of);
  }
}
