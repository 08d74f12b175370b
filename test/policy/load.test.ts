import { describe, expect, test } from "bun:test";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "../../src/errors.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { loadPolicies } from "../../src/policy/load.ts";
import { compiled, loaded, policy, policyFolder, question, ref } from "./policy-folder.ts";

const SHIPPED =
  "break-glass client-network country device group-mapping office-hours owns-resource require-claim require-roles require-scopes step-up token-age unusual-activity".split(
    " ",
  );
const ALLOWS = policy("evaluate: () => allow()");

async function findings(files: Readonly<Record<string, string>>): Promise<readonly Finding[]> {
  await using folder = await policyFolder(files);
  const set = await loadPolicies(folder.path);
  if (set.ok) set.value.dispose();
  return set.ok
    ? []
    : set.error.map((one) => ({ ...one, file: one.file.replace(`${folder.path}/`, "") }));
}

describe("loadPolicies()", () => {
  test("without a folder there are the shipped policies", async () => {
    const set = await loaded("/nowhere/policies");
    expect([...set.policies.keys()].sort()).toEqual(SHIPPED);
    expect([...set.policies.values()].every(({ shipped }) => shipped)).toBe(true);
  });

  test("names policies by their path, and leaves out what is none", async () => {
    await using folder = await policyFolder({
      "staff.ts": ALLOWS,
      "finance/approver.ts": ALLOWS,
      "_helper.ts": "throw new Error('a helper that nobody imports is not loaded');",
      "_shared/roles.ts": "export const roles = [];",
      "staff.test.ts": "throw new Error('a test is not loaded');",
      "globals.d.ts": "declare const x: number;",
      ".draft.ts": "(",
      "node_modules/thing/index.ts": "(",
      "readme.md": "#",
    });
    const set = await loaded(folder.path);
    const own = [...set.policies.values()].filter(({ shipped }) => !shipped);
    expect(own.map(({ name }) => name).sort()).toEqual(["finance/approver", "staff"]);
    expect(own.map(({ file }) => file).sort()).toEqual([
      join(folder.path, "finance/approver.ts"),
      join(folder.path, "staff.ts"),
    ]);
  });

  test("a file of the same name replaces a shipped policy", async () => {
    await using folder = await policyFolder({
      "require-roles.ts": policy('evaluate: () => deny("ours")'),
    });
    const set = await loaded(folder.path);
    expect(set.policies.get("require-roles")?.shipped).toBe(false);
    const answer = evaluate(compiled(set, ref("require-roles")), question(), 250);
    expect(answer).toMatchObject({ verdict: { kind: "deny", code: "ours" } });
  });

  test("a change of a helper is in the next set, not in the one in force", async () => {
    const importer = policy(
      "evaluate: () => (open ? allow() : deny('closed'))",
      'import { open } from "./_state.ts";',
    );
    await using folder = await policyFolder({
      "door.ts": importer,
      "_state.ts": "export const open = true;",
    });
    const before = compiled(await loaded(folder.path), ref("door"));
    await folder.write({ "_state.ts": "export const open = false;" });
    const after = compiled(await loaded(folder.path), ref("door"));
    expect(evaluate(after, question(), 250)).toMatchObject({ verdict: { kind: "deny" } });
    expect(evaluate(before, question(), 250)).toMatchObject({ verdict: { kind: "allow" } });
  });

  test("files that come later are in the next set: policies, helpers, folders", async () => {
    await using folder = await policyFolder({ "first.ts": ALLOWS });
    const before = await loaded(folder.path);
    await folder.write({
      "second.ts": `import "./_late.ts";\n${ALLOWS}`,
      "_late.ts": "export {};",
      "finance/third.ts": ALLOWS,
    });
    const after = await loaded(folder.path);
    const own = [...after.policies.values()].filter(({ shipped }) => !shipped);
    expect(own.map(({ name }) => name).sort()).toEqual(["finance/third", "first", "second"]);
    before.dispose();
    after.dispose();
  });

  test("policies of one set share a helper's state", async () => {
    const counting = policy(
      'evaluate: () => deny("n" + ++state.count)',
      'import { state } from "./_state.ts";',
    );
    await using folder = await policyFolder({
      "a.ts": counting,
      "b.ts": counting,
      "_state.ts": "export const state = { count: 0 };",
    });
    const set = await loaded(folder.path);
    const ask = (name: string) => evaluate(compiled(set, ref(name)), question(), 250);
    expect(ask("a")).toMatchObject({ verdict: { code: "n1" } });
    expect(ask("b")).toMatchObject({ verdict: { code: "n2" } });
  });

  test("a policy may await at its top level", async () => {
    await using folder = await policyFolder({
      "door.ts": `${ALLOWS}\nawait new Promise((done) => setTimeout(done, 1));`,
    });
    expect((await loaded(folder.path)).policies.has("door")).toBe(true);
  });

  test("a link within the folder is followed, as in a ConfigMap", async () => {
    await using folder = await policyFolder({ "..2026/staff.ts": ALLOWS });
    await symlink("..2026", join(folder.path, "..data"));
    await symlink("..data/staff.ts", join(folder.path, "staff.ts"));
    expect((await loaded(folder.path)).policies.has("staff")).toBe(true);
  });

  test("a link out of the folder is refused, to a file or to a folder", async () => {
    await using outside = await policyFolder({ "staff.ts": ALLOWS });
    await using folder = await policyFolder();
    await symlink(join(outside.path, "staff.ts"), join(folder.path, "staff.ts"));
    await symlink(outside.path, join(folder.path, "more"));
    const set = await loadPolicies(folder.path);
    expect(set).toMatchObject({
      ok: false,
      error: [
        { code: "policy_outside", file: join(folder.path, "more") },
        { code: "policy_outside", file: join(folder.path, "staff.ts") },
      ],
    });
  });

  test("a folder that is a file is refused", async () => {
    await using folder = await policyFolder({ "staff.ts": ALLOWS });
    const set = await loadPolicies(join(folder.path, "staff.ts"));
    expect(set).toMatchObject({ ok: false, error: [{ code: "policies_unreadable" }] });
  });

  test("a file of more than 1 MB is refused, and more than 1,000 files", async () => {
    const large = `${ALLOWS}// ${"x".repeat(1_048_576)}`;
    expect(await findings({ "large.ts": large })).toMatchObject([{ code: "policy_too_large" }]);

    await using folder = await policyFolder();
    await mkdir(join(folder.path, "many"));
    for (let n = 0; n <= 1_000; n++) await writeFile(join(folder.path, `many/_${n}.ts`), "");
    expect(await loadPolicies(folder.path)).toMatchObject({
      ok: false,
      error: [{ code: "policies_too_many" }],
    });
  });
});

