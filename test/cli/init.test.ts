import { describe, expect, test } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { runClaimgate } from "../support/run-claimgate.ts";
import { tempFolder } from "../support/temp-folder.ts";

const textOf = (...path: string[]) => Bun.file(join(...path)).text();

/** A discovery document on loopback; `issuer` is its own origin. */
function provider() {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    routes: {
      "/.well-known/openid-configuration": (_, server) =>
        Response.json({ issuer: server.url.origin }),
    },
    fetch: () => new Response("no", { status: 404 }),
  });
  return { issuer: server.url.origin, [Symbol.asyncDispose]: () => server.stop(true) };
}

describe("claimgate init", () => {
  test("writes a folder that holds as it is", async () => {
    await using folder = await tempFolder();
    const init = await runClaimgate(["init"], { cwd: folder.path });
    expect({ exitCode: init.exitCode, err: init.err }).toEqual({ exitCode: 0, err: "" });
    expect((await readdir(folder.path)).sort()).toEqual([
      ".claimgate",
      ".gitignore",
      "claimgate.scenarios.yaml",
      "claimgate.yaml",
      "policies",
    ]);
    expect((await readdir(join(folder.path, "policies"))).sort()).toEqual([
      "staff.ts",
      "tsconfig.json",
    ]);
    expect(await textOf(folder.path, ".gitignore")).toContain(
      "\n.claimgate/\nclaimgate.db*\naudit.key\n",
    );
    expect(await runClaimgate(["check"], { cwd: folder.path })).toEqual({
      exitCode: 0,
      out: "1 issuer, 2 routes, 1 policy, 2 cases: all hold\n",
      err: "",
    });
    const tested = await runClaimgate(["test"], { cwd: folder.path });
    expect({ exitCode: tested.exitCode, err: tested.err }).toEqual({ exitCode: 0, err: "" });
    expect(tested.out).toMatch(/^6 passed \(/m);
  });

  test("prints the commands of the first minute", async () => {
    await using folder = await tempFolder();
    const { out } = await runClaimgate(["init", "my gate"], { cwd: folder.path });
    const [, next = ""] = out.split("\nNext\n");
    const words = next.split("\n").map((line) => line.replace(/\s+#.*$/, "").trim());
    expect(words).toEqual([
      "cd 'my gate'",
      expect.stringMatching(/ check$/),
      expect.stringMatching(/ serve &$/),
      "curl -i localhost:8080/",
      expect.stringMatching(/^T=\$\(.+ token --sub alice --claim roles=staff\)$/),
      `curl -H "Authorization: Bearer $T" localhost:8080/`,
      "",
    ]);
  });

  test("its own words for the program run, also from within the new folder", async () => {
    await using folder = await tempFolder();
    const { out } = await runClaimgate(["init", "a'b"], { cwd: folder.path });
    const [cd = "", check = ""] = out.split("\nNext\n")[1]?.split("\n") ?? [];
    const shell = Bun.spawn(["sh", "-c", `${cd}\n${check}`], { cwd: folder.path, stdout: "pipe" });
    expect(await shell.stdout.text()).toEndWith(": all hold\n");
  });

  test("sets editors up: a schema that knows the policy, and types without an install", async () => {
    await using folder = await tempFolder();
    await runClaimgate(["init"], { cwd: folder.path });
    const [first] = (await textOf(folder.path, "claimgate.yaml")).split("\n");
    expect(first).toBe("# yaml-language-server: $schema=.claimgate/schema.json");
    const schema = JSON.parse(await textOf(folder.path, ".claimgate/schema.json"));
    expect(schema.definitions.policy.anyOf[0].enum).toContain("staff");

    const checkTypes = async () => {
      const child = Bun.spawn(
        [process.execPath, "check", "--no-script", "--no-pretty", "-p", "policies/tsconfig.json"],
        {
          cwd: folder.path,
          env: { BUN_BE_BUN: "1", NO_COLOR: "1" },
          stdout: "pipe",
          stderr: "pipe",
        },
      );
      return { status: await child.exited, out: await child.stdout.text() };
    };
    expect(await checkTypes()).toEqual({ status: 0, out: "" });
    const policy = await textOf(folder.path, "policies/staff.ts");
    await folder.write("policies/staff.ts", policy.replace("claims.roles.", "claims.roles.x."));
    const { status, out } = await checkTypes();
    expect(status).not.toBe(0);
    expect(out).toContain("Property 'x' does not exist on type 'string[]'");
  });

  test.skipIf(process.platform === "win32")("keeps its own folder to the owner", async () => {
    await using folder = await tempFolder();
    await runClaimgate(["init"], { cwd: folder.path });
    expect((await stat(join(folder.path, ".claimgate"))).mode & 0o777).toBe(0o700);
  });

  test("where claimgate.yaml exists it says so, exits 1 and writes nothing", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": "mine\n" });
    const { exitCode, out, err } = await runClaimgate(["init"], { cwd: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toBe("claimgate: claimgate.yaml exists already and is left as it is\n");
    expect(await readdir(folder.path)).toEqual(["claimgate.yaml"]);
    expect(await textOf(folder.path, "claimgate.yaml")).toBe("mine\n");
  });

  test.each([
    [".claimgate\n*.db*\n*.key\n", ""],
    ["/.claimgate/\r\n/claimgate.db*\r\n/audit.key\r\n", ""],
    [".claimgate/\n", "add claimgate.db*, audit.key to it"],
    ["claimgate.db\nclaimgate.db*\naudit.key\n", "add .claimgate/ to it"],
  ])("of a .gitignore with %j: %j", async (text, lack) => {
    await using folder = await tempFolder({ ".gitignore": text });
    const { out } = await runClaimgate(["init"], { cwd: folder.path });
    const line = out.split("\n").find((one) => one.includes(".gitignore")) ?? "";
    if (lack === "") expect(line).not.toContain("add ");
    else expect(line).toContain(lack);
  });

  test("leaves every other file alone, and names it", async () => {
    const mine = { "policies/staff.ts": "// mine\n", ".gitignore": "dist\n" };
    await using folder = await tempFolder(mine);
    const { exitCode, out } = await runClaimgate(["init", "."], { cwd: folder.path });
    expect(exitCode).toBe(0);
    expect(out).toMatch(
      /Left as it was\n {2}policies\/staff\.ts\n {2}\.gitignore +add \.claimgate\/, claimgate\.db\*, audit\.key to it/,
    );
    expect(await textOf(folder.path, "policies/staff.ts")).toBe("// mine\n");
    expect(await textOf(folder.path, ".gitignore")).toBe("dist\n");
    expect(await Bun.file(join(folder.path, "policies/tsconfig.json")).exists()).toBe(true);
  });

  test("a file in the folder's place is wrong usage", async () => {
    await using folder = await tempFolder({ here: "" });
    const { exitCode, err } = await runClaimgate(["init", "here"], { cwd: folder.path });
    expect(exitCode).toBe(2);
    expect(err).toContain("is no folder");
  });
});

describe("claimgate init --issuer", () => {
  test("fills the issuer in from its discovery document, and holds with an audience", async () => {
    await using idp = provider();
    await using folder = await tempFolder();
    const args = ["init", "--issuer", `${idp.issuer}/`, "--audience", "api"];
    expect((await runClaimgate(args, { cwd: folder.path })).exitCode).toBe(0);
    const { issuers } = parse(await textOf(folder.path, "claimgate.yaml"));
    expect(issuers).toEqual([
      { name: "main", issuer: idp.issuer, audiences: ["api"], claims: { roles: "roles" } },
    ]);
    const { exitCode, err } = await runClaimgate(["check"], { cwd: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  });

  test("without an audience says what to fill in, and check names the line", async () => {
    await using idp = provider();
    await using folder = await tempFolder();
    const { out } = await runClaimgate(["init", "--issuer", idp.issuer], { cwd: folder.path });
    expect(out).toContain("Fill in audiences in claimgate.yaml");
    const { exitCode, err } = await runClaimgate(["check"], { cwd: folder.path });
    expect(exitCode).toBe(1);
    expect(err).toContain("TO FILL IN");
  });

  test("writes nothing when the issuer cannot be asked", async () => {
    const idp = provider();
    await idp[Symbol.asyncDispose]();
    await using folder = await tempFolder();
    const { exitCode, err } = await runClaimgate(["init", "--issuer", idp.issuer], {
      cwd: folder.path,
    });
    expect(exitCode).toBe(1);
    expect(err).toContain("cannot read the issuer's discovery document");
    expect(await readdir(folder.path)).toEqual([]);
  });

  test("--audience without --issuer is wrong usage", async () => {
    await using folder = await tempFolder();
    const { exitCode } = await runClaimgate(["init", "--audience", "api"], { cwd: folder.path });
    expect(exitCode).toBe(2);
  });
});
