import { allow, claimAt, definePolicy, deny, Type } from "claimgate";

const Role = Type.String({ minLength: 1, maxLength: 128, pattern: "^[^,\\x00-\\x1f\\x7f]+$" });
const roles = (description: string) =>
  Type.Optional(Type.Array(Role, { minItems: 1, description }));

/** How many groups or roles a reason names. */
const NAMED_LIMIT = 10;

/**
 * Turns the groups of an identity provider into the roles of an application, so that routes speak
 * of roles while groups are named in one place. A token passes with at least one role, or with
 * those that `anyOf` and `allOf` ask for; `header` hands the roles on to the upstream.
 */
export default definePolicy({
  description: "Lets members of groups pass that give a role, and tells the upstream their roles",
  claims: Type.Object({
    groups: Type.Optional(Type.Unknown()),
    // Says that groups were left out, in a token that would be too long with them.
    _claim_names: Type.Optional(Type.Unknown()),
  }),
  options: Type.Object({
    groups: Type.Record(Type.String({ minLength: 1 }), Type.Array(Role, { minItems: 1 }), {
      minProperties: 1,
      description: "The roles that each group gives, like { eng-oncall: [operator] }",
    }),
    claim: Type.String({
      format: "claim",
      default: "groups",
      minLength: 1,
      description: "The claim that lists the groups: a member's name, or a dotted path",
    }),
    anyOf: roles("Roles of which one is enough"),
    allOf: roles("Roles of which none may be missing"),
    header: Type.Optional(
      Type.String({
        format: "upstream-header",
        description: "The header that tells the upstream the roles, joined by commas",
      }),
    ),
    others: Type.Union([Type.Literal("deny"), Type.Literal("allow")], {
      default: "deny",
      description: "What happens to tokens without a role where neither anyOf nor allOf is given",
    }),
  }),
  evaluate({ claims, options: { groups, claim, anyOf, allOf, header, others } }) {
    const given = rolesOf(claimAt(claims, claim), groups);
    const wanted = [...(anyOf ?? []), ...(allOf ?? [])];
    const isEnough =
      wanted.length === 0
        ? given.size > 0 || others === "allow"
        : (anyOf?.some((role) => given.has(role)) ?? true) &&
          (allOf?.every((role) => given.has(role)) ?? true);
    if (isEnough) return header ? allow({ headers: { [header]: [...given].join(",") } }) : allow();
    if (isCutShort(claims, claim)) {
      const hint = "have the issuer send only the groups that are assigned to this application";
      return deny("groups_overage", `the token has too many groups to list them: ${hint}`);
    }
    const helpful = Object.keys(groups).filter(
      (group) => wanted.length === 0 || groups[group]?.some((role) => wanted.includes(role)),
    );
    return deny("group_missing", `needs ${reasonOf(anyOf, allOf)} (groups: ${listed(helpful)})`);
  },
  cases: [
    {
      name: "a group that gives a role",
      options: { groups: { "eng-oncall": ["operator"] } },
      claims: { groups: ["everyone", "eng-oncall"] },
      expect: "allow",
    },
    {
      name: "no group that gives a role",
      options: { groups: { "eng-oncall": ["operator"] } },
      claims: { groups: ["everyone"] },
      expect: "deny group_missing",
    },
    {
      name: "no groups at all",
      options: { groups: { "eng-oncall": ["operator"] } },
      expect: "deny group_missing",
    },
    {
      name: "groups are compared exactly",
      options: { groups: { "eng-oncall": ["operator"] } },
      claims: { groups: ["Eng-Oncall", "eng-oncall "] },
      expect: "deny group_missing",
    },
    {
      name: "nothing that objects have by nature",
      options: { groups: { "eng-oncall": ["operator"] } },
      claims: { groups: ["constructor", "__proto__", "toString"] },
      expect: "deny group_missing",
    },
    {
      name: "the role wanted",
      options: { groups: { eng: ["developer"], oncall: ["operator"] }, anyOf: ["operator"] },
      claims: { groups: ["oncall"] },
      expect: "allow",
    },
    {
      name: "another role",
      options: { groups: { eng: ["developer"], oncall: ["operator"] }, anyOf: ["operator"] },
      claims: { groups: ["eng"] },
      expect: "deny group_missing",
    },
    {
      name: "every one of allOf, of several groups",
      options: {
        groups: { eng: ["developer"], oncall: ["operator"] },
        allOf: ["developer", "operator"],
      },
      claims: { groups: ["eng", "oncall"] },
      expect: "allow",
    },
    {
      name: "one of allOf is missing",
      options: {
        groups: { eng: ["developer"], oncall: ["operator"] },
        allOf: ["developer", "operator"],
      },
      claims: { groups: ["eng"] },
      expect: "deny group_missing",
    },
    {
      name: "the upstream is told each role once",
      options: {
        groups: { eng: ["developer", "viewer"], oncall: ["operator", "viewer"], hr: ["people"] },
        header: "X-App-Roles",
      },
      claims: { groups: ["eng", "oncall"] },
      expect: { allow: { headers: { "X-App-Roles": "developer,viewer,operator" } } },
    },
    {
      name: "others may pass, without a role",
      options: { groups: { eng: ["developer"] }, header: "X-App-Roles", others: "allow" },
      claims: { groups: ["guests"] },
      expect: { allow: { headers: { "X-App-Roles": "" } } },
    },
    {
      name: "others do not pass where a role is asked for",
      options: { groups: { eng: ["developer"] }, anyOf: ["developer"], others: "allow" },
      claims: { groups: ["guests"] },
      expect: "deny group_missing",
    },
    {
      name: "another claim",
      options: { groups: { eng: ["developer"] }, claim: "acme.teams" },
      claims: { acme: { teams: ["eng"] } },
      expect: "allow",
    },
    {
      name: "a single group as text",
      options: { groups: { eng: ["developer"] }, claim: "team" },
      claims: { team: "eng" },
      expect: "allow",
    },
    {
      name: "more groups than the issuer puts into a token",
      options: { groups: { eng: ["developer"] } },
      claims: {
        _claim_names: { groups: "src1" },
        _claim_sources: { src1: { endpoint: "https://x" } },
      },
      expect: "deny groups_overage",
    },
  ],
});

type Groups = Readonly<Record<string, readonly string[]>>;

function rolesOf(claim: unknown, groups: Groups): ReadonlySet<string> {
  const members: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  return new Set(
    members.flatMap((group) =>
      typeof group === "string" && Object.hasOwn(groups, group) ? (groups[group] ?? []) : [],
    ),
  );
}

/** Where there are too many groups, the token says only where they could be asked for (OpenID Connect Core §5.6.2). */
function isCutShort(claims: Readonly<Record<string, unknown>>, claim: string): boolean {
  const names = claims._claim_names;
  return typeof names === "object" && names !== null && Object.hasOwn(names, claim);
}

function reasonOf(anyOf: readonly string[] | undefined, allOf: readonly string[] | undefined) {
  const parts = [
    ...(anyOf ? [`one of the roles ${listed(anyOf)}`] : []),
    ...(allOf ? [`all of the roles ${listed(allOf)}`] : []),
  ];
  return parts.length === 0 ? "a group that gives a role" : parts.join(" and ");
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, NAMED_LIMIT).join(", ");
  return names.length > NAMED_LIMIT ? `${shown}, …` : shown;
}
