/**
 * What the audit keeps of a decision or of an administrator's act, as `claimgate audit --json`
 * prints it. Pure: nothing here looks at a clock, a store or a configuration file.
 *
 * @module
 */
import type { AuditConfig, RouteConfig } from "../config/resolved.ts";
import { claimAt } from "../lib/claim-at.ts";
import type { RecordIndex } from "../store/store.ts";
import type { Denial, Device, Inquiry, PolicyOutcome, Token } from "../types.ts";

export type AuditEntry = DecisionEntry | ActEntry;

export type DecisionEntry = {
  readonly kind: "decision";
  readonly requestId: string;
  /** When the request arrived, by which it was decided: ISO 8601, UTC. */
  readonly at: string;
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Empty, like `path`, for a request that could not be read. */
  readonly host: string;
  readonly path: string;
  /** The names in `audit.query` alone; a list where a name is given more than once. */
  readonly query?: Readonly<Record<string, string | readonly string[]>> | undefined;
  readonly client: {
    readonly ip: string;
    readonly country?: string | undefined;
    readonly device?: Device | undefined;
  };
  readonly route?: string | undefined;
  readonly decision: "forward" | "deny";
  readonly status: number;
  readonly code?: string | undefined;
  /** A policy's own code, a refusal's reason. */
  readonly reason?: string | undefined;
  readonly detail?: string | undefined;
  /** The policy that denied, or broke. */
  readonly policy?: string | undefined;
  /** Of a policy that broke. */
  readonly stack?: string | undefined;
  readonly token?: AuditedToken | undefined;
  /** What `audit.claims` keeps. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  /** Of the names that `audit.claims` keeps, those that the token did not have. */
  readonly claimsAbsent?: readonly string[] | undefined;
  readonly policies: readonly PolicyOutcome[];
  /** Until the answer began. */
  readonly ms: number;
};

type AuditedToken = {
  /** The issuer's name in the configuration. */
  readonly issuer: string;
  readonly subject: string;
  /** The public id: a short keyed hash, the same that `claimgate tokens` shows. */
  readonly id?: string | undefined;
  readonly issuedAt?: string | undefined;
  readonly expiresAt: string;
};

export type ActEntry = {
  readonly kind: "act";
  readonly at: string;
  /** `cli`, `admin`, `policy NAME`, `gate`. */
  readonly actor: string;
  /** `revoke`, `unrevoke`, `reload`, … */
  readonly act: string;
  /** What it was done to, by public ids; never a token. */
  readonly target: string;
  readonly reason?: string;
};

/** What a configuration says of entries, made once for each configuration in force. */
export type EntryPlan = {
  readonly claims: "declared" | readonly string[];
  readonly query: readonly string[];
};

/** @returns A plan that keeps no query parameter in which any route takes a credential. */
export function entryPlan(
  { claims, query }: Pick<AuditConfig, "claims" | "query">,
  routes: readonly Pick<RouteConfig, "credentials">[],
): EntryPlan {
  const credentials = new Set(
    routes
      .flatMap((route) => route.credentials)
      .flatMap((place) => (place.kind === "query" ? [place.name] : [])),
  );
  return { claims, query: query.filter((name) => !credentials.has(name)) };
}

/** All that the gate knows of a decision once it has ended. */
type DecisionParts = {
  readonly inquiry: AuditedInquiry;
  readonly route?: string;
  readonly token?: Token;
  /** The token's public id. */
  readonly tokenId?: string;
  /** What the route's program declares or its options name; nothing where it has none. */
  readonly declaredClaims?: readonly string[];
  readonly policies: readonly PolicyOutcome[];
  /** Until the answer began. */
  readonly ms: number;
} & ({ readonly denial: Denial } | { readonly status: number });

/** An `Inquiry` as it is; of a request that could not be read, what is known of it. */
type AuditedInquiry = Pick<
  Inquiry,
  "id" | "method" | "scheme" | "host" | "path" | "query" | "nowMs"
> & {
  readonly client: {
    readonly ip: string;
    readonly country?: string | undefined;
    readonly device?: Device;
  };
};

