import { describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { editorConfig, writeTypes } from "../../src/policy/types-on-disk.ts";
import { policy, policyFolder } from "./policy-folder.ts";

describe("writeTypes()", () => {
  test("writes once, and again when its version is another", async () => {
    await using state = await policyFolder();
    const { sdk, version } = await writeTypes(state.path);
    expect(await readFile(sdk, "utf8")).toContain("export function definePolicy");

    await writeFile(sdk, "ours");
    await writeTypes(state.path);
    expect(await readFile(sdk, "utf8")).toBe("ours");

    await writeFile(join(state.path, "types/version"), "of another release");
    await writeFile(join(state.path, "types/old.d.ts"), "");
    expect((await writeTypes(state.path)).version).toBe(version);
    expect(await readFile(sdk, "utf8")).toContain("export function definePolicy");
    expect(await readdir(join(state.path, "types"))).not.toContain("old.d.ts");
    expect(await readdir(state.path)).toEqual(["types"]);
  });

  test("several at once leave one whole set", async () => {
    await using state = await policyFolder();
    const all = await Promise.all(Array.from({ length: 4 }, () => writeTypes(state.path)));
    expect(new Set(all.map(({ version }) => version)).size).toBe(1);
    expect(await readdir(state.path)).toEqual(["types"]);
    expect(await readdir(join(state.path, "types"))).toContain("globals.d.ts");
  });
});

describe("editorConfig()", () => {
  test("is a tsconfig.json by which policies pass, and errors are found", async () => {
    await using folder = await policyFolder({
      "policies/staff.ts": policy("evaluate: () => allow()"),
    });
    const [policies, state] = [join(folder.path, "policies"), join(folder.path, ".claimgate")];
    await mkdir(state);
    await writeTypes(state);
    await folder.write({ "policies/tsconfig.json": editorConfig(policies, state) });
    const check = async () => {
      const child = Bun.spawn([process.execPath, "check", "--no-script", "--no-pretty"], {
        cwd: policies,
        env: { BUN_BE_BUN: "1" },
        stdout: "pipe",
        stderr: "ignore",
      });
      return { output: await child.stdout.text(), status: await child.exited };
    };
    expect(await check()).toEqual({ output: "", status: 0 });
    await folder.write({ "policies/staff.ts": policy("evaluate: () => 7") });
    expect((await check()).output).toContain("staff.ts(3,");
  });

  test("names nothing of this machine", () => {
    const text = editorConfig("/home/alice/gate/policies", "/home/alice/gate/.claimgate");
    expect(text).toContain('"../.claimgate/types/claimgate/policy/sdk.ts"');
    expect(text).not.toContain("alice");
  });
});
