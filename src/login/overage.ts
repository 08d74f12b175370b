/**
 * Claims that a provider left out of the ID token because there are too many of them, and names
 * instead (OpenID Connect Core §5.6.2): Entra ID does so with more than 200 groups.
 *
 * @module
 */
import type { ProviderClaims } from "./provider.ts";

/** Names a person may read in a log line. */
const NAME = /^[\w.:/-]{1,100}$/;
const MOST_NAMES = 10;

/** @returns The names of claims that are elsewhere and not here. */
export function overageOf(claims: ProviderClaims): readonly string[] {
  const names = claims._claim_names;
  if (typeof names !== "object" || names === null) return [];
  return Object.keys(names)
    .filter((name) => !Object.hasOwn(claims, name) && NAME.test(name))
    .slice(0, MOST_NAMES);
}
