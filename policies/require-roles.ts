import { allow, definePolicy, deny, Type } from "claimgate";

const roles = (description: string) =>
  Type.Optional(Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description }));

/**
 * Lets holders of given roles pass: with `anyOf` one of them is enough, with `allOf` every
 * one is needed, and with both, both must hold. Roles are compared exactly.
 *
 * Roles come from the claim `roles`; the issuer's `claims` say where that is in the token.
 */
export default definePolicy({
  description: "Lets holders of the given roles pass",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  options: Type.Object(
    {
      anyOf: roles("Roles of which one is enough"),
      allOf: roles("Roles of which none may be missing"),
    },
    { minProperties: 1, description: "Name the roles with anyOf or allOf" },
  ),
  evaluate({ claims, options: { anyOf, allOf } }) {
    if (anyOf !== undefined && !anyOf.some((role) => claims.roles.includes(role))) {
      return deny("role_missing", `needs one of: ${anyOf.join(", ")}`);
    }
    if (allOf !== undefined && !allOf.every((role) => claims.roles.includes(role))) {
      return deny("role_missing", `needs all of: ${allOf.join(", ")}`);
    }
    return allow();
  },
  cases: [
    {
      name: "one of several is enough",
      options: { anyOf: ["admin", "billing"] },
      claims: { roles: ["staff", "billing"] },
      expect: "allow",
    },
    {
      name: "none of them is not",
      options: { anyOf: ["admin", "billing"] },
      claims: { roles: ["staff"] },
      expect: "deny role_missing",
    },
    {
      name: "no roles at all",
      options: { anyOf: ["admin"] },
      claims: { roles: [] },
      expect: "deny role_missing",
    },
    {
      name: "roles are compared exactly",
      options: { anyOf: ["admin"] },
      claims: { roles: ["Admin", "administrator", "admin "] },
      expect: "deny role_missing",
    },
    {
      name: "every one of allOf",
      options: { allOf: ["staff", "oncall"] },
      claims: { roles: ["oncall", "staff", "admin"] },
      expect: "allow",
    },
    {
      name: "one of allOf is missing",
      options: { allOf: ["staff", "oncall"] },
      claims: { roles: ["staff"] },
      expect: "deny role_missing",
    },
    {
      name: "both must hold",
      options: { anyOf: ["admin", "billing"], allOf: ["staff"] },
      claims: { roles: ["billing"] },
      expect: "deny role_missing",
    },
    {
      name: "a token without roles",
      options: { anyOf: ["admin"] },
      expect: "deny claims_mismatch",
    },
    {
      name: "roles that are no list of strings",
      options: { anyOf: ["admin"] },
      claims: { roles: "admin" as never },
      expect: "deny claims_mismatch",
    },
  ],
});
