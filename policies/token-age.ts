import { allow, definePolicy, deny, milliseconds, Type } from "claimgate";

/**
 * Lets tokens pass that were issued a short while ago, however long they would still be
 * valid: for routes where a stolen token should soon be worth nothing. A token that does
 * not say when it was issued (`iat`) is refused.
 */
export default definePolicy({
  description: "Lets tokens pass that were issued not too long ago",
  options: Type.Object({
    maxAge: Type.String({
      format: "duration",
      description: "How old a token may be, like 15m",
    }),
  }),
  evaluate({ token, now, options: { maxAge } }) {
    if (token.issuedAt === undefined) {
      return deny("token_age_unknown", "the token does not say when it was issued");
    }
    // An issuer's clock that is ahead makes an age below zero: such a token is new.
    const ageMs = now.getTime() - token.issuedAt.getTime();
    return ageMs <= milliseconds(maxAge)
      ? allow()
      : deny("token_too_old", `the token was issued more than ${maxAge} ago`);
  },
  cases: [
    {
      name: "a new token",
      options: { maxAge: "15m" },
      token: { issuedAt: new Date("2026-01-05T11:50:00Z") },
      now: "2026-01-05T12:00:00Z",
      expect: "allow",
    },
    {
      name: "just old enough to pass",
      options: { maxAge: "15m" },
      token: { issuedAt: new Date("2026-01-05T11:45:00Z") },
      now: "2026-01-05T12:00:00Z",
      expect: "allow",
    },
    {
      name: "a second too old",
      options: { maxAge: "15m" },
      token: { issuedAt: new Date("2026-01-05T11:44:59Z") },
      now: "2026-01-05T12:00:00Z",
      expect: "deny token_too_old",
    },
    {
      name: "an issuer whose clock is ahead",
      options: { maxAge: "15m" },
      token: { issuedAt: new Date("2026-01-05T12:00:20Z") },
      now: "2026-01-05T12:00:00Z",
      expect: "allow",
    },
    {
      name: "a token that does not tell",
      options: { maxAge: "15m" },
      token: { issuedAt: undefined },
      expect: "deny token_age_unknown",
    },
  ],
});
