/**
 * Limits on the request's way: an address whose credentials keep failing is turned away
 * before anything is verified, and who may pass may pass only so often.
 *
 * Nothing is counted of a request that is refused, and nothing but failures of one that was
 * denied.
 *
 * @module
 */
import type { AddressLimitConfig, RouteConfig } from "../config/resolved.ts";
import { bucketKey } from "../limits/bucket-key.ts";
import { networkOfClient } from "../limits/network.ts";
import type { Charge, Charged, Limiter } from "../limits/rate.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial, DenialCode, Inquiry, LimitStanding, RateLimit, Token } from "../types.ts";

/**
 * Denials that count against an address: a credential was sent and does not hold. One that was
 * not sent says nothing (a browser on its way to sign in), nor does what the gate cannot tell.
 */
const FAILURES: ReadonlySet<DenialCode> = new Set([
  "token_invalid",
  "token_expired",
  "token_revoked",
]);

/**
 * Before the decision, so that guessing costs no cryptography. It counts for all that comes
 * from the address.
 *
 * @returns The denial if the address has failed too often.
 */
export function limitAddress(
  limiter: Limiter,
  limit: AddressLimitConfig | undefined,
  { client }: Inquiry,
): Denial | undefined {
  if (limit === undefined) return undefined;
  const taken = limiter.peekFailures(failureKey(limit, client.ip), limit);
  if (taken.allowed) return undefined;
  return limited({ ...taken, bucket: limit }, "address_failures");
}

/** After the decision, with its denial. */
export function noteFailure(
  limiter: Limiter,
  limit: AddressLimitConfig | undefined,
  { client }: Inquiry,
  { code }: Denial,
): void {
  if (limit === undefined || !FAILURES.has(code)) return;
  limiter.noteFailure(failureKey(limit, client.ip), limit);
}

function failureKey(limit: AddressLimitConfig, ip: string): string {
  return bucketKey("failures", limit, networkOfClient(ip));
}

/** What may be limited of a request that may pass. */
export type Passing = {
  readonly route: RouteConfig;
  /** Absent on a public route. */
  readonly token?: Token | undefined;
  readonly inquiry: Inquiry;
  /** What policies asked for. */
  readonly rateLimits?: readonly RateLimit[] | undefined;
};

const UNLIMITED = ok(undefined);

/**
 * After the decision to forward: takes from the route's bucket and from those that policies
 * asked for, from all or from none.
 *
 * @returns Where the client stands with the limit that it is nearest to, if there is any; or
 *   the denial. At once, unless buckets are shared with other gates.
 */
export function limitSubject(
  limiter: Limiter,
  passing: Passing,
): Result<LimitStanding | undefined, Denial> | Promise<Result<LimitStanding | undefined, Denial>> {
  const { route, rateLimits } = passing;
  if (route.rateLimit === undefined && rateLimits === undefined) return UNLIMITED;
  const wanted = new Map<string, Wanted>();
  if (route.rateLimit !== undefined) want(wanted, passing, route.rateLimit);
  for (const rateLimit of rateLimits ?? []) want(wanted, passing, rateLimit);
  const charged = limiter.take([...wanted.values()]);
  return charged instanceof Promise ? charged.then(concluded) : concluded(charged);
}

type Wanted = Charge & { readonly policy: string | undefined };

/** Two that name the same bucket count once. */
function want(
  wanted: Map<string, Wanted>,
  { route, token, inquiry }: Passing,
  rateLimit: NonNullable<RouteConfig["rateLimit"]> | RateLimit,
): void {
  const { limit, perMs, by } = rateLimit;
  const policy = "policy" in rateLimit ? rateLimit.policy : undefined;
  const scope = policy === undefined ? `route ${route.name}` : `policy ${policy}`;
  const bucket = { limit, perMs };
  const from = token === undefined || by === "address" ? "strangers" : "tokens";
  const key = bucketKey(scope, bucket, sharer(by, token, inquiry));
  wanted.set(key, { key, bucket, from, policy });
}

/** Who shares a bucket. Where there is no token it is the address; where no subject, the token. */
function sharer(by: RateLimit["by"], token: Token | undefined, { client }: Inquiry): string {
  if (typeof by === "object") return `key ${by.key}`;
  if (by === "address" || token === undefined) return `address ${networkOfClient(client.ip)}`;
  const { issuer, subject, id, session, digest = "" } = token;
  // The length keeps apart what runs together: an issuer may end as a subject begins.
  const ofIssuer = `${issuer.length}:${issuer}`;
  if (by === "subject" && subject !== "") return `subject ${ofIssuer}${subject}`;
  if (session !== undefined) return `session ${session}`;
  return id === undefined ? `digest ${digest}` : `token ${ofIssuer}${id}`;
}

function concluded(charged: Charged<Wanted>): Result<LimitStanding | undefined, Denial> {
  const { bucket, policy } = charged.of;
  if (charged.allowed) return ok(standingOf({ ...charged, bucket }));
  if (policy === undefined) return err(limited({ ...charged, bucket }, "route_limit"));
  return err({ ...limited({ ...charged, bucket }, "policy_limit"), policy });
}

type Standing = Pick<Charged, "remaining" | "retryMs"> & Pick<Charge, "bucket">;

function limited(standing: Standing, reason: string): Denial {
  const rateLimit = standingOf(standing);
  const retryAfterSeconds = rateLimit.resetSeconds;
  return { status: 429, code: "rate_limited", reason, retryAfterSeconds, rateLimit };
}

function standingOf({ remaining, retryMs, bucket: { limit, perMs } }: Standing): LimitStanding {
  const resetMs = retryMs > 0 ? retryMs : perMs / limit;
  return {
    limit,
    remaining,
    resetSeconds: Math.max(1, Math.ceil(resetMs / 1_000)),
    windowSeconds: Math.max(1, Math.ceil(perMs / 1_000)),
  };
}
