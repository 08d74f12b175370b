/**
 * What authors of policies are told of their mistakes, word by word: what happened, where, and
 * what to do.
 */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { tempFolder } from "../support/temp-folder.ts";
import { run } from "./claimgate.ts";

setDefaultTimeout(60_000);

const CONFIG = `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
routes:
  - name: home
    upstream: echo
    policies: [staff]
`;

const STAFF = `import { allow, definePolicy, deny, Type } from "claimgate";

export default definePolicy({
  description: "Lets staff pass",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  options: Type.Object({ role: Type.String({ default: "staff" }) }),
  evaluate({ claims, options }) {
    return claims.roles.includes(options.role) ? allow() : deny("role_missing");
  },
  cases: [
    { name: "staff pass", claims: { roles: ["staff"] }, expect: "allow" },
    { name: "guests do not", claims: { roles: ["guest"] }, expect: "deny role_missing" },
  ],
});
`;

const RETURN = 'return claims.roles.includes(options.role) ? allow() : deny("role_missing");';

/** @returns STAFF with one thing changed. */
function staff(from: string, to: string): { "policies/staff.ts": string } {
  expect(STAFF).toContain(from);
  return { "policies/staff.ts": STAFF.replace(from, to) };
}

/** @returns What a person reads at a terminal: stdout, stderr, and the exit code. */
async function said(command: "check" | "test", files: Readonly<Record<string, string>>) {
  await using folder = await tempFolder({
    "claimgate.yaml": CONFIG,
    "policies/staff.ts": STAFF,
    ...files,
  });
  const { out, err, exitCode } = await run([command], { folder: folder.path });
  return `${out}${err}exit ${exitCode}`.replaceAll(/\b\d+\.\d ms/g, "# ms");
}

describe("the types are wrong:", () => {
  test("a claim that is not declared", async () => {
    const files = staff("claims.roles.includes", "claims.role.includes");
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:8:12  error  claims.role is unknown: the policy's claims do not name it (TS18046)
         8 |     return claims.role.includes(options.role) ? allow() : deny("role_missing");
           |            ^^^^^^^^^^^^^^^^^^^^
             fix: declare it under claims, like role: Type.String(), or mend its name

      1 error
      exit 1"
    `);
    expect(await said("test", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:8:12  error  claims.role is unknown: the policy's claims do not name it (TS18046)
         8 |     return claims.role.includes(options.role) ? allow() : deny("role_missing");
           |            ^^^^^^^^^^^^^^^^^^^^
             fix: declare it under claims, like role: Type.String(), or mend its name

      1 error
      claimgate: claimgate.yaml does not hold: 1 error
      exit 1"
    `);
  });

  test("an answer that is no verdict", async () => {
    const files = staff(RETURN, "return claims.roles.includes(options.role);");
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:7:3  error  evaluate returns boolean, which is no verdict (TS2322)
         7 |   evaluate({ claims, options }) {
           |   ^^^^^^^^
             fix: return allow(…), deny(code, detail) or challenge(…)

      1 error
      exit 1"
    `);
  });

  test("a path without an answer", async () => {
    const files = staff(RETURN, "if (claims.roles.includes(options.role)) return allow();");
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:7:3  error  evaluate does not return a verdict on every path (TS2322)
         7 |   evaluate({ claims, options }) {
           |   ^^^^^^^^
             fix: return allow(…), deny(code, detail) or challenge(…)

      1 error
      exit 1"
    `);
  });

  test("an answer that is a promise of no verdict", async () => {
    const files = {
      "policies/staff.ts": STAFF.replace("evaluate(", "async evaluate(").replace(
        RETURN,
        "return options.role;",
      ),
    };
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:7:9  error  evaluate returns what is no verdict (TS2322)
         7 |   async evaluate({ claims, options }) {
           |         ^^^^^^^^
             fix: return allow(…), deny(code, detail) or challenge(…)

      1 error
      exit 1"
    `);
  });

  test("a helper that is not there", async () => {
    const files = staff(";\n", `;\nimport { isStaff } from "./_roles";\n`);
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:2:25  error  cannot find file "./_roles" (TS2307)
         2 | import { isStaff } from "./_roles";
           |                         ^^^^^^^^^^
             fix: mend the path; helpers are imported with their extension: ./_helper.ts

      1 error
      exit 1"
    `);
  });

  test("a helper with a syntax error", async () => {
    const files = {
      ...staff(";\n", `;\nimport { isStaff } from "./_roles.ts";\n`),
      "policies/_roles.ts": `export function isStaff(roles: string[]) {
  return roles.includes("staff";
}
`,
    };
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/_roles.ts:2:32  error  ')' expected. (TS1005)
         2 |   return roles.includes("staff";
           |                                ^
             fix: mend the syntax

      1 error
      exit 1"
    `);
  });
});

describe("what claimgate.yaml asks for is not there:", () => {
  test("a policy", async () => {
    const files = { "claimgate.yaml": CONFIG.replace("[staff]", "[staff, require-rolls]") };
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "claimgate.yaml:6:23  error  there is no policy "require-rolls"
         6 |     policies: [staff, require-rolls]
           |                       ^^^^^^^^^^^^^
             fix: did you mean require-roles?

      1 error
      exit 1"
    `);
  });

  test("an option", async () => {
    const files = { "claimgate.yaml": CONFIG.replace("[staff]", "[{ staff: { rol: admin } }]") };
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "claimgate.yaml:6:32  error  policy staff (policies/staff.ts:6:3) has no option rol
         6 |     policies: [{ staff: { rol: admin } }]
           |                                ^^^^^
             fix: did you mean role?

      1 error
      exit 1"
    `);
  });

  test("an option of that type", async () => {
    const files = { "claimgate.yaml": CONFIG.replace("[staff]", "[{ staff: { role: 7 } }]") };
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "claimgate.yaml:6:33  error  policy staff (policies/staff.ts:6:3) option role: expected string
         6 |     policies: [{ staff: { role: 7 } }]
           |                                 ^
             fix: write something like its default: "staff"

      1 error
      exit 1"
    `);
  });
});

