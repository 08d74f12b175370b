/**
 * A token that nobody signed: what `--claims` says, with what it leaves out assumed. Everything
 * but the cryptography is the issuer's own: audience, required claims, mapping, times.
 *
 * @module
 */
import type { IssuerConfig, RouteConfig } from "../../config/resolved.ts";
import { GateError } from "../../errors.ts";
import { acceptPayload, judge } from "../../identity/accept.ts";
import { LONGEST_TOKEN } from "../../identity/compact.ts";
import { refuse } from "../../identity/refusal.ts";
import { type JsonObject, own, parseStrictObject } from "../../identity/strict-json.ts";
import type { Result } from "../../result.ts";
import type { Refusal, Token } from "../../types.ts";

export type ClaimsToken = {
  /** Absent where none of the route's is the `iss` that the claims name. */
  readonly issuer?: IssuerConfig;
  /** The claims with what was assumed. */
  readonly payload: JsonObject;
  /** `iss https://…`, for each that was. */
  readonly assumed: readonly string[];
};

/** How long a token without `exp` is taken to go on. */
const ASSUMED_LIFETIME_SECONDS = 300;

/** @throws GateError `usage_wrong`; it never quotes a claim. */
export function readClaims(written: string): JsonObject {
  if (written.length > LONGEST_TOKEN) throw usage("--claims takes up to 16 KB");
  const claims = parseStrictObject(new TextEncoder().encode(written));
  if (claims.ok) return claims.value;
  const why = claims.error === "member_duplicate" ? " that names each claim once" : "";
  throw usage(`--claims takes a JSON object${why}, like '{"sub":"alice","roles":["staff"]}'`);
}

/**
 * @param issuerName From `--issuer`.
 * @throws GateError `usage_wrong` where it is not clear whose token is meant.
 */
export function completeClaims(
  claims: JsonObject,
  route: RouteConfig,
  issuers: readonly IssuerConfig[],
  issuerName: string | undefined,
  nowMs: number,
): ClaimsToken {
  const trusted = issuers.filter(({ name }) => route.issuers.includes(name));
  const iss = own(claims, "iss");
  if (Object.hasOwn(claims, "iss") && issuerName === undefined) {
    const issuer = trusted.find((one) => one.issuer === iss);
    return issuer === undefined ? { payload: claims, assumed: [] } : assume(claims, issuer, nowMs);
  }
  const issuer = chooseIssuer(trusted, route, issuerName);
  if (Object.hasOwn(claims, "iss") && iss !== issuer.issuer) {
    throw usage("--issuer and the iss of --claims are not the same issuer: keep one");
  }
  return assume(claims, issuer, nowMs);
}

/** By the rules that a signed token meets once its signature is good. */
export function judgeClaims(
  { issuer, payload }: ClaimsToken,
  nowMs: number,
): Result<Token, Refusal> {
  if (issuer === undefined) {
    return refuse(typeof payload.iss === "string" ? "issuer_unknown" : "issuer_refused");
  }
  const accepted = acceptPayload(payload, withAudience(issuer), {});
  return accepted.ok ? judge(accepted.value, issuer, nowMs) : accepted;
}

/** An issuer with nothing but sign-in: the tokens that it gives are for the gate itself. */
function withAudience(issuer: IssuerConfig): IssuerConfig {
  const { audiences, login } = issuer;
  return audiences.length > 0 || login === undefined
    ? issuer
    : { ...issuer, audiences: [login.clientId] };
}

function assume(claims: JsonObject, issuer: IssuerConfig, nowMs: number): ClaimsToken {
  const missing: [name: string, value: string | number][] = [];
  const note = (name: string, value: string | number) => {
    if (!Object.hasOwn(claims, name)) missing.push([name, value]);
  };
  note("iss", issuer.issuer);
  note("aud", withAudience(issuer).audiences[0] ?? "");
  note("exp", assumedExpiry(own(claims, "iat"), issuer, Math.floor(nowMs / 1_000)));
  const assumed = missing.map(([name, value]) =>
    name === "exp" ? `exp ${new Date(Number(value) * 1_000).toISOString()}` : `${name} ${value}`,
  );
  // Own members, also for a claim of the name `__proto__`.
  const payload = Object.fromEntries([...Object.entries(claims), ...missing]);
  return { issuer, payload, assumed };
}

/** Soon, and no later than the issuer's tokens may live. */
function assumedExpiry(iat: unknown, { maxLifetimeSeconds }: IssuerConfig, now: number): number {
  const soon = now + Math.min(ASSUMED_LIFETIME_SECONDS, maxLifetimeSeconds);
  return typeof iat === "number" ? Math.min(soon, Math.floor(iat + maxLifetimeSeconds)) : soon;
}

function chooseIssuer(
  trusted: readonly IssuerConfig[],
  route: RouteConfig,
  name: string | undefined,
): IssuerConfig {
  const [only, ...others] = trusted;
  const names = trusted.map((issuer) => issuer.name).join(", ");
  if (name === undefined) {
    if (only !== undefined && others.length === 0) return only;
    throw usage(`route ${route.name} trusts ${names}: say with --issuer whose claims these are`);
  }
  const named = trusted.find((issuer) => issuer.name === name);
  if (named !== undefined) return named;
  throw usage(`--issuer is none that route ${route.name} trusts: ${names}`);
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}
