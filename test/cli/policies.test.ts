import { describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { runClaimgate } from "../support/run-claimgate.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const CONFIG = `issuers: [{ name: dev, development: true }]
routes:
  - name: orders
    match: { path: /orders/* }
    upstream: echo
    policies:
      - staff
      - any:
          - require-roles: { anyOf: [admin] }
          - not: finance/late
  - name: wiki
    upstream: echo
    policies: [staff, { shadow: { all: [finance/late] } }]
`;
const STAFF = `import { allow, definePolicy, deny, Type } from "claimgate";
export default definePolicy({
  description: "Lets staff pass",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  options: Type.Object({
    level: Type.Integer({ description: "How high" }),
    area: Type.Optional(Type.Union([Type.Literal("eu"), Type.Literal("us")])),
    strict: Type.Boolean({ default: false }),
  }),
  evaluate: ({ claims }) => (claims.roles.includes("staff") ? allow() : deny("role_missing")),
  cases: [{ name: "staff", options: { level: 1 }, claims: { roles: ["staff"] }, expect: "allow" }],
});
`;
const LATE = `import { allow, definePolicy } from "claimgate";
export default definePolicy({ description: "Late", evaluate: () => allow() });
`;

const folderWith = (files: Readonly<Record<string, string>> = {}) =>
  tempFolder({
    "claimgate.yaml": CONFIG,
    "policies/staff.ts": STAFF,
    "policies/finance/late.ts": LATE,
    ...files,
  });

const policies = (folder: TempFolder, ...args: string[]) =>
  runClaimgate(["policies", ...args], { cwd: folder.path });

type Listed = { readonly name: string } & Readonly<Record<string, unknown>>;

async function listed(folder: TempFolder): Promise<ReadonlyMap<string, Listed>> {
  const { exitCode, out, err } = await policies(folder, "--json");
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  const { policies: list }: { policies: Listed[] } = JSON.parse(out);
  expect(list.map(({ name }) => name)).toEqual(list.map(({ name }) => name).sort());
  return new Map(list.map((one) => [one.name, one]));
}

describe("claimgate policies", () => {
  test("--json has all there is to know of each", async () => {
    await using folder = await folderWith();
    const list = await listed(folder);
    expect(list.get("staff")).toEqual({
      name: "staff",
      description: "Lets staff pass",
      shipped: false,
      file: "policies/staff.ts",
      options: expect.objectContaining({ type: "object", required: ["level", "strict"] }),
      claims: expect.objectContaining({ type: "object", required: ["roles"] }),
      cases: 1,
      uses: [
        { route: "orders", file: "claimgate.yaml", line: 7, shadow: false },
        { route: "wiki", file: "claimgate.yaml", line: 13, shadow: false },
      ],
    });
    expect(list.get("finance/late")).toMatchObject({
      options: null,
      claims: null,
      cases: 0,
      uses: [
        { route: "orders", line: 10, shadow: false },
        { route: "wiki", line: 13, shadow: true },
      ],
    });
    const roles = list.get("require-roles");
    expect(roles).not.toHaveProperty("file");
    expect(roles).toMatchObject({ shipped: true, uses: [{ route: "orders", line: 9 }] });
    expect(roles?.cases).toBeGreaterThanOrEqual(9);
    expect(list.get("office-hours")?.uses).toEqual([]);
  });

  test("tells people the same", async () => {
    await using folder = await folderWith();
    const { exitCode, out, err } = await policies(folder);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toContain(`
staff  policies/staff.ts, 1 case
  Lets staff pass
  options  level: whole number. How high
           area: "eu" or "us", optional
           strict: true or false, default false
  used by  orders (claimgate.yaml:7)
           wiki (claimgate.yaml:13)
`);
    expect(out).toContain(`
finance/late  policies/finance/late.ts, 0 cases
  Late
  used by  orders (claimgate.yaml:10)
           wiki (claimgate.yaml:13) as shadow
`);
    expect(out).toMatch(/^require-roles {2}shipped, \d+ cases\n {2}Lets holders/m);
  });

  test("of alternatives, tells every option, and that none is always needed", async () => {
    const either = LATE.replace("definePolicy }", "definePolicy, Type }").replace(
      "evaluate",
      "options: Type.Union([Type.Object({ a: Type.String() }), Type.Object({ b: Type.String() })]), evaluate",
    );
    await using folder = await tempFolder({ "policies/either.ts": either });
    const { out } = await policies(folder);
    expect(out).toContain("  options  a: text, optional\n           b: text, optional\n");
  });

  test("lists the folder where there is no configuration, and what is shipped where there is none", async () => {
    await using own = await tempFolder({ "policies/late.ts": LATE });
    expect((await listed(own)).get("late")).toMatchObject({ uses: [] });
    await using none = await tempFolder();
    expect((await listed(none)).has("require-roles")).toBe(true);
  });

  test("a file of a shipped policy's name stands for it", async () => {
    await using folder = await tempFolder({ "policies/country.ts": LATE });
    expect((await listed(folder)).get("country")).toMatchObject({
      shipped: false,
      description: "Late",
    });
  });

  test.each([
    [
      "a configuration that does not hold",
      { "claimgate.yaml": `${CONFIG}x: 1\n` },
      "unknown key x",
    ],
    [
      "policies that do not load",
      { "policies/bad.ts": "export default 7;\n" },
      "policies/bad.ts:1",
    ],
  ])("%s: 1", async (_, files, words) => {
    await using folder = await folderWith(files as Record<string, string>);
    const { exitCode, out, err } = await policies(folder, "--json");
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toContain(words);
  });

  test.each([
    [["--config", "no.yaml"], "no.yaml"],
    [["bogus"], "too many arguments"],
    [["new"], "missing required argument"],
  ])("%j: 2", async (args, words) => {
    await using folder = await folderWith();
    const { exitCode, out, err } = await policies(folder, ...args);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(words);
  });
});

describe("claimgate policies new", () => {
  test("writes a policy that type-checks, and whose one failing case says what to do", async () => {
    await using folder = await tempFolder({
      "claimgate.yaml": "routes: [{ upstream: echo, public: true }]\n",
    });
    const { exitCode, out, err } = await policies(folder, "new", "sales/eu-west_1");
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toContain("policies/sales/eu-west_1.ts\n");
    expect(out).toContain(" test sales/eu-west_1 ");
    expect(out).toContain("policies: [sales/eu-west_1]");

    const check = await runClaimgate(["check", "--json"], { cwd: folder.path });
    const { findings } = JSON.parse(check.out);
    const about = findings.filter(
      ({ file, severity }: { file: string; severity: string }) =>
        file === "policies/sales/eu-west_1.ts" && severity === "error",
    );
    expect(about).toMatchObject([{ code: "case_failed" }]);
    expect(about[0].message).toContain('"TO FILL IN: who passes"');

    const file = join(folder.path, "policies/sales/eu-west_1.ts");
    const text = await Bun.file(file).text();
    await folder.write("policies/sales/eu-west_1.ts", text.replaceAll('"TO FILL IN"', '"staff"'));
    const filled = await runClaimgate(["check", "--json"], { cwd: folder.path });
    expect(JSON.parse(filled.out).findings).toMatchObject([{ code: "policy_unused" }]);
  });

  test("lays down types for editors, and tells their schema of it", async () => {
    await using folder = await tempFolder({ ".claimgate/schema.json": "{}\n" });
    expect((await policies(folder, "new", "mine")).exitCode).toBe(0);
    const config = await Bun.file(join(folder.path, "policies/tsconfig.json")).json();
    const [sdk] = config.compilerOptions.paths.claimgate;
    expect(await Bun.file(join(folder.path, "policies", sdk)).exists()).toBe(true);
    const schema = await Bun.file(join(folder.path, ".claimgate/schema.json")).json();
    expect(schema.definitions.policy.anyOf[0].enum).toContain("mine");
  });

  test("goes into the folder that the configuration names, wherever --config stands", async () => {
    const files = { "other.yaml": `policies: rules\n${CONFIG}` };
    await using folder = await folderWith(files);
    expect((await policies(folder, "new", "a", "--config", "other.yaml")).exitCode).toBe(0);
    expect((await policies(folder, "--config", "other.yaml", "new", "b")).exitCode).toBe(0);
    for (const name of ["a", "b"]) {
      expect(await Bun.file(join(folder.path, `rules/${name}.ts`)).exists()).toBe(true);
    }
  });

  test("never overwrites", async () => {
    await using folder = await folderWith();
    const { exitCode, out, err } = await policies(folder, "new", "staff");
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toBe("claimgate: policies/staff.ts exists already and is left as it is\n");
    expect(await Bun.file(join(folder.path, "policies/staff.ts")).text()).toBe(STAFF);
  });

  test("nor follows a link that leads elsewhere", async () => {
    await using folder = await folderWith();
    await symlink(join(folder.path, "elsewhere.ts"), join(folder.path, "policies/linked.ts"));
    expect((await policies(folder, "new", "linked")).exitCode).toBe(1);
    expect(await Bun.file(join(folder.path, "elsewhere.ts")).exists()).toBe(false);
  });

  test.each([
    ["", "not a name"],
    ["../staff", "not a name"],
    ["/etc/staff", "not a name"],
    ["a//b", "not a name"],
    ["a/", "not a name"],
    [".hidden", "not a name"],
    ["a b", "not a name"],
    ["a.test", "not a name"],
    ["node_modules/a", "not a name"],
    ["a/b/c/d/e/f/g/h/i", "not a name"],
    ["x".repeat(65), "not a name"],
    ["-x", "unknown option"],
    ["a\u001b[2J", "not a name"],
    ["staff.ts", "write staff"],
    ["_helper", "helpers"],
    ["_shared/staff", "helpers"],
    ["shadow", "a word of the configuration"],
    ["require-roles", "comes with claimgate"],
  ])("refuses the name %j: %s", async (name, words) => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await policies(folder, "new", name);
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(words);
    expect(err).not.toContain("\u001b");
    expect(await Array.fromAsync(new Bun.Glob("**/*").scan({ cwd: folder.path }))).toEqual([]);
  });

  test("a policies folder that cannot be written is a fault: 70", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": CONFIG, "policies/sales": "a file" });
    const { exitCode, out, err } = await policies(folder, "new", "sales/eu");
    expect({ exitCode, out }).toEqual({ exitCode: 70, out: "" });
    expect(err).toStartWith("claimgate: cannot write policies/sales/eu.ts: ");
  });
});