/** @returns What is kept: of the query and of the claims nothing but what the plan names. */
export function decisionEntry(plan: EntryPlan, parts: DecisionParts): DecisionEntry {
  const { inquiry, token } = parts;
  const denial = "denial" in parts ? parts.denial : undefined;
  // One literal with all members, and no spreads: this is made for every request.
  return {
    kind: "decision",
    requestId: inquiry.id,
    at: isoTime(inquiry.nowMs),
    method: inquiry.method,
    scheme: inquiry.scheme,
    host: inquiry.host,
    path: inquiry.path,
    query: keptQuery(plan.query, inquiry.query),
    client: {
      ip: inquiry.client.ip,
      country: inquiry.client.country,
      device: inquiry.client.device,
    },
    route: parts.route,
    decision: "denial" in parts ? "deny" : "forward",
    status: "denial" in parts ? parts.denial.status : parts.status,
    code: denial?.code,
    reason: denial?.reason,
    detail: denial?.detail,
    policy: denial?.policy,
    stack: denial?.stack,
    token: token && tokenFields(token, parts.tokenId),
    claims: token && keptClaims(plan, parts.declaredClaims, token),
    claimsAbsent: token && absentClaims(plan, parts.declaredClaims, token),
    policies: parts.policies,
    ms: parts.ms,
  };
}

function tokenFields({ issuerName, subject, issuedAt, expiresAt }: Token, id: string | undefined) {
  return {
    issuer: issuerName,
    subject,
    id,
    issuedAt: issuedAt === undefined ? undefined : isoTime(issuedAt * 1_000),
    expiresAt: isoTime(expiresAt * 1_000),
  };
}

const NO_NAMES: readonly string[] = [];

function keptClaims(
  plan: EntryPlan,
  declared: readonly string[] = NO_NAMES,
  { claims }: Token,
): Record<string, unknown> {
  // Without a prototype a claim `__proto__` is one like any other.
  const kept: Record<string, unknown> = Object.create(null);
  if (plan.claims === "declared" && Object.hasOwn(claims, "sub")) kept.sub = claims.sub;
  for (const name of plan.claims === "declared" ? declared : plan.claims) {
    const value = claimAt(claims, name);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

/** What was looked for and not there is known, too: a replay must not take it for what was not kept. */
function absentClaims(
  plan: EntryPlan,
  declared: readonly string[] = NO_NAMES,
  { claims }: Token,
): readonly string[] | undefined {
  let absent: string[] | undefined;
  for (const name of plan.claims === "declared" ? declared : plan.claims) {
    if (claimAt(claims, name) !== undefined) continue;
    absent ??= [];
    absent.push(name);
  }
  return absent;
}

function keptQuery(names: readonly string[], query: string): DecisionEntry["query"] {
  if (names.length === 0 || query.length < 2) return undefined;
  const given = new URLSearchParams(query);
  const kept: Record<string, string | readonly string[]> = Object.create(null);
  let count = 0;
  for (const name of names) {
    const values = given.getAll(name);
    const [first] = values;
    if (first === undefined) continue;
    kept[name] = values.length === 1 ? first : values;
    count += 1;
  }
  return count === 0 ? undefined : kept;
}

/** The farthest from 1970 that a `Date` goes (ECMA-262 §21.4.1.1); a token may say more. */
const LAST_MS = 8.64e15;

/** @param ms Any number: what lies in a store may have been tampered with. */
export function isoTime(ms: number): string {
  return new Date(Math.max(-LAST_MS, Math.min(ms, LAST_MS))).toISOString();
}

/** What the store searches by. It can be made again from a record's body, and so be verified. */
export function recordIndex(entry: AuditEntry): RecordIndex {
  if (entry.kind === "act") return { kind: "act", denied: false };
  const { requestId, token, route, code, decision } = entry;
  return {
    kind: "decision",
    requestId,
    ...(token !== undefined && { subject: token.subject }),
    ...(route !== undefined && { route }),
    ...(code !== undefined && { code }),
    denied: decision === "deny",
  };
}
