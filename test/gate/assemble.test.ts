import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { assemble } from "../../src/gate/assemble.ts";
import { tempFolder } from "../support/temp-folder.ts";

const ISSUER = "{ name: main, issuer: https://id.example.com, audiences: [api] }";
const FINE = `import { allow, definePolicy } from "claimgate";
export default definePolicy({ description: "x", evaluate: () => allow() });
`;

/** @returns Findings as `code@line`, warnings of an assembly that holds included. */
async function findingsOf(config: string, files: Record<string, string> = {}): Promise<string[]> {
  await using folder = await tempFolder({ "claimgate.yaml": config, ...files });
  const file = join(folder.path, "claimgate.yaml");
  const loaded = await loadConfig(file, {});
  if (!loaded.ok) throw new Error(loaded.error.map(({ message }) => message).join("; "));
  const assembly = await assemble(loaded.value, "claimgate.yaml");
  if (assembly.ok) assembly.value.policies.dispose();
  const findings = assembly.ok ? assembly.value.warnings : assembly.error;
  return findings.map(({ code, severity, line }) => `${severity} ${code}@${line}`);
}

describe("assemble()", () => {
  test("has nothing to say of what holds", async () => {
    const config = `issuers: [${ISSUER}]
routes:
  - { upstream: echo, policies: [require-scopes: { allOf: [read] }, fine] }
`;
    expect(await findingsOf(config, { "policies/fine.ts": FINE })).toEqual([]);
  });

  test("warns of what is probably not meant", async () => {
    const config = `issuers: [${ISSUER}]
routes:
  - { upstream: echo, policies: [require-roles: { anyOf: [staff] }, country: { allow: [AT] }] }
`;
    expect((await findingsOf(config, { "policies/idle.ts": FINE })).sort()).toEqual([
      "warning claim_unpromised@3",
      "warning geo_missing@2",
      "warning policy_unused@1",
    ]);
  });

  test("takes the development issuer's word for every claim", async () => {
    const config = `issuers: [{ name: dev, development: true }]
routes: [{ upstream: echo, policies: [require-roles: { anyOf: [staff] }] }]
`;
    expect(await findingsOf(config)).toEqual([]);
  });

  test("takes a provider's word for the claims of the scopes that login asks for", async () => {
    const config = (scopes: string) => `publicUrl: https://gate.acme.dev
issuers: [{ name: main, issuer: https://id.example.com, login: { clientId: gate, scopes: ${scopes} } }]
routes: [{ upstream: echo, login: true, policies: [mail] }]
`;
    const mail = FINE.replace(
      "evaluate:",
      "claims: Type.Object({ email: Type.String() }), evaluate:",
    ).replace("definePolicy }", "definePolicy, Type }");
    const files = { "policies/mail.ts": mail };
    expect(await findingsOf(config("[email]"), files)).toEqual([]);
    expect(await findingsOf(config("[profile]"), files)).toEqual(["warning claim_unpromised@3"]);
  });

  test("refuses an unknown policy, an option that does not fit and a failing case, all at once", async () => {
    const config = `issuers: [${ISSUER}]
routes:
  - upstream: echo
    policies:
      - require-role: { anyOf: [a] }
      - require-scopes: { allOf: read }
      - wrong
`;
    const wrong = FINE.replace(
      "evaluate:",
      'cases: [{ name: "no", expect: "deny no" }], evaluate:',
    );
    expect(await findingsOf(config, { "policies/wrong.ts": wrong })).toEqual([
      "error case_failed@2",
      "error policy_missing@5",
      "error option_invalid@6",
    ]);
  });

  test("with requireCases: false a failing case is a warning", async () => {
    const config = `reload: { requireCases: false }
issuers: [${ISSUER}]
routes: [{ upstream: echo, policies: [wrong] }]
`;
    const wrong = FINE.replace(
      "evaluate:",
      'cases: [{ name: "no", expect: "deny no" }], evaluate:',
    );
    expect(await findingsOf(config, { "policies/wrong.ts": wrong })).toEqual([
      "warning case_failed@2",
    ]);
  });
});
