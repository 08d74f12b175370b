/**
 * What nodes of a policy tree answer, and how answers become one verdict and what is recorded.
 *
 * @module
 */
import { byteString } from "../lib/byte-string.ts";
import type { PolicyOutcome } from "../types.ts";
import type { Leaf } from "./compose.ts";
import { NO_HEADERS, type Verdict } from "./verdict.ts";

/**
 * A verdict within the tree. `not` may turn a denial only if it is `own`: what policies
 * themselves decided. `instead` is what closes below a failed `any` whose last denial is own.
 */
export type Answer = Verdict & { readonly own?: boolean; readonly instead?: Answer };

export const ALLOW: Answer = Object.freeze({ kind: "allow", headers: NO_HEADERS });

export function mismatch(policy: string): Answer {
  const detail = "the token's claims do not fit the policy's schema";
  return { kind: "deny", policy, code: "claims_mismatch", detail, own: false };
}

export function negated(answer: Answer, name: string): Answer {
  switch (answer.kind) {
    case "allow":
      return {
        kind: "deny",
        policy: name,
        code: "negated",
        detail: "allowed, under not",
        own: true,
      };
    case "deny":
      return answer.own ? ALLOW : (answer.instead ?? answer);
    default:
      return answer;
  }
}

/** Of two headers of one name, in whatever case, the later wins. */
export function merged(
  first: Readonly<Record<string, string>>,
  later: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (later === NO_HEADERS) return first;
  const byName = new Map<string, readonly [string, string]>();
  for (const headers of [first, later]) {
    for (const entry of Object.entries(headers)) byName.set(entry[0].toLowerCase(), entry);
  }
  return Object.fromEntries(byName.values());
}

/** The answer without what only the tree needs. */
export function concluded(answer: Answer): Verdict {
  if (answer.kind === "allow") {
    const { headers, rateLimits } = answer;
    if (rateLimits === undefined && headers === NO_HEADERS) return ALLOW;
    const own = headers === NO_HEADERS ? headers : encoded(headers);
    return { kind: "allow", headers: own, ...(rateLimits && { rateLimits }) };
  }
  const { own: _own, instead: _instead, ...rest } = answer;
  if (rest.kind === "fault" || rest.unusual === undefined) return rest;
  const { unusual: _unusual, ...verdict } = rest;
  return verdict;
}

/** Header values as byte strings: UTF-8, one code unit a byte, as identity headers go. */
function encoded(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(headers).map(([name, value]) => [name, byteString(value)]);
  return Object.fromEntries(entries);
}

export function outcomeOf(leaf: Leaf, verdict: Verdict, exactMs: number): PolicyOutcome {
  // Microseconds: no clock here is more exact, and records are read by people.
  const ms = Math.round(exactMs * 1_000) / 1_000;
  const { shadow, policy, notes } = leaf;
  const unusual = notes && verdict.kind !== "fault" ? verdict.unusual : undefined;
  const outcome = {
    name: policy.name,
    verdict: verdict.kind,
    ms,
    shadow,
    ...(unusual !== undefined && { unusual }),
  };
  switch (verdict.kind) {
    case "deny":
    case "fault": {
      const { code, detail } = verdict;
      return detail === undefined ? { ...outcome, code } : { ...outcome, code, detail };
    }
    case "allow": {
      const { detail } = verdict;
      return detail === undefined ? outcome : { ...outcome, detail };
    }
    case "challenge":
      return outcome;
  }
}
