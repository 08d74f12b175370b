import { allow, definePolicy, deny, Type } from "claimgate";

const countries = (description: string) =>
  Type.Optional(Type.Array(Type.String({ format: "country" }), { minItems: 1, description }));

/**
 * Lets callers pass by the country of their address, which needs `geo` in the configuration.
 * `deny` comes first; with `allow`, only callers from there pass. An address whose country
 * nobody knows (private networks, a database out of date) is refused unless `unknown: allow`.
 */
export default definePolicy({
  description: "Lets callers from the given countries pass",
  options: Type.Object(
    {
      allow: countries("Countries that pass, like AT (ISO 3166-1 alpha-2)"),
      deny: countries("Countries that do not"),
      unknown: Type.Optional(
        Type.Union([Type.Literal("deny"), Type.Literal("allow")], {
          default: "deny",
          description: "What becomes of addresses without a known country: deny or allow",
        }),
      ),
    },
    // `unknown` is always there by its default.
    { minProperties: 2, description: "Name countries with allow or deny" },
  ),
  evaluate({ client: { country }, options }) {
    if (country === undefined) {
      return options.unknown === "allow"
        ? allow()
        : deny("country_unknown", "the country of the client's address is not known");
    }
    if (options.deny?.includes(country)) {
      return deny("country_refused", "the client's country is denied");
    }
    if (options.allow !== undefined && !options.allow.includes(country)) {
      return deny("country_refused", "the client's country is not among those allowed");
    }
    return allow();
  },
  cases: [
    {
      name: "a country that is allowed",
      options: { allow: ["AT", "DE"] },
      client: { country: "DE" },
      expect: "allow",
    },
    {
      name: "a country that is not",
      options: { allow: ["AT", "DE"] },
      client: { country: "FR" },
      expect: "deny country_refused",
    },
    {
      name: "a country that is denied",
      options: { deny: ["FR"] },
      client: { country: "FR" },
      expect: "deny country_refused",
    },
    {
      name: "only deny: every other country passes",
      options: { deny: ["FR"] },
      client: { country: "AT" },
      expect: "allow",
    },
    {
      name: "deny goes before allow",
      options: { allow: ["AT"], deny: ["AT"] },
      client: { country: "AT" },
      expect: "deny country_refused",
    },
    {
      name: "an unknown country is refused",
      options: { allow: ["AT"] },
      expect: "deny country_unknown",
    },
    {
      name: "an unknown country is refused with deny alone, too",
      options: { deny: ["FR"] },
      expect: "deny country_unknown",
    },
    {
      name: "an unknown country may be let pass",
      options: { allow: ["AT"], unknown: "allow" },
      expect: "allow",
    },
  ],
});
