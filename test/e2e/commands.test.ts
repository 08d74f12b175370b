import { describe, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { version } from "../../package.json";
import { tempFolder } from "../support/temp-folder.ts";
import { run } from "./claimgate.ts";

const COMMANDS = [
  "demo",
  "init",
  "serve",
  "check",
  "test",
  "replay",
  "token",
  "policies",
  "idp",
  "schema",
  "completion",
  "version",
];

describe("what a command says of itself", () => {
  test("--help names every command, on stdout", async () => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await run(["--help"], { folder: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    for (const name of COMMANDS) expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
  });

  test.each(COMMANDS.map((name) => [name]))("%s --help", async (name) => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await run([name, "--help"], { folder: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toStartWith(`Usage: claimgate ${name} `);
    expect(out).not.toContain("\u001b");
  });

  test("version", async () => {
    await using folder = await tempFolder();
    const plain = await run(["version"], { folder: folder.path });
    expect(plain).toEqual({
      exitCode: 0,
      out: `claimgate ${version} (bun ${Bun.version})\n`,
      err: "",
    });
    expect(await run(["--version"], { folder: folder.path })).toEqual(plain);
    const json = await run(["version", "--json"], { folder: folder.path });
    expect(JSON.parse(json.out)).toEqual({ version, bun: Bun.version });
  });

  test("schema is a JSON Schema of the file", async () => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await run(["schema"], { folder: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(JSON.parse(out)).toMatchObject({
      $schema: expect.stringContaining("json-schema.org"),
      type: "object",
      additionalProperties: false,
      properties: { listen: {}, issuers: {}, routes: {}, policies: {} },
    });
  });

  test("schema knows the policies, shipped ones and the folder's own", async () => {
    await using folder = await tempFolder();
    await run(["init"], { folder: folder.path });
    const { out } = await run(["schema"], { folder: folder.path });
    expect(out).toContain('"require-roles"');
    expect(out).toContain('"staff"');
  });
});

describe("policies", () => {
  test("new writes one that check and editors know", async () => {
    await using folder = await tempFolder();
    await run(["init"], { folder: folder.path });
    expect(await run(["policies", "new", "mine"], { folder: folder.path })).toMatchObject({
      exitCode: 0,
      out: expect.stringContaining("policies/mine.ts"),
      err: "",
    });
    const check = await run(["check", "--json"], { folder: folder.path });
    expect(check.exitCode).toBe(1);
    const { findings } = JSON.parse(check.out);
    const errors = findings.filter(({ severity }: { severity: string }) => severity === "error");
    expect(errors).toMatchObject([{ code: "case_failed", file: "policies/mine.ts" }]);
    const again = await run(["policies", "new", "mine"], { folder: folder.path });
    expect(again).toMatchObject({ exitCode: 1, out: "" });
    const { out } = await run(["policies", "--json"], { folder: folder.path });
    const { policies } = JSON.parse(out);
    const names = policies.map(({ name }: { name: string }) => name);
    expect(names).toEqual(expect.arrayContaining(["mine", "staff", "require-roles"]));
    expect(await Bun.file(join(folder.path, ".claimgate/schema.json")).text()).toContain('"mine"');
  });
});

describe("completion", () => {
  test.each(["bash", "zsh", "fish"])("%s knows every command", async (shell) => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await run(["completion", shell], { folder: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    for (const name of COMMANDS) expect(out).toMatch(new RegExp(`\\b${name}\\b`));
  });
});

describe("wrong usage is 2, said on stderr alone", () => {
  test.each([
    [["nonsense"], "unknown command 'nonsense'"],
    [["serve", "--nonsense"], "unknown option '--nonsense'"],
    [["token", "--ttl", "nonsense"], "--ttl"],
    [["token", "--claim", "nonsense"], "--claim"],
    [["check"], "claimgate.yaml"],
    [["policies", "--config", "no.yaml"], "no.yaml"],
    [["policies", "new", "../staff"], "not a name for a policy"],
    [["completion", "ksh"], "bash, zsh, fish"],
    [["serve"], "claimgate.yaml"],
    [["serve", "--upstream", "http://127.0.0.1:1"], "--issuer"],
    [["init", "--audience", "api"], "--issuer"],
    [["idp", "--host", "0.0.0.0", "--port", "0"], "never listens beyond this machine"],
    [[], "Usage: claimgate"],
  ])("claimgate %j", async (args, words) => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await run(args, { folder: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(words);
    expect(err).not.toMatch(/\n\s+at /);
  });
});

describe("token", () => {
  test("prints a token and nothing else, signed with keys that only we can read", async () => {
    await using folder = await tempFolder();
    const args = ["token", "--sub", "alice", "--claim", "roles=staff,admin", "--claim", "level:=3"];
    const { exitCode, out, err } = await run([...args, "--claim", "team=blue", "--ttl", "5m"], {
      folder: folder.path,
    });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    const claims = decodeJwt(out.trim());
    expect(claims).toMatchObject({
      iss: "urn:claimgate:development",
      aud: "dev",
      sub: "alice",
      roles: ["staff", "admin"],
      level: 3,
      team: "blue",
    });
    expect(Number(claims.exp) - Number(claims.iat)).toBe(300);
    expect(decodeProtectedHeader(out.trim())).toMatchObject({ alg: "ES256" });

    const keys = await stat(join(folder.path, ".claimgate/development-keys.json"));
    expect(keys.mode & 0o777).toBe(0o600);
    expect((await stat(join(folder.path, ".claimgate"))).mode & 0o777).toBe(0o700);
  });
});

describe("init", () => {
  test("never overwrites", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": "mine\n" });
    const { exitCode, out, err } = await run(["init"], { folder: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toBe("claimgate: claimgate.yaml exists already and is left as it is\n");
    expect(await Bun.file(join(folder.path, "claimgate.yaml")).text()).toBe("mine\n");
  });

  test("makes the folder that is named, which then holds", async () => {
    await using folder = await tempFolder();
    expect(await run(["init", "new/gate"], { folder: folder.path })).toMatchObject({ exitCode: 0 });
    const inside = join(folder.path, "new/gate");
    expect(await run(["check"], { folder: inside })).toMatchObject({
      exitCode: 0,
      out: "1 issuer, 2 routes, 1 policy, 2 cases: all hold\n",
    });
    const outside = ["check", "--config", "new/gate/claimgate.yaml", "--json"];
    const json = await run(outside, { folder: folder.path });
    expect(JSON.parse(json.out)).toEqual({ ok: true, findings: [] });
  });
});

describe("check --json", () => {
  test("warns of a policy that no route uses, and holds", async () => {
    await using folder = await tempFolder({
      "claimgate.yaml": `issuers: [{ name: dev, development: true }]
routes: [{ upstream: echo, anyAuthenticated: true }]
`,
      "policies/idle.ts": `import { allow, definePolicy } from "claimgate";
export default definePolicy({ description: "x", evaluate: () => allow() });
`,
    });
    const { exitCode, out } = await run(["check", "--json"], { folder: folder.path });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      findings: [{ severity: "warning", file: "policies/idle.ts", line: 1, column: 1 }],
    });
  });

  test("shows every error with its place", async () => {
    await using folder = await tempFolder({
      "claimgate.yaml": `issuers: [{ name: dev, development: true }]
routes:
  - { upstream: echo, anyAuthenticated: true, polices: [x] }
  - { upstream: echo, match: { path: /b }, policies: [require-rolls] }
`,
    });
    const { exitCode, out, err } = await run(["check", "--json"], { folder: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: "" });
    const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] };
    expect(ok).toBe(false);
    expect(findings[0]).toEqual({
      severity: "error",
      code: expect.any(String),
      message: expect.any(String),
      file: "claimgate.yaml",
      line: 3,
      column: 47,
      fix: expect.stringContaining("policies"),
    });
  });
});

type Finding = Readonly<Record<string, unknown>>;
