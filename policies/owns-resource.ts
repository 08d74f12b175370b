import { allow, claimAt, definePolicy, deny, Type } from "claimgate";

/** Segments, of which exactly one is a parameter. */
const TEMPLATE = "^(?:/(?:\\*|[^/:*?#]+))*/:[A-Za-z]\\w*(?:/(?:\\*|[^/:*?#]+))*$";

/** What servers behind may take for another path than the one that is compared here. */
const AMBIGUOUS = /%(?:2f|5c|00|25[0-9a-f]{2})|\/\/|\\|\.(?:;|%3b)/i;

/**
 * Lets people at what is theirs: the part of the path that `path` marks must be what a claim of
 * the token says. It is decoded once and compared exactly. A path that does not fit is refused.
 */
export default definePolicy({
  description: "Lets tokens pass at paths that name what one of their claims says",
  options: Type.Object({
    path: Type.String({
      maxLength: 512,
      pattern: TEMPLATE,
      description:
        "The path, with one :name for the owner, * for any one part, /* at its end for all below",
    }),
    claim: Type.String({
      format: "claim",
      default: "sub",
      minLength: 1,
      description: "The claim to compare with; of a list, one member is enough",
    }),
    bypass: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        description: "Roles whose holders pass at every path",
      }),
    ),
  }),
  evaluate({ claims, request, options: { path, claim, bypass = [] } }) {
    if (bypass.length > 0) {
      const roles: readonly unknown[] = Array.isArray(claims.roles) ? claims.roles : [];
      if (bypass.some((role) => roles.includes(role))) return allow();
    }
    const found = ownerIn(request.path, path);
    if (found === undefined) return deny("path_unmatched", `the path must be like ${path}`);
    if (AMBIGUOUS.test(request.path)) {
      return deny("path_ambiguous", "the path can be read in more than one way");
    }
    const owned = claimAt(claims, claim);
    if (owned === undefined || owned === null) {
      return deny("claim_missing", `needs the claim ${claim}`);
    }
    const owners: readonly unknown[] = Array.isArray(owned) ? owned : [owned];
    if (owners.some((owner) => textOf(owner) === found)) return allow();
    const others = bypass.length === 0 ? "" : `, or one of the roles: ${bypass.join(", ")}`;
    return deny("not_owner", `the path must name what the claim ${claim} says${others}`);
  },
  cases: [
    {
      name: "one's own",
      options: { path: "/users/:id/*" },
      request: { path: "/users/alice/orders/7" },
      expect: "allow",
    },
    {
      name: "the top of one's own",
      options: { path: "/users/:id/*" },
      request: { path: "/users/alice" },
      expect: "allow",
    },
    {
      name: "another's",
      options: { path: "/users/:id/*" },
      request: { path: "/users/bob/orders/7" },
      expect: "deny not_owner",
    },
    {
      name: "the name further down does not count",
      options: { path: "/users/:id/*" },
      request: { path: "/users/bob/alice" },
      expect: "deny not_owner",
    },
    {
      name: "case counts",
      options: { path: "/users/:id/*" },
      request: { path: "/users/Alice" },
      expect: "deny not_owner",
    },
    {
      name: "the path is decoded",
      options: { path: "/users/:id/*", claim: "email" },
      claims: { email: "zoë@acme.dev" },
      request: { path: "/users/zo%C3%AB%40acme.dev/orders" },
      expect: "allow",
    },
    {
      name: "but once only",
      options: { path: "/users/:id" },
      claims: { sub: "a@b" },
      request: { path: "/users/a%2540b" },
      expect: "deny path_ambiguous",
    },
    {
      name: "the claim is not decoded",
      options: { path: "/users/:id" },
      claims: { sub: "a%40b" },
      request: { path: "/users/a%40b" },
      expect: "deny not_owner",
    },
    {
      name: "a path that leads elsewhere once it is decoded",
      options: { path: "/users/:id/*" },
      request: { path: "/users/alice/..%2fbob" },
      expect: "deny path_ambiguous",
    },
    {
      name: "one that leads elsewhere once it is decoded and its parameters are dropped",
      options: { path: "/users/:id/*" },
      request: { path: "/users/alice/..%3b/bob" },
      expect: "deny path_ambiguous",
    },
    {
      name: "a path with a part left empty",
      options: { path: "/users/:id/*" },
      request: { path: "/users//alice" },
      expect: "deny path_unmatched",
    },
    {
      name: "parameters after a semicolon are part of the name",
      options: { path: "/users/:id/*" },
      request: { path: "/users/alice;v=1" },
      expect: "deny not_owner",
    },
    {
      name: "another path",
      options: { path: "/users/:id/*" },
      request: { path: "/admin/alice" },
      expect: "deny path_unmatched",
    },
    {
      name: "a longer path than the one given",
      options: { path: "/users/:id" },
      request: { path: "/users/alice/orders" },
      expect: "deny path_unmatched",
    },
    {
      name: "any one part in between",
      options: { path: "/v1/*/tenants/:tenant/*", claim: "tenant" },
      claims: { tenant: "acme" },
      request: { path: "/v1/eu/tenants/acme/orders" },
      expect: "allow",
    },
    {
      name: "one of a list",
      options: { path: "/tenants/:tenant/*", claim: "tenants" },
      claims: { tenants: ["acme", "beta"] },
      request: { path: "/tenants/beta/orders" },
      expect: "allow",
    },
    {
      name: "a number",
      options: { path: "/accounts/:number", claim: "account" },
      claims: { account: 42 },
      request: { path: "/accounts/42" },
      expect: "allow",
    },
    {
      name: "a number written otherwise",
      options: { path: "/accounts/:number", claim: "account" },
      claims: { account: 42 },
      request: { path: "/accounts/042" },
      expect: "deny not_owner",
    },
    {
      name: "an empty claim owns nothing",
      options: { path: "/users/:id/*", claim: "handle" },
      claims: { handle: "" },
      request: { path: "/users/" },
      expect: "deny path_unmatched",
    },
    {
      name: "no such claim",
      options: { path: "/users/:id/*", claim: "handle" },
      request: { path: "/users/alice" },
      expect: "deny claim_missing",
    },
    {
      name: "a role that may see all",
      options: { path: "/users/:id/*", bypass: ["support"] },
      claims: { roles: ["support"] },
      request: { path: "/users/bob" },
      expect: "allow",
    },
    {
      name: "a role that may not",
      options: { path: "/users/:id/*", bypass: ["support"] },
      claims: { roles: ["Support", "staff"] },
      request: { path: "/users/bob" },
      expect: "deny not_owner",
    },
  ],
});

/** @returns What stands in place of the parameter, decoded; `undefined` if the path does not fit. */
function ownerIn(path: string, template: string): string | undefined {
  const wanted = template.split("/").slice(1);
  const isOpen = wanted.at(-1) === "*";
  if (isOpen) wanted.pop();
  const parts = path.split("/").slice(1);
  if (isOpen ? parts.length < wanted.length : parts.length !== wanted.length) return undefined;
  let owner: string | undefined;
  for (const [index, name] of wanted.entries()) {
    const part = decoded(parts[index] ?? "");
    if (part === undefined || part === "") return undefined;
    if (name.startsWith(":")) owner = part;
    else if (name !== "*" && part !== decoded(name)) return undefined;
  }
  return owner;
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined; // a bad escape stands for nothing
  }
}

function textOf(owner: unknown): string | undefined {
  return typeof owner === "number" ? String(owner) : typeof owner === "string" ? owner : undefined;
}