describe("findings of loadPolicies()", () => {
  test("a syntax error has its place", async () => {
    const text = `${ALLOWS}\nconst broken = ;\n`;
    const line = text.split("\n").indexOf("const broken = ;") + 1;
    expect(await findings({ "staff.ts": text })).toMatchObject([
      { severity: "error", code: "policy_syntax", file: "staff.ts", line, column: 16 },
    ]);
  });

  test("a syntax error of a helper is named once, where it is", async () => {
    const importer = policy("evaluate: () => allow()", 'import "./_helper.ts";');
    const found = await findings({
      "a.ts": importer,
      "b.ts": importer,
      "_helper.ts": "export const x = 1;\nexport const = 2;\n",
    });
    expect(found).toMatchObject([
      { code: "policy_syntax", file: "_helper.ts", line: 2, column: 14 },
    ]);
  });

  test("what throws at its top level has the place of the throw, in a helper too", async () => {
    const found = await findings({
      "a.ts": policy("evaluate: () => allow()", 'import "./_helper.ts";'),
      "_helper.ts": "\n\n  throw new TypeError('no such thing');\n",
    });
    expect(found).toMatchObject([{ code: "policy_threw", file: "_helper.ts", line: 3 }]);
    expect(found[0]?.message).toContain("TypeError: no such thing");
  });

  test("a loop at the top level is cut, in a helper too", async () => {
    await using folder = await policyFolder({
      "door.ts": `import { open } from "./_state.ts"; import { allow, definePolicy } from "claimgate";
        export default definePolicy({ description: "d", evaluate: () => allow({ headers: { a: open } }) });`,
      "_state.ts": 'export const open = "yes"; for (;;) {}',
    });
    expect(await loadPolicies(folder.path)).toMatchObject({
      ok: false,
      error: [
        { code: "policy_threw", message: expect.stringContaining("has not ended within 2 s") },
      ],
    });
  });

  test("what the SDK throws has the place of the call", async () => {
    const call = 'inRange("10.0.0.1", ["10.0.0.0/99"]);';
    const found = await findings({ "a.ts": policy("evaluate: () => allow()", call) });
    expect(found).toMatchObject([{ code: "policy_threw", file: "a.ts", line: 2, column: 1 }]);
  });

  test("an import that leads nowhere has the place of the import", async () => {
    const found = await findings({
      "a.ts": '\nimport { x } from "./_missing.ts";\nexport default x;\n',
    });
    expect(found).toMatchObject([{ code: "policy_import", file: "a.ts", line: 2, column: 19 }]);
  });

  test("all broken policies are named, not only the first", async () => {
    const found = await findings({ "a.ts": "const = 1;", "b.ts": "export default 7;" });
    expect(found.map(({ file, code }) => [file, code])).toEqual([
      ["a.ts", "policy_syntax"],
      ["b.ts", "policy_not_defined"],
    ]);
  });

  test.each([
    ["no default export", "export const x = 1;", "policy_not_defined"],
    [
      "an object not made by definePolicy",
      "export default { evaluate() {} };",
      "policy_not_defined",
    ],
    [
      "no description",
      policy("evaluate: () => allow(), description: ''"),
      "policy_description_missing",
    ],
    ["no evaluate", policy("claims: Type.Object({})"), "policy_evaluate_missing"],
    [
      "claims that are no schema",
      policy("evaluate: () => allow(), claims: {}"),
      "policy_schema_invalid",
    ],
    [
      "a format nobody knows",
      policy(
        "evaluate: () => allow(), options: Type.Object({ x: Type.String({ format: 'cdir' }) })",
      ),
      "policy_schema_invalid",
    ],
    [
      "cases without a name",
      policy("evaluate: () => allow(), cases: [{}]"),
      "policy_cases_invalid",
    ],
  ])("refuses %s", async (_what, text, code) => {
    expect(await findings({ "staff.ts": text })).toMatchObject([{ code, file: "staff.ts" }]);
  });

  test.each(["all", "any", "not", "shadow"])("refuses the name %s", async (name) => {
    expect(await findings({ [`${name}.ts`]: ALLOWS })).toMatchObject([
      { code: "policy_name_reserved", file: `${name}.ts` },
    ]);
  });
});
