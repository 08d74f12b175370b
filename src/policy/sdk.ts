/**
 * What policies import as "claimgate".
 *
 * @module
 */
import { type Static, type TObject, type TSchema, Type } from "@sinclair/typebox";
import { createRangeMatcher } from "../lib/cidr.ts";
import { claimAt as lookUp } from "../lib/claim-at.ts";
import { parseDuration } from "../lib/duration.ts";
import { recall } from "./cache.ts";
import type {
  Allow,
  Challenge,
  Deny,
  PolicyDefinition,
  PolicyRateLimit,
  Revoke,
} from "./definition.ts";

export type {
  CaseHistory,
  Expectation,
  PolicyCase,
  PolicyClient,
  PolicyDefinition,
  PolicyInput,
  PolicyRateLimit,
  PolicyRequest,
  PolicyToken,
  PolicyVerdict,
  TokenHistory,
} from "./definition.ts";
/**
 * Schemas of claims and options (TypeBox). For strings there are the formats `cidr`
 * (`10.0.0.0/8`), `time-zone` (`Europe/Vienna`), `duration` (`15m`), `date` (`2026-12-24`),
 * `country` (`AT`), `pattern` (a regular expression), `header` (a header's name),
 * `upstream-header`: one that this policy sets, and `claim` (a claim's name, or a dotted path).
 * Where an option of the format `upstream-header` names a header, it is never taken from a client;
 * where one of the format `claim` names a claim, the audit keeps it like those that are declared.
 */
export { type Static, Type };

// biome-ignore lint/complexity/noBannedTypes: a schema without members is exactly what is meant
type Nothing = TObject<{}>;

/**
 * Makes a policy: the default export of a file in the policies folder.
 *
 * ```ts
 * export default definePolicy({
 *   description: "Lets staff pass",
 *   claims: Type.Object({ roles: Type.Array(Type.String()) }),
 *   evaluate: ({ claims }) => (claims.roles.includes("staff") ? allow() : deny("staff_only")),
 *   cases: [{ name: "staff passes", claims: { roles: ["staff"] }, expect: "allow" }],
 * });
 * ```
 */
export function definePolicy<C extends TSchema = Nothing, O extends TSchema = Nothing>(
  policy: PolicyDefinition<C, O>,
): PolicyDefinition<C, O> {
  return Object.freeze({ ...policy, [MADE_BY_DEFINE_POLICY]: true });
}

/** How the loader knows a policy from any other object. */
const MADE_BY_DEFINE_POLICY = Symbol.for("claimgate.policy");

const ALLOW: Allow = Object.freeze({ verdict: "allow" });

/**
 * Lets the request pass this policy.
 *
 * @param obligations `headers` are set on the request to the upstream. Of two policies that set
 *   one header the later wins, and the route's identity headers win over both. `rateLimit` says
 *   how often it may be: beyond that the answer is 429. Those of several policies all apply.
 *   `unusual` notes in the ledger what struck the policy, in snake_case, and changes nothing else.
 *   `detail` is one line for the operator, where it is not plain why this was allowed.
 */
export function allow(obligations?: {
  headers?: Readonly<Record<string, string>>;
  rateLimit?: PolicyRateLimit;
  detail?: string;
  unusual?: readonly string[];
}): Allow {
  return obligations === undefined ? ALLOW : { verdict: "allow", ...obligations };
}

/**
 * Refuses the request.
 *
 * @param code snake_case, for the operator: `role_missing`. The client sees `policy_denied`.
 * @param detail One line for the operator: what was wanted, never what the token holds.
 * @param obligations `revoke` invalidates besides what the request came with: the token, its
 *   session, or all that the subject has been given until now. It counts if this denial is what
 *   the route answers, never under `not` or `shadow`, and only a few times a minute for each
 *   policy: one that goes wrong must not lock everybody out.
 *   `unusual: true` notes the code in the ledger as something unusual, a list notes those words
 *   instead, even if another policy's answer is what the route answers; never under `not` or
 *   `shadow`. A denial that revokes is noted without being told to.
 */
export function deny(
  code: string,
  detail?: string,
  obligations?: { revoke?: Revoke; unusual?: true | readonly string[] },
): Deny {
  const { revoke, unusual } = obligations ?? {};
  return {
    verdict: "deny",
    code,
    ...(detail !== undefined && { detail }),
    ...(revoke !== undefined && { revoke }),
    ...(unusual !== undefined && { unusual }),
  };
}

/**
 * Asks the client for more: a stronger or fresher sign-in (`acr`, `maxAge` in seconds;
 * RFC 9470), or a token with more scopes (`scope`; RFC 6750).
 */
export function challenge(wanted: Omit<Challenge, "verdict">): Challenge {
  return { verdict: "challenge", ...wanted };
}

const matchers = new WeakMap<readonly string[], (canonicalIp: string) => boolean>();

/**
 * Whether an address lies in one of the ranges (`10.0.0.0/8`, `2001:db8::/32`, or one address).
 * A caller over a unix socket, whose address is "unix", is in none.
 *
 * @param ranges Read once for each list: pass the same one, as options are.
 * @throws RangeError for a range that cannot be read.
 */
export function inRange(ip: string, ranges: readonly string[]): boolean {
  let matches = matchers.get(ranges);
  if (matches === undefined) {
    matches = createRangeMatcher(ranges);
    matchers.set(ranges, matches);
  }
  return matches(ip);
}

/**
 * Looks a claim up as the configuration does: the member of exactly that name first, then
 * the dotted path (`realm_access.roles`).
 *
 * @returns `undefined` where there is none.
 */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  return lookUp(claims, path);
}

/**
 * Keeps what is slow to get: `load` is called for a key that is not known or older than `ttl`, once
 * for all who wait for it. What it throws is not kept. Each policy has up to 1,000 keys of its own,
 * over all its routes and options, until it is loaded anew; cases begin with none.
 *
 * ```ts
 * const groups = await cached("groups", "5m", async () => (await fetch(url)).json());
 * ```
 *
 * @param key All that the value depends on: `groups of ${token.subject}`.
 * @param ttl A duration: `30s`, `5m`.
 * @param load Has 10 s, and `fetch` within it, too: a value that comes after `policyTimeout` is
 *   there for the next request. Lists and plain objects in the value are frozen.
 * @param options `staleFor` lets a value serve so much longer where `load` fails or takes half of
 *   `policyTimeout`; it is then asked again every 5 s at most.
 * @returns Rejects with what `load` throws.
 */
export async function cached<T>(
  key: string,
  ttl: string,
  load: () => T | Promise<T>,
  options?: { staleFor?: string },
): Promise<T> {
  const ttlMs = milliseconds(ttl);
  const staleForMs = options?.staleFor === undefined ? 0 : milliseconds(options.staleFor);
  return (await recall(key, { ttlMs, staleForMs }, load)) as T;
}

/**
 * Milliseconds of a duration as the configuration writes it: `30s`, `15m`, `24h`, `7d`.
 *
 * @throws RangeError for anything else.
 */
export function milliseconds(duration: string): number {
  const ms = parseDuration(duration);
  if (ms === undefined) throw new RangeError("not a duration: write it like 30s, 15m or 24h");
  return ms;
}
