import { allow, challenge, definePolicy, Type } from "claimgate";

const scopes = (description: string) =>
  Type.Optional(
    Type.Array(Type.String({ pattern: "^[\\x21\\x23-\\x5b\\x5d-\\x7e]+$" }), {
      minItems: 1,
      maxItems: 32,
      description,
    }),
  );

/**
 * Lets tokens with given scopes pass. The others get a challenge that names the scopes
 * (403 `insufficient_scope`, RFC 6750 §3.1), so that a client can ask its issuer for them.
 */
export default definePolicy({
  description: "Lets tokens with the given scopes pass",
  // Read as token.scopes; declared, so that the audit keeps them and a replay knows them.
  claims: Type.Object({ scopes: Type.Optional(Type.Array(Type.String())) }),
  options: Type.Object(
    {
      allOf: scopes("Scopes of which none may be missing"),
      anyOf: scopes("Scopes of which one is enough"),
    },
    { minProperties: 1, description: "Name the scopes with allOf or anyOf" },
  ),
  evaluate({ token, options: { allOf, anyOf } }) {
    if (allOf !== undefined && !allOf.every((scope) => token.scopes.includes(scope))) {
      return challenge({ scope: allOf });
    }
    if (anyOf !== undefined && !anyOf.some((scope) => token.scopes.includes(scope))) {
      return challenge({ scope: anyOf });
    }
    return allow();
  },
  cases: [
    {
      name: "every scope is there",
      options: { allOf: ["orders:read", "orders:write"] },
      token: { scopes: ["orders:write", "profile", "orders:read"] },
      expect: "allow",
    },
    {
      name: "one is missing",
      options: { allOf: ["orders:read", "orders:write"] },
      token: { scopes: ["orders:read"] },
      expect: "challenge",
    },
    {
      name: "one of several is enough",
      options: { anyOf: ["orders:read", "orders:admin"] },
      token: { scopes: ["orders:admin"] },
      expect: "allow",
    },
    {
      name: "none of them is not",
      options: { anyOf: ["orders:read", "orders:admin"] },
      token: { scopes: ["orders"] },
      expect: "challenge",
    },
    {
      name: "both must hold",
      options: { allOf: ["openid"], anyOf: ["orders:read"] },
      token: { scopes: ["openid"] },
      expect: "challenge",
    },
    { name: "a token without scopes", options: { allOf: ["orders:read"] }, expect: "challenge" },
  ],
});
