import { afterEach, describe, expect, test } from "bun:test";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { typecheckPolicies } from "../../src/policy/typecheck.ts";
import { policy, policyFolder } from "./policy-folder.ts";

const FINE = policy(
  "claims: Type.Object({ roles: Type.Array(Type.String()) }), evaluate: ({ claims }) => (claims.roles.includes('a') ? allow() : deny('no'))",
);

const WRONG = policy("evaluate: ({ claims }) => (claims.nope.length > 0 ? allow() : deny('no'))");

/** Type-checks these files from nothing. */
async function check(files: Readonly<Record<string, string>>) {
  await using folder = await policyFolder(files);
  await using state = await policyFolder();
  const findings = await typecheckPolicies(folder.path, state.path);
  return findings.map((one) => ({ ...one, file: one.file.replace(`${folder.path}/`, "") }));
}

describe("typecheckPolicies()", () => {
  test("an empty folder, and one that does not exist, have nothing wrong", async () => {
    await using state = await policyFolder();
    expect(await check({})).toEqual([]);
    expect(await typecheckPolicies("/nowhere/policies", state.path)).toEqual([]);
    expect(await readdir(state.path)).toEqual([]);
  });

  test("ordinary policies pass with nothing installed: the web's globals, node: and helpers", async () => {
    const web = `import { createHash } from "node:crypto";
import { allow, definePolicy, deny, type PolicyInput, type Static, Type } from "claimgate";
import { tenants } from "./_tenants.ts";
const Claims = Type.Object({ sub: Type.String() });
type C = Static<typeof Claims>;
const known = (claims: C, { length }: readonly string[]): boolean => claims.sub.length > length;
const late = (input: Pick<PolicyInput, "now" | "token">): boolean => input.now > input.token.expiresAt;
export default definePolicy({
  description: "uses everything",
  claims: Claims,
  options: Type.Object({ url: Type.String({ default: "https://x.example" }) }),
  async evaluate({ claims, options, token, request, client, route, now, secret, fetch, signal }) {
    const url = new URL(options.url);
    url.searchParams.set("user", claims.sub);
    const headers = new Headers({ authorization: "Bearer " + secret("KEY") });
    console.log(route.name, client.ip, client.country, client.device.mobile, request.query.get("q"));
    const timer = setTimeout(() => {}, 10);
    clearTimeout(timer);
    const digest: unknown = createHash("sha256").update(request.headers.get("x") ?? "").digest("hex");
    const response: Response = await fetch(url, { headers, method: "POST", body: JSON.stringify({ digest }), signal });
    const { other } = claims;
    if (typeof other === "string" || late({ now, token })) return deny("other");
    return response.ok && known(claims, tenants) ? allow({ headers: { "X-Id": crypto.randomUUID() } }) : deny("no");
  },
  cases: [{ name: "x", claims: { sub: "a" }, options: {}, fetch: () => Response.json({}), secrets: { KEY: "k" }, expect: "deny no" }],
});
`;
    expect(
      await check({
        "web.ts": web,
        "_tenants.ts": "export const tenants: readonly string[] = [];",
      }),
    ).toEqual([]);
  });

  test.each([
    [
      "claims beyond the schema are unknown",
      "evaluate: ({ claims }) => (claims.x.y ? allow() : deny('no'))",
    ],
    [
      "options have the types of their schema",
      "options: Type.Object({ n: Type.Number() }), evaluate: ({ options }) => deny(options.n)",
    ],
    [
      "an option that is not in the schema",
      "options: Type.Object({ n: Type.Number() }), evaluate: ({ options }) => deny(options.m)",
    ],
    ["not every way answers", "evaluate: ({ now }) => { if (now) return allow(); }"],
    ["an answer that is no verdict", "evaluate: () => true"],
    [
      "a case's options",
      "options: Type.Object({ n: Type.Number() }), evaluate: () => allow(), cases: [{ name: 'x', options: { n: 'x' }, expect: 'allow' }]",
    ],
    [
      "a case that expects something else",
      "evaluate: () => allow(), cases: [{ name: 'x', expect: 'denied' }]",
    ],
    ["a name nobody knows", "evaluate: () => (window ? allow() : deny('no'))"],
    [
      "a past that is not waited for",
      "evaluate: ({ history }) => (history().requests ? allow() : deny('no'))",
    ],
  ])("finds: %s", async (_what, members) => {
    const findings = await check({ "bad.ts": policy(members) });
    expect(findings.length).toBeGreaterThan(0);
    expect(findings[0]).toMatchObject({
      severity: "error",
      code: "policy_type",
      file: "bad.ts",
      line: 3,
    });
  });

  test("each finding has its place", async () => {
    const text = 'import { allow } from "claimgate";\n\nexport const x: number = "1";\nallow(7);\n';
    expect(await check({ "_helper.ts": text, "fine.ts": FINE })).toMatchObject([
      { file: "_helper.ts", line: 3, column: 14, message: expect.stringContaining("(TS2322)") },
      { file: "_helper.ts", line: 4, column: 7, message: expect.stringContaining("(TS2559)") },
    ]);
  });

  test("TypeBox by its own name is not there, as at run time", async () => {
    const text = 'import { Type } from "@sinclair/typebox";\nexport const x = Type.String();\n';
    expect(await check({ "_helper.ts": text })).toMatchObject([{ file: "_helper.ts", line: 1 }]);
  });

  test("nothing that lies beside the policies has a say", async () => {
    const files = {
      "bad.ts": policy("evaluate: () => true"),
      "tsconfig.json": '{ "compilerOptions": { "strict": false }, "exclude": ["**/*"] }',
      "package.json": '{ "scripts": { "check": "true" } }',
      "bunfig.toml": 'preload = ["./evil.js"]',
    };
    expect(await check(files)).toMatchObject([{ file: "bad.ts", code: "policy_type" }]);
  });

  test("nor has what lies around the gate's own folder", async () => {
    await using around = await policyFolder({
      "package.json": '{ "scripts": { "check": "true" } }',
      "policies/bad.ts": policy("evaluate: () => true"),
    });
    const [policies, state] = [join(around.path, "policies"), join(around.path, ".claimgate")];
    expect(await typecheckPolicies(policies, state)).toMatchObject([{ code: "policy_type" }]);
  });

  test("tests and node_modules are not checked", async () => {
    const wrong = "export const x: number = 'x';";
    expect(
      await check({ "fine.ts": FINE, "fine.test.ts": wrong, "node_modules/a/index.ts": wrong }),
    ).toEqual([]);
  });

  test("an unchanged folder that has passed is not checked again; a changed one is", async () => {
    await using folder = await policyFolder({ "fine.ts": FINE, "_h.ts": "export const x = 1;" });
    await using state = await policyFolder();
    const check = () => typecheckPolicies(folder.path, state.path);
    expect(await check()).toEqual([]);
    // What passed is told by a note: with its text in place of a check, the checker is not run.
    const config = join(state.path, "typecheck/tsconfig.json");
    await writeFile(config, "untouched");
    expect(await check()).toEqual([]);
    expect(await readFile(config, "utf8")).toBe("untouched");

    await folder.write({ "_h.ts": "export const x: number = 'x';" });
    expect(await check()).toMatchObject([{ file: join(folder.path, "_h.ts") }]);
    expect(await check()).toMatchObject([{ file: join(folder.path, "_h.ts") }]);
    await folder.write({ "_h.ts": "export const x: number = 2;" });
    expect(await check()).toEqual([]);
  });

  test.each([
    ["an import", (file: string) => `export { x } from "${file}";`],
    ["a reference", (file: string) => `/// <reference path="${file}" />\nexport {};`],
    ["a type's import", (file: string) => `export type X = typeof import(\n"${file}");`],
    ["an import by template", (file: string) => `export const x = import(\`${file}\`);`],
  ])("what depends on files elsewhere by %s is checked every time", async (_what, helper) => {
    await using elsewhere = await policyFolder({ "x.ts": "export const x: number = 1;" });
    const text = helper(`${elsewhere.path}/x.ts`);
    await using folder = await policyFolder({ "fine.ts": FINE, "_h.ts": text });
    await using state = await policyFolder();
    expect(await typecheckPolicies(folder.path, state.path)).toEqual([]);
    await elsewhere.write({ "x.ts": "export const x: number = 'x';" });
    expect(await typecheckPolicies(folder.path, state.path)).not.toEqual([]);
  });

  test("leaves nothing that others may read", async () => {
    await using folder = await policyFolder({ "fine.ts": FINE });
    await using state = await policyFolder();
    const inside = join(state.path, ".claimgate");
    await typecheckPolicies(folder.path, inside);
    const names = await readdir(inside, { recursive: true });
    expect(names.length).toBeGreaterThan(200);
    for (const name of ["", ...names]) {
      expect((await stat(join(inside, name))).mode & 0o077).toBe(0);
    }
  });

  describe("where nothing can be written", () => {
    const usual = process.env.TMPDIR;
    afterEach(() => {
      if (usual === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = usual;
    });

    test("types are checked all the same, and nothing stays behind", async () => {
      await using folder = await policyFolder({ "fine.ts": FINE, "wrong.ts": WRONG });
      await using state = await policyFolder({ file: "" });
      await using temporary = await policyFolder();
      process.env.TMPDIR = temporary.path;
      const findings = await typecheckPolicies(folder.path, join(state.path, "file"));
      expect(findings).toMatchObject([{ severity: "error", code: "policy_type" }]);
      expect(await readdir(temporary.path)).toEqual([]);
    });

    test("a checker that cannot be run is a finding", async () => {
      await using folder = await policyFolder({ "fine.ts": FINE });
      await using state = await policyFolder({ file: "" });
      process.env.TMPDIR = join(state.path, "file");
      const findings = await typecheckPolicies(folder.path, join(state.path, "file"));
      expect(findings).toMatchObject([{ severity: "error", code: "typecheck_failed" }]);
    });
  });
});
