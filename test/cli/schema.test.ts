import { describe, expect, test } from "bun:test";
import { runClaimgate } from "../support/run-claimgate.ts";
import { tempFolder } from "../support/temp-folder.ts";

const POLICY = `import { allow, definePolicy, Type } from "claimgate";
export default definePolicy({
  description: "x",
  options: Type.Object({ limit: Type.Integer({ description: "How many" }) }),
  evaluate: () => allow(),
});
`;
const CONFIG = "routes:\n  - { name: a, upstream: echo, public: true }\npolicies: rules\n";

async function schemaIn(cwd: string, ...args: string[]) {
  const result = await runClaimgate(["schema", ...args], { cwd });
  return { ...result, schema: result.exitCode === 0 ? JSON.parse(result.out) : undefined };
}

describe("claimgate schema", () => {
  test("knows the policies of the configuration's folder, and their options", async () => {
    await using folder = await tempFolder({
      "claimgate.yaml": CONFIG,
      "rules/team/quota.ts": POLICY,
    });
    const { schema, err } = await schemaIn(folder.path);
    const [names, refs] = schema.definitions.policy.anyOf;
    expect(err).toBe("");
    expect(names.enum).toContain("team/quota");
    expect(names.enum).toContain("require-roles");
    expect(refs.properties["team/quota"].properties.limit.description).toBe("How many");
  });

  test("knows the names while a policy or the configuration does not hold", async () => {
    await using folder = await tempFolder({
      "claimgate.yaml": "rutes: []\n",
      "policies/broken.ts": "export default (",
      "policies/_help.ts": "",
    });
    const { schema } = await schemaIn(folder.path);
    const [names] = schema.definitions.policy.anyOf;
    expect(names.enum).toContain("broken");
    expect(names.enum).toContain("require-roles");
    expect(names.enum).not.toContain("_help");
  });

  test("lets any policy pass where there is no configuration", async () => {
    await using folder = await tempFolder({ "policies/staff.ts": "export default (" });
    const { schema } = await schemaIn(folder.path);
    expect(schema.definitions.policy.anyOf[0]).toEqual({ type: "string" });
    expect(schema.properties.routes.type).toBe("array");
  });

  test("a configuration that is named and not there is wrong usage", async () => {
    await using folder = await tempFolder();
    const { exitCode, out } = await schemaIn(folder.path, "--config", "no.yaml");
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
  });
});
