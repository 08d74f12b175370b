/**
 * What a verified payload must say (RFC 7519 §4.1, RFC 8725 §3, RFC 9068 §4). Values are
 * compared as the types they are; nothing is ever converted.
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { err, ok, type Result } from "../result.ts";
import type { RefusalReason } from "./refusal.ts";
import { type JsonObject, own } from "./strict-json.ts";

/** NumericDates: seconds since 1970, fractions allowed. */
export type TokenTimes = {
  readonly expiresAt: number;
  readonly notBefore: number | undefined;
  readonly issuedAt: number | undefined;
};

export type StandardClaims = {
  readonly subject: string | undefined;
  readonly id: string | undefined;
  readonly audience: readonly string[];
  readonly times: TokenTimes;
};

type Rules = Pick<IssuerConfig, "audiences" | "clockToleranceSeconds" | "maxLifetimeSeconds">;

/** Everything that does not depend on the moment. */
export function checkClaims(
  payload: JsonObject,
  { audiences }: Pick<Rules, "audiences">,
): Result<StandardClaims, RefusalReason> {
  const audience = readAudience(own(payload, "aud"));
  if (audience === undefined) return err("audience_refused");
  if (!audience.some((one) => audiences.includes(one))) return err("audience_mismatch");
  const subject = readText(payload, "sub");
  if (!subject.ok) return err("subject_refused");
  const id = readText(payload, "jti");
  if (!id.ok) return err("id_refused");
  const expiresAt = readTime(payload, "exp");
  const notBefore = readTime(payload, "nbf");
  const issuedAt = readTime(payload, "iat");
  if (!expiresAt.ok || !notBefore.ok || !issuedAt.ok || expiresAt.value === undefined) {
    return err("time_refused");
  }
  const times = {
    expiresAt: expiresAt.value,
    notBefore: notBefore.value,
    issuedAt: issuedAt.value,
  };
  return ok({ subject: subject.value, id: id.value, audience, times });
}

/**
 * Everything that does. `exp - iat` is by the issuer's clock alone and so is bounded without
 * tolerance; whatever involves our clock has it. Expiry comes last: only a token that is
 * right in all else is told that it expired.
 *
 * @returns The reason, or `undefined` while the token is good.
 */
export function checkTimes(
  { expiresAt, notBefore, issuedAt }: TokenTimes,
  { clockToleranceSeconds, maxLifetimeSeconds }: Omit<Rules, "audiences">,
  nowSeconds: number,
): RefusalReason | undefined {
  const latest = nowSeconds + clockToleranceSeconds;
  if (issuedAt !== undefined && issuedAt > latest) return "issued_in_future";
  if (notBefore !== undefined && notBefore > latest) return "not_yet_valid";
  if (issuedAt !== undefined && expiresAt - issuedAt > maxLifetimeSeconds) {
    return "lifetime_exceeded";
  }
  if (expiresAt - latest > maxLifetimeSeconds) return "lifetime_exceeded";
  // RFC 7519 §4.1.4: on or after the expiration time.
  if (expiresAt <= nowSeconds - clockToleranceSeconds) return "token_expired";
  return undefined;
}

function readAudience(value: unknown): readonly string[] | undefined {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value)) return undefined;
  const texts = value.filter((one) => typeof one === "string");
  return texts.length === value.length ? texts : undefined;
}

/** A lone surrogate has no UTF-8: two different texts would become one in headers and hashes. */
function readText(payload: JsonObject, name: string): Result<string | undefined, undefined> {
  if (!Object.hasOwn(payload, name)) return ok(undefined);
  const value = own(payload, name);
  return typeof value === "string" && value.isWellFormed() ? ok(value) : err(undefined);
}

function readTime(payload: JsonObject, name: string): Result<number | undefined, undefined> {
  if (!Object.hasOwn(payload, name)) return ok(undefined);
  const value = own(payload, name);
  // JSON.parse reads 1e999 as Infinity.
  return typeof value === "number" && Number.isFinite(value) ? ok(value) : err(undefined);
}
