import { describe, expect, test } from "bun:test";
import { claimgateCommand } from "../support/executable.ts";
import { runClaimgate } from "../support/run-claimgate.ts";
import { tempFolder } from "../support/temp-folder.ts";

const CONFIG = `issuers:
  - name: dev
    development: true
routes:
  - name: home
    match: { path: /* }
    upstream: echo
    policies: [staff]
  - name: open
    match: { path: /open/* }
    upstream: echo
    public: true
`;

const policy = (role: string, expectation = "allow") => `
import { allow, definePolicy, deny, Type } from "claimgate";
export default definePolicy({
  description: "Lets ${role} pass",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  evaluate: ({ claims }) => (claims.roles.includes("${role}") ? allow() : deny("role_missing")),
  cases: [
    { name: "${role} pass", claims: { roles: ["${role}"] }, expect: "${expectation}" },
    { name: "others do not", claims: { roles: [] }, expect: "deny role_missing" },
  ],
});
`;

const folderWith = (files: Readonly<Record<string, string>> = {}) =>
  tempFolder({ "claimgate.yaml": CONFIG, "policies/staff.ts": policy("staff"), ...files });

describe("claimgate check", () => {
  test("counts what holds, on stdout", async () => {
    await using folder = await folderWith();
    expect(await runClaimgate(["check"], { cwd: folder.path })).toEqual({
      exitCode: 0,
      out: "1 issuer, 2 routes, 1 policy, 2 cases: all hold\n",
      err: "",
    });
  });

  test("counts a shipped policy, with its cases, only where a route uses it", async () => {
    const uses = "policies: [staff, { require-roles: { anyOf: [a] } }]";
    const config = CONFIG.replace("policies: [staff]", uses);
    await using folder = await folderWith({ "claimgate.yaml": config });
    const { out } = await runClaimgate(["check"], { cwd: folder.path });
    expect(out).toMatch(/^1 issuer, 2 routes, 2 policies, ([3-9]|[1-9]\d) cases: all hold\n$/);
  });

  test("warns of an unused policy, and holds", async () => {
    await using folder = await folderWith({ "policies/old.ts": policy("old") });
    const { exitCode, out, err } = await runClaimgate(["check"], { cwd: folder.path });
    expect(exitCode).toBe(0);
    expect(out).toBe("1 issuer, 2 routes, 2 policies, 4 cases: all hold\n");
    expect(err).toContain("policies/old.ts:1:1  warning  policy old is used by no route");
    expect(err).toEndWith("\n1 warning\n");
  });

  test("says everything that does not hold on stderr, with place and fix, and exits 1", async () => {
    const config = CONFIG.replace("public: true", "pubic: true").replace("echo", "ecko");
    await using folder = await folderWith({ "claimgate.yaml": config });
    const { exitCode, out, err } = await runClaimgate(["check"], { cwd: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toContain("claimgate.yaml:7:15  error  ");
    expect(err).toContain("   7 |     upstream: ecko\n     |               ^^^^\n       fix: ");
    expect(err).toContain("claimgate.yaml:12:5  error  unknown key pubic");
    expect(err).toMatch(/\n\d errors\n$/);
  });

  test.each([
    [
      "does not type-check",
      policy("staff").replace("claims.roles.i", "claims.role.i"),
      "policy_type",
    ],
    ["does not load", "import './nowhere.ts';\nexport default 7;\n", undefined],
    ["fails its own case", policy("staff", "deny role_missing"), "case_failed"],
  ])("a policy that %s does not hold", async (_, text, code) => {
    await using folder = await folderWith({ "policies/staff.ts": text });
    const { exitCode, out } = await runClaimgate(["check", "--json"], { cwd: folder.path });
    expect(exitCode).toBe(1);
    const { ok, findings } = JSON.parse(out);
    expect(ok).toBe(false);
    expect(findings[0]).toMatchObject({
      severity: "error",
      file: "policies/staff.ts",
      ...(code && { code }),
    });
  });

  test("--json prints { ok, findings }, warnings too, and nothing else", async () => {
    await using folder = await folderWith({ "policies/old.ts": policy("old") });
    const { exitCode, out, err } = await runClaimgate(["check", "--json"], { cwd: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(JSON.parse(out)).toEqual({
      ok: true,
      findings: [
        {
          severity: "warning",
          code: "policy_unused",
          message: "policy old is used by no route",
          file: "policies/old.ts",
          line: 1,
          column: 1,
          fix: expect.any(String),
        },
      ],
    });
  });

  test("an option that does not fit is told with its place here and in the policy", async () => {
    const roles = policy("staff").replace(
      "  evaluate: ({ claims })",
      "  options: Type.Object({ anyOf: Type.Array(Type.String()) }),\n  evaluate: ({ claims })",
    );
    const config = CONFIG.replace("[staff]", "[{ staff: { anyOff: [a] } }]");
    await using folder = await folderWith({
      "claimgate.yaml": config,
      "policies/staff.ts": roles
        .replaceAll('claims: { roles: ["staff"] }', "$&, options: { anyOf: [] }")
        .replaceAll("claims: { roles: [] }", "$&, options: { anyOf: [] }"),
    });
    const { exitCode, out } = await runClaimgate(["check", "--json"], { cwd: folder.path });
    expect(exitCode).toBe(1);
    expect(JSON.parse(out).findings).toEqual([
      {
        severity: "error",
        code: "option_unknown",
        message: expect.stringContaining("policy staff (policies/staff.ts:6:3) "),
        file: "claimgate.yaml",
        line: 8,
        column: 35,
        fix: expect.stringContaining("anyOf"),
      },
    ]);
  });

  test("warns of a claim that nobody promises, at the policies that read it", async () => {
    const issuer = "name: okta\n    issuer: https://acme.okta.com\n    audiences: [api]";
    const config = CONFIG.replace("name: dev\n    development: true", issuer);
    await using folder = await folderWith({ "claimgate.yaml": config });
    const { exitCode, out } = await runClaimgate(["check", "--json"], { cwd: folder.path });
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      ok: true,
      findings: [{ severity: "warning", code: "claim_unpromised", line: 9, column: 15 }],
    });
  });

  test("warns of secrets that are short, and shows none", async () => {
    const config = `session: { secret: hunter2 }\nadmin: { token: hunter3 }\n${CONFIG}`;
    await using folder = await folderWith({ "claimgate.yaml": config });
    const { exitCode, err } = await runClaimgate(["check"], { cwd: folder.path });
    expect(exitCode).toBe(0);
    expect(err).toContain("claimgate.yaml:1:20  warning  session.secret has fewer than 16");
    expect(err).toContain("claimgate.yaml:2:17  warning  admin.token has fewer than 16");
    expect(err).not.toContain("hunter");
  });

  test("says all at once which routes nobody guards", async () => {
    const config = CONFIG.replace("policies: [staff]", "timeout: 1s").replace(
      "    public: true\n",
      "",
    );
    await using folder = await folderWith({ "claimgate.yaml": config });
    const { exitCode, out } = await runClaimgate(["check", "--json"], { cwd: folder.path });
    expect(exitCode).toBe(1);
    const { findings } = JSON.parse(out);
    expect(
      findings.map(({ code, line }: { code: string; line: number }) => `${code}@${line}`),
    ).toEqual(["route_unguarded@5", "route_unguarded@9"]);
  });

  test("a failing case that requireCases: false lets pass is told and counted", async () => {
    await using folder = await folderWith({
      "claimgate.yaml": `reload: { requireCases: false }\n${CONFIG}`,
      "policies/staff.ts": policy("staff", "deny role_missing"),
    });
    const { exitCode, out, err } = await runClaimgate(["check"], { cwd: folder.path });
    expect(exitCode).toBe(0);
    expect(out).toBe("1 issuer, 2 routes, 1 policy, 2 cases: all hold but 1 case\n");
    expect(err).toContain('warning  case "staff pass" of policy staff');
  });

  test("a configuration that is not there is wrong usage", async () => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await runClaimgate(["check", "--config", "no.yaml"], {
      cwd: folder.path,
    });
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toStartWith("claimgate: ");
    expect(err).toContain("no.yaml");
  });

  test("follows the policies with the editor's schema, where there is one", async () => {
    await using folder = await folderWith({ ".claimgate/schema.json": "{}\n" });
    await runClaimgate(["check"], { cwd: folder.path });
    const schema = await Bun.file(`${folder.path}/.claimgate/schema.json`).json();
    expect(schema.definitions.policy.anyOf[0].enum).toContain("staff");
  });

  test("only warns where the editor's schema cannot be written", async () => {
    await using folder = await folderWith({ ".claimgate/schema.json/in-the-way": "" });
    const { exitCode, err } = await runClaimgate(["check"], { cwd: folder.path });
    expect(exitCode).toBe(0);
    expect(err).toContain("claimgate.yaml:1:1  warning  cannot bring the schema for editors");
  });

  test("makes no schema where no editor was set up", async () => {
    await using folder = await folderWith();
    await runClaimgate(["check"], { cwd: folder.path });
    expect(await Bun.file(`${folder.path}/.claimgate/schema.json`).exists()).toBe(false);
  });
});

describe("claimgate check --watch", () => {
  /** Runs until told; `until` resolves once all of the output fits. */
  function watchCheck(cwd: string) {
    const child = Bun.spawn([...claimgateCommand(), "check", "--watch"], {
      cwd,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    let text = "";
    const waiting = new Set<() => void>();
    const read = async (stream: ReadableStream<Uint8Array>) => {
      const decoder = new TextDecoder();
      for await (const chunk of stream) {
        text += decoder.decode(chunk, { stream: true });
        for (const look of waiting) look();
      }
    };
    void read(child.stdout);
    void read(child.stderr);
    return {
      until: (fits: (text: string) => boolean) =>
        new Promise<void>((resolve) => {
          const look = () => {
            if (!fits(text)) return;
            waiting.delete(look);
            resolve();
          };
          waiting.add(look);
          look();
        }),
      end: () => {
        child.kill("SIGINT");
        return child.exited;
      },
      [Symbol.asyncDispose]: async () => {
        child.kill("SIGKILL");
        await child.exited;
      },
    };
  }

  test("checks again at each change, and Ctrl-C is no failure", async () => {
    await using folder = await folderWith();
    await using run = watchCheck(folder.path);
    await run.until((text) => text.includes("all hold") && text.includes("watching for changes"));
    await folder.write("claimgate.yaml", CONFIG.replace("public:", "pubic:"));
    await run.until((text) => text.includes("unknown key pubic"));
    expect(await run.end()).toBe(0);
  });

  test("survives a configuration that is gone for a moment", async () => {
    await using folder = await folderWith();
    await using run = watchCheck(folder.path);
    await run.until((text) => text.includes("watching for changes"));
    await Bun.file(`${folder.path}/claimgate.yaml`).delete();
    await run.until((text) => text.includes("there is no such file"));
    await folder.write("claimgate.yaml", CONFIG);
    await run.until((text) => text.split("all hold").length === 3);
    expect(await run.end()).toBe(0);
  });
});
