import { allow, challenge, definePolicy, milliseconds, Type } from "claimgate";

const words = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ maxLength: 256, pattern: "^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$" }), {
      minItems: 1,
      maxItems: 32,
      description,
    }),
  );

/** How far an issuer's clock may be ahead before its `auth_time` is not believed. */
const CLOCK_AHEAD_MS = 60_000;

/**
 * Lets people pass who have signed in strongly and recently enough. The others get a challenge
 * (401 `step_up_required`, RFC 9470) that tells the client what to ask the issuer for; browsers of
 * a route with `login` are sent to sign in again. What a token does not say, it has not done.
 */
export default definePolicy({
  description: "Lets people pass who have signed in strongly and recently enough",
  claims: Type.Object({
    acr: Type.Optional(Type.Unknown()),
    amr: Type.Optional(Type.Unknown()),
    auth_time: Type.Optional(Type.Unknown()),
  }),
  options: Type.Object(
    {
      acr: words("Authentication contexts of which the claim acr must name one, the best first"),
      amr: words("Methods of which the claim amr must name one, like mfa, otp or hwk (RFC 8176)"),
      maxAge: Type.Optional(
        Type.String({
          format: "duration",
          description: "How long ago the person may have signed in (claim auth_time), like 15m",
        }),
      ),
    },
    { minProperties: 1, description: "Give one of acr, amr and maxAge, or several" },
  ),
  evaluate({ claims, options: { acr, amr, maxAge }, now }) {
    const isStrong =
      (acr === undefined || acr.some((wanted) => claims.acr === wanted)) &&
      (amr === undefined || amr.some((wanted) => listed(claims.amr).includes(wanted)));
    const isRecent =
      maxAge === undefined || isWithin(claims.auth_time, milliseconds(maxAge), now.getTime());
    if (isStrong && isRecent) return allow();
    return challenge({
      ...(acr !== undefined && { acr }),
      ...(maxAge !== undefined && { maxAge: Math.floor(milliseconds(maxAge) / 1_000) }),
      // No challenge can name methods. A person who signs in anew can choose another one.
      ...(acr === undefined && maxAge === undefined && { maxAge: 0 }),
    });
  },
  cases: [
    {
      name: "the context wanted",
      options: { acr: ["urn:acme:mfa", "urn:acme:hwk"] },
      claims: { acr: "urn:acme:hwk" },
      expect: "allow",
    },
    {
      name: "another context",
      options: { acr: ["urn:acme:mfa"] },
      claims: { acr: "urn:acme:password" },
      expect: "challenge",
    },
    { name: "no context at all", options: { acr: ["urn:acme:mfa"] }, expect: "challenge" },
    {
      name: "a list is no context",
      options: { acr: ["urn:acme:mfa"] },
      claims: { acr: ["urn:acme:mfa"] },
      expect: "challenge",
    },
    {
      name: "signed in just recently enough",
      options: { maxAge: "15m" },
      claims: { auth_time: 1_767_613_500 },
      now: "2026-01-05T12:00:00Z",
      expect: "allow",
    },
    {
      name: "signed in a second too long ago",
      options: { maxAge: "15m" },
      claims: { auth_time: 1_767_613_499 },
      now: "2026-01-05T12:00:00Z",
      expect: "challenge",
    },
    {
      name: "an issuer whose clock is a little ahead",
      options: { maxAge: "15m" },
      claims: { auth_time: 1_767_614_430 },
      now: "2026-01-05T12:00:00Z",
      expect: "allow",
    },
    {
      name: "a sign-in that is yet to come",
      options: { maxAge: "15m" },
      claims: { auth_time: 1_767_700_000 },
      now: "2026-01-05T12:00:00Z",
      expect: "challenge",
    },
    {
      name: "a new token of an old sign-in",
      options: { maxAge: "15m" },
      claims: { auth_time: 1_767_600_000 },
      token: { issuedAt: new Date("2026-01-05T11:59:59Z") },
      now: "2026-01-05T12:00:00Z",
      expect: "challenge",
    },
    { name: "a token that does not tell when", options: { maxAge: "15m" }, expect: "challenge" },
    {
      name: "a time that is text",
      options: { maxAge: "15m" },
      claims: { auth_time: "1767613500" },
      expect: "challenge",
    },
    {
      name: "one of the methods",
      options: { amr: ["hwk", "otp"] },
      claims: { amr: ["pwd", "otp"] },
      expect: "allow",
    },
    {
      name: "none of the methods",
      options: { amr: ["hwk", "otp"] },
      claims: { amr: ["pwd"] },
      expect: "challenge",
    },
    {
      name: "methods are compared exactly",
      options: { amr: ["otp"] },
      claims: { amr: ["OTP", "otpx"] },
      expect: "challenge",
    },
    {
      name: "all that is asked for must hold",
      options: { acr: ["urn:acme:mfa"], amr: ["hwk"], maxAge: "15m" },
      claims: { acr: "urn:acme:mfa", amr: ["pwd"], auth_time: 1_767_614_400 },
      now: "2026-01-05T12:00:00Z",
      expect: "challenge",
    },
    {
      name: "and does",
      options: { acr: ["urn:acme:mfa"], amr: ["hwk"], maxAge: "15m" },
      claims: { acr: "urn:acme:mfa", amr: ["hwk"], auth_time: 1_767_614_400 },
      now: "2026-01-05T12:00:00Z",
      expect: "allow",
    },
  ],
});

/** Some issuers send a single method as text. */
function listed(claim: unknown): readonly unknown[] {
  return Array.isArray(claim) ? claim : [claim];
}

/** @param time A NumericDate (RFC 7519 §2), if it is one. */
function isWithin(time: unknown, maxAgeMs: number, nowMs: number): boolean {
  if (typeof time !== "number" || !Number.isFinite(time)) return false;
  const ageMs = nowMs - time * 1_000;
  return ageMs <= maxAgeMs && ageMs >= -CLOCK_AHEAD_MS;
}
