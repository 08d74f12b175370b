/**
 * Identity headers: what the upstream is told of the token's owner.
 *
 * @module
 */
import { headerValue } from "../identity/header-value.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial, Token } from "../types.ts";
import type { Route } from "./site.ts";

type IdentityHeaders = readonly (readonly [header: string, value: string])[];

/**
 * @returns The headers that have a claim; the others stay removed. A claim that no header
 *   can carry is 403, `identity_unfit` to the operator.
 */
export function identify(route: Route, token: Token): Result<IdentityHeaders, Denial> {
  const known = route.identityCache.get(token);
  if (known !== undefined) return ok(known);
  const headers: [string, string][] = [];
  for (const [header, claim] of route.identity) {
    const value = headerValue(Object.hasOwn(token.claims, claim) ? token.claims[claim] : undefined);
    if (!value.ok) {
      const detail = `claim ${claim} does not fit the header ${header}`;
      return err({ status: 403, code: "policy_denied", reason: value.error, detail });
    }
    if (value.value !== undefined) headers.push([header, value.value]);
  }
  route.identityCache.set(token, headers);
  return ok(headers);
}
