/**
 * What a revocation is made of. Pure: the moment is passed in.
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Revocation } from "../store/store.ts";

/** What is to be refused from now on. Times are NumericDates: seconds since 1970 (RFC 7519 §2). */
export type Target =
  | {
      readonly kind: "jti";
      /** The `iss` claim. */
      readonly issuer: string;
      readonly id: string;
      readonly expiresAt?: number;
    }
  | { readonly kind: "token"; readonly hash: string; readonly expiresAt?: number }
  | { readonly kind: "subject"; readonly issuer: string; readonly subject: string }
  | { readonly kind: "issuer"; readonly issuer: string }
  /** @param id Public, never the cookie. */
  | { readonly kind: "session"; readonly id: string; readonly expiresAt?: number }
  | LogoutTarget;

/** What a provider says that it has ended: one of its sessions, or all of a subject until now. */
type LogoutTarget = { readonly kind: "logout"; readonly issuer: string } & (
  | { readonly sid: string }
  | { readonly subject: string }
);

/** What an issuer's configuration says of the times of its tokens. */
export type IssuerTimes = Pick<
  IssuerConfig,
  "issuer" | "clockToleranceSeconds" | "maxLifetimeSeconds"
>;

type Circumstances = {
  readonly issuers: readonly IssuerTimes[];
  readonly reason: string;
  readonly author: string;
  readonly nowMs: number;
  /** How long a session of this gate may last. */
  readonly sessionLifetimeMs: number;
};

/** A token may say that it expires in the year 9999. */
const LONGEST_MS = 10 * 365 * 24 * 3_600_000;

/** What had expired is refused anyway: it is kept so that whoever revoked it finds it. */
const SHOWN_MS = 3_600_000;

/** What names may be in a revocation: more is no name but a burden on every gate's memory. */
export const LONGEST_VALUE = 1_024;

/**
 * In force at any time. What names a subject or an issuer may have as many more, so that there
 * is room for the great stroke when the small ones have used up theirs.
 */
const MOST = { tokens: 100_000, all: 110_000 };

export function revocationOf(target: Target, circumstances: Circumstances): Revocation {
  const { reason, author, nowMs: atMs } = circumstances;
  return { ...thingOf(target), reason, author, atMs, untilMs: forgottenAt(target, circumstances) };
}

/** What a store knows it by. */
export function thingOf(target: Target): Pick<Revocation, "kind" | "issuer" | "value"> {
  switch (target.kind) {
    case "jti":
      return { kind: "jti", issuer: target.issuer, value: target.id };
    case "token":
      return { kind: "token", value: target.hash };
    case "subject":
      return { kind: "subject", issuer: target.issuer, value: target.subject };
    case "issuer":
      return { kind: "issuer", issuer: target.issuer, value: "" };
    case "session":
      return { kind: "session", value: target.id };
    case "logout":
      return { kind: "logout", issuer: target.issuer, value: logoutValue(target) };
  }
}

/** A provider's session by its `sid`, or a subject: OpenID Connect Back-Channel Logout 1.0 §2.4. */
export function logoutValue(of: { readonly sid: string } | { readonly subject: string }): string {
  return "sid" in of ? `sid:${of.sid}` : `sub:${of.subject}`;
}

/** When every token that it hits will have expired. */
function forgottenAt(target: Target, circumstances: Circumstances): number {
  const { issuers, nowMs, sessionLifetimeMs } = circumstances;
  const about =
    "issuer" in target ? issuers.filter(({ issuer }) => issuer === target.issuer) : issuers;
  // Sessions outlive the tokens that they began with.
  const outlives = target.kind !== "jti" && target.kind !== "token";
  const sessionMs = outlives ? sessionLifetimeMs : 0;
  const longest = (member: "clockToleranceSeconds" | "maxLifetimeSeconds") =>
    Math.max(0, ...about.map((issuer) => issuer[member])) * 1_000;
  const toleranceMs = longest("clockToleranceSeconds");
  const expiresAt = "expiresAt" in target ? target.expiresAt : undefined;
  const expiryMs =
    expiresAt !== undefined && Number.isFinite(expiresAt)
      ? expiresAt * 1_000
      : // What is accepted now expires by then: `maxLifetime` itself has the tolerance.
        nowMs + Math.max(longest("maxLifetimeSeconds") + toleranceMs, sessionMs);
  // Some issuers write fractions of seconds, and a store takes whole milliseconds alone.
  const endMs = Math.ceil(Math.min(expiryMs + toleranceMs, nowMs + LONGEST_MS));
  return endMs > nowMs ? endMs : nowMs + SHOWN_MS;
}

/**
 * Which of two revocations are of the same thing: they have the same key.
 *
 * @param issuer Empty for kinds `token` and `session`.
 */
export function keyOf(kind: Revocation["kind"], issuer: string, value: string): string {
  return `${kind}${issuer.length}:${issuer}${value}`;
}

export function keyOfRevocation({ kind, issuer = "", value }: Revocation): string {
  return keyOf(kind, issuer, value);
}

/**
 * None is ever dropped for another: what was revoked would be good again, and nobody would know.
 *
 * @param count How many are in force.
 * @throws GateError `revocations_full`
 */
export function assertRoom(kind: Revocation["kind"], count: number): void {
  const most = kind === "subject" || kind === "issuer" ? MOST.all : MOST.tokens;
  if (count < most) return;
  const message = `as many as ${count} revocations are in force, and no more are kept: revoke the subject or the issuer instead of single tokens`;
  throw new GateError("revocations_full", message);
}