test("an option that is none of its values", async () => {
  const literals =
    'Type.Union([Type.Literal("staff"), Type.Literal("admin")], { default: "staff" })';
  const files = {
    ...staff('Type.String({ default: "staff" })', literals),
    "claimgate.yaml": CONFIG.replace("[staff]", "[{ staff: { role: boss } }]"),
  };
  expect(await said("check", files)).toMatchInlineSnapshot(`
    "claimgate.yaml:6:33  error  policy staff (policies/staff.ts:6:3) option role: expected "staff" or "admin"
       6 |     policies: [{ staff: { role: boss } }]
         |                                 ^^^^
           fix: write something like its default: "staff"

    1 error
    exit 1"
  `);
});

describe("a policy", () => {
  test("fails a case of its own", async () => {
    const files = staff('claims: { roles: ["guest"] }', 'claims: { roles: ["staff"] }');
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:12:1  error  case "guests do not" of policy staff: expected deny role_missing, got allow
        12 |     { name: "guests do not", claims: { roles: ["staff"] }, expect: "deny role_missing" },
           |     ^
             fix: mend the policy or the case

      1 error
      exit 1"
    `);
    expect(await said("test", files)).toMatchInlineSnapshot(`
      "policy staff
        ✓ staff pass  # ms
        ✗ guests do not  policies/staff.ts:12  # ms
            - expected  + actual
          - deny role_missing
          + allow

      1 passed, 1 failed (# ms)
      exit 1"
    `);
  });

  test("loops without end", async () => {
    const files = staff(RETURN, `while (claims.roles.includes("staff")) {}\n    ${RETURN}`);
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:12:1  error  case "staff pass" of policy staff: expected allow, got fault (timeout: no answer within 250 ms)
        12 |     { name: "staff pass", claims: { roles: ["staff"] }, expect: "allow" },
           |     ^
             fix: look for a loop that does not end, or for what takes longer than policyTimeout

      1 error
      exit 1"
    `);
    expect(await said("test", files)).toMatchInlineSnapshot(`
      "policy staff
        ✗ staff pass  policies/staff.ts:12  # ms
            - expected  + actual
          - allow
          + fault (timeout: no answer within 250 ms)
        ✓ guests do not  # ms

      1 passed, 1 failed (# ms)
      exit 1"
    `);
  });

  test("throws", async () => {
    const thrown = 'if (claims.roles[0] === "guest") throw new Error("no guests here");';
    const files = staff(RETURN, `${thrown}\n    ${RETURN}`);
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:13:1  error  case "guests do not" of policy staff: expected deny role_missing, got fault (threw at policies/staff.ts:8:48: Error: no guests here)
        13 |     { name: "guests do not", claims: { roles: ["guest"] }, expect: "deny role_missing" },
           |     ^
             fix: mend what threw, or expect a fault

      1 error
      exit 1"
    `);
    expect(await said("test", files)).toMatchInlineSnapshot(`
      "policy staff
        ✓ staff pass  # ms
        ✗ guests do not  policies/staff.ts:13  # ms
            - expected  + actual
          - deny role_missing
          + fault (threw at policies/staff.ts:8:48: Error: no guests here)

      1 passed, 1 failed (# ms)
      exit 1"
    `);
  });

  test("answers nonsense that the types let pass", async () => {
    const files = staff(RETURN, `return claims.roles.includes("staff") ? allow() : (7 as never);`);
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:12:1  error  case "guests do not" of policy staff: expected deny role_missing, got fault (nonsense: it answered something else than a verdict: return allow(), deny() or challenge())
        12 |     { name: "guests do not", claims: { roles: ["guest"] }, expect: "deny role_missing" },
           |     ^
             fix: mend the policy or the case

      1 error
      exit 1"
    `);
  });

  test("throws when it is loaded", async () => {
    const files = staff("export default", `JSON.parse("{");\nexport default`);
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:3:6  error  staff.ts cannot be loaded: SyntaxError: JSON Parse error: Expected '}'
         3 | JSON.parse("{");
           |      ^^^^^
             fix: mend what the module does when it is loaded

      1 error
      exit 1"
    `);
  });

  test("does not end to load", async () => {
    const files = staff("export default", "for (let i = 0; i < 1; ) i -= 1;\nexport default");
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:1:1  error  staff.ts cannot be loaded: its top level has not ended within 2 s
         1 | import { allow, definePolicy, deny, Type } from "claimgate";
           | ^^^^^^
             fix: mend what the module does when it is loaded

      1 error
      exit 1"
    `);
  });

  test("is not exported", async () => {
    const files = staff("export default", "export const staff =");
    expect(await said("check", files)).toMatchInlineSnapshot(`
      "policies/staff.ts:1:1  error  staff: the module does not export a policy by default
         1 | import { allow, definePolicy, deny, Type } from "claimgate";
           | ^^^^^^
             fix: write \`export default definePolicy({ … })\`, or begin the file name with "_" if it is a helper

      1 error
      exit 1"
    `);
  });
});

