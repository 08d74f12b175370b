/**
 * The files that `claimgate init` begins with: short, commented, and working as they are.
 *
 * @module
 */

/** Who issues the tokens: the development issuer, or a real one as its discovery document names it. */
export type StarterIssuer =
  | { readonly kind: "development" }
  | { readonly kind: "real"; readonly issuer: string; readonly audience?: string };

/** @returns The text of claimgate.yaml. */
export function starterConfig(issuer: StarterIssuer): string {
  return `# yaml-language-server: $schema=.claimgate/schema.json
#
# Claimgate's configuration. \`claimgate check\` says whether it holds; a running gate takes a
# saved change over by itself, whole or not at all.

listen: 127.0.0.1:8080      # this machine alone; anything wider needs tls
policies: policies          # the folder of TypeScript policies, watched

# Whose tokens are trusted.
issuers:
${issuer.kind === "development" ? DEVELOPMENT : realIssuer(issuer)}
# The most exact host decides, then the longest path, whatever the order here. What matches no
# route is refused.
routes:
  - name: home
    match: { path: /* }
    upstream: echo          # answers with the request as it came; yours: http://127.0.0.1:3000
    policies: [staff]       # policies/staff.ts; of several, all must allow
    identityHeaders:        # told to the upstream; what a client sends under these names is removed
      X-User: sub
      X-Roles: roles

  - name: public
    match: { path: /public/* }
    upstream: echo
    public: true            # no token is looked at
`;
}

const DEVELOPMENT = `  - name: dev
    development: true       # \`claimgate token\` prints its tokens; for a loopback listen alone

  # A real one, as \`claimgate init --issuer URL\` writes it; its keys are found by discovery:
  # - name: main
  #   issuer: https://id.acme.dev             # exactly the iss of its tokens
  #   audiences: [api://internal]             # one of these must be in aud
  #   claims: { roles: realm_access.roles }   # our name: where it is in the token
`;

function realIssuer({ issuer, audience }: { issuer: string; audience?: string }): string {
  const audiences =
    audience === undefined
      ? "[]           # TO FILL IN: what tokens meant for you have in aud; one is enough"
      : `[${scalar(audience)}]`;
  return `  - name: main
    # Exactly the iss of its tokens; its keys are found by discovery.
    issuer: ${scalar(issuer)}
    audiences: ${audiences}
    # Our name: where it is in the token, for example realm_access.roles.
    claims: { roles: roles }
`;
}

/** Quoted, with dollars that stay dollars: the file replaces \${NAME} by the environment. */
function scalar(text: string): string {
  return JSON.stringify(text.replaceAll("$", "$$$$"));
}

export const STAFF_POLICY = `import { allow, definePolicy, deny, Type } from "claimgate";

export default definePolicy({
  description: "Lets staff pass",
  // What the token must have. \`claims\` below is typed by it; a token that does not fit is refused.
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  evaluate({ claims }) {
    return claims.roles.includes("staff") ? allow() : deny("role_missing", "needs the role staff");
  },
  // Tried by \`claimgate check\` and before every reload.
  cases: [
    { name: "staff pass", claims: { roles: ["staff", "reader"] }, expect: "allow" },
    { name: "guests do not", claims: { roles: ["guest"] }, expect: "deny role_missing" },
  ],
});
`;

/** The text of claimgate.scenarios.yaml. */
export const STARTER_SCENARIOS = `# What must become of whole requests: \`claimgate test\` tries it with the gate's own rules, with
# made-up tokens and without a network. It may also have at, country, device, history, and more.
scenarios:
  - name: staff reach the application, which is told who they are
    request: { url: "http://localhost:8080/" }
    claims: { sub: alice, roles: [staff] }
    expect: { decision: forward, upstreamHeaders: { X-User: alice } }

  - name: guests do not
    request: { url: "http://localhost:8080/" }
    claims: { sub: bob, roles: [guest] }
    expect: { decision: deny, status: 403, policy: staff, reason: role_missing }

  - name: nobody does without a token
    request: { url: "http://localhost:8080/" }
    expect: { decision: deny, status: 401, code: token_missing }

  - name: what is public needs none
    request: { url: "http://localhost:8080/public/logo.svg" }
    expect: { decision: forward }
`;

export const GITIGNORE = `# Claimgate's own: keys, editor types; revocations and audit
.claimgate/
claimgate.db*
audit.key
`;
