import { allow, claimAt, definePolicy, deny, Type } from "claimgate";

const Plain = Type.Union([Type.String(), Type.Number(), Type.Boolean()]);

/** No value that a pattern is tried on is longer: time for a bad pattern grows with length. */
const MATCHED_LIMIT = 1_024;

const patterns = new Map<string, RegExp>();

/** Compiled once; the whole value must match, as half of one rarely says what was meant. */
function patternOf(text: string): RegExp {
  const known = patterns.get(text);
  if (known !== undefined) return known;
  const pattern = new RegExp(`^(?:${text})$`, "u");
  patterns.set(text, pattern);
  return pattern;
}

/**
 * Lets tokens pass whose claim at `path` has a certain value. Values are compared exactly,
 * type included: `true` is not `"true"`. Of a claim that is a list, one member is enough.
 * Where several of `equals`, `oneOf` and `matches` are given, one member must fit them all.
 */
export default definePolicy({
  description: "Lets tokens pass whose claim has the given value",
  options: Type.Object(
    {
      path: Type.String({
        format: "claim",
        minLength: 1,
        description: "The claim: the member of that name, or a dotted path like org.plan",
      }),
      equals: Type.Optional({ ...Plain, description: "The one value that passes" }),
      oneOf: Type.Optional(Type.Array(Plain, { minItems: 1, description: "The values that pass" })),
      matches: Type.Optional(
        Type.String({
          format: "pattern",
          maxLength: 512,
          description: "A regular expression that the whole value must match",
        }),
      ),
    },
    { minProperties: 2, description: "Give path and one of equals, oneOf or matches" },
  ),
  evaluate({ claims, options: { path, equals, oneOf, matches } }) {
    const claim = claimAt(claims, path);
    if (claim === undefined || claim === null) {
      return deny("claim_missing", `needs the claim ${path}`);
    }
    const fits = (value: unknown): boolean => {
      if (equals !== undefined && value !== equals) return false;
      if (oneOf !== undefined && !oneOf.some((wanted) => value === wanted)) return false;
      if (matches === undefined) return true;
      return (
        typeof value === "string" && value.length <= MATCHED_LIMIT && patternOf(matches).test(value)
      );
    };
    const values: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
    return values.some(fits)
      ? allow()
      : deny("claim_refused", `the claim ${path} has another value than the options ask for`);
  },
  cases: [
    {
      name: "the value wanted",
      options: { path: "department", equals: "finance" },
      claims: { department: "finance" },
      expect: "allow",
    },
    {
      name: "another value",
      options: { path: "department", equals: "finance" },
      claims: { department: "Finance" },
      expect: "deny claim_refused",
    },
    {
      name: "no such claim",
      options: { path: "department", equals: "finance" },
      expect: "deny claim_missing",
    },
    {
      name: "a claim that is null",
      options: { path: "department", equals: "finance" },
      claims: { department: null },
      expect: "deny claim_missing",
    },
    {
      name: "a boolean",
      options: { path: "email_verified", equals: true },
      claims: { email_verified: true },
      expect: "allow",
    },
    {
      name: "a string is no boolean",
      options: { path: "email_verified", equals: true },
      claims: { email_verified: "true" },
      expect: "deny claim_refused",
    },
    {
      name: "a dotted path",
      options: { path: "org.plan", oneOf: ["pro", "enterprise"] },
      claims: { org: { plan: "pro" } },
      expect: "allow",
    },
    {
      name: "the member of exactly that name comes first",
      options: { path: "org.plan", equals: "free" },
      claims: { "org.plan": "free", org: { plan: "pro" } },
      expect: "allow",
    },
    {
      name: "a path into what is not there",
      options: { path: "org.plan", oneOf: ["pro"] },
      claims: { org: "acme" },
      expect: "deny claim_missing",
    },
    {
      name: "nothing that objects have by nature",
      options: { path: "constructor.name", equals: "Object" },
      expect: "deny claim_missing",
    },
    {
      name: "one member of a list is enough",
      options: { path: "teams", oneOf: ["core", "infra"] },
      claims: { teams: ["web", "infra"] },
      expect: "allow",
    },
    {
      name: "no member of a list",
      options: { path: "teams", oneOf: ["core", "infra"] },
      claims: { teams: ["web"] },
      expect: "deny claim_refused",
    },
    {
      name: "a pattern",
      options: { path: "email", matches: "[^@]+@acme\\.dev" },
      claims: { email: "alice@acme.dev" },
      expect: "allow",
    },
    {
      name: "a pattern must match from end to end",
      options: { path: "email", matches: "[^@]+@acme\\.dev" },
      claims: { email: "alice@acme.dev@evil.example" },
      expect: "deny claim_refused",
    },
    {
      name: "alternatives are held together",
      options: { path: "tier", matches: "gold|silver" },
      claims: { tier: "goldfish" },
      expect: "deny claim_refused",
    },
    {
      name: "a pattern is for strings",
      options: { path: "level", matches: "\\d" },
      claims: { level: 3 },
      expect: "deny claim_refused",
    },
    {
      name: "a value too long for a pattern",
      options: { path: "email", matches: ".*" },
      claims: { email: "a".repeat(1_025) },
      expect: "deny claim_refused",
    },
    {
      name: "equals and matches together",
      options: { path: "teams", equals: "core", matches: "c.*" },
      claims: { teams: ["core"] },
      expect: "allow",
    },
  ],
});