describe("a scenario", () => {
  const scenario = (expected: string) => ({
    "claimgate.scenarios.yaml": `scenarios:
  - name: guests do not
    request: { url: "http://localhost/" }
    claims: { sub: bob, roles: [guest] }
    expect: ${expected}
`,
  });

  test("has a typo in a key", async () => {
    const files = scenario("{ desicion: deny, status: 403 }");
    expect(await said("test", files)).toMatchInlineSnapshot(`
      "claimgate.scenarios.yaml:5:15  error  unknown key desicion: did you mean decision?
         5 |     expect: { desicion: deny, status: 403 }
           |               ^^^^^^^^
             fix: write decision

      1 error
      claimgate: the scenarios do not hold: 1 error
      exit 1"
    `);
  });

  test("names a policy that is not there", async () => {
    const files = scenario("{ status: 403, policy: stuff }");
    expect(await said("test", files)).toMatchInlineSnapshot(`
      "claimgate.scenarios.yaml:5:36  error  there is no policy "stuff"
         5 |     expect: { status: 403, policy: stuff }
           |                                    ^^^^^
             fix: did you mean staff?

      1 error
      claimgate: the scenarios do not hold: 1 error
      exit 1"
    `);
  });

  test("expects what does not come", async () => {
    const files = scenario("{ decision: forward }");
    expect(await said("test", files)).toMatchInlineSnapshot(`
      "policy staff
        ✓ staff pass  # ms
        ✓ guests do not  # ms

      route home
        ✗ guests do not  claimgate.scenarios.yaml:2  # ms
            - expected  + actual
          - decision: forward
          + decision: deny
          + status: 403
          + code: policy_denied
          + policy: staff
          + reason: role_missing

      2 passed, 1 failed (# ms)
      exit 1"
    `);
  });
});
