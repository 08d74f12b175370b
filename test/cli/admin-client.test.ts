/** Commands do through the gate what they do with the store, and say the same. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type AdminGate, openAdminGate } from "../admin/admin-gate.ts";
import { claimgateCommand } from "../support/executable.ts";
import { freePort } from "../support/free-port.ts";
import { type CommandResult, runClaimgate } from "../support/run-claimgate.ts";
import { spawnGate } from "../support/spawn-gate.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const ISSUERS = "issuers:\n  - { name: dev, development: true }\n";
const ROUTES =
  "routes:\n  - { name: all, match: { path: /* }, upstream: echo, anyAuthenticated: true }\n";

/** Written out: what is asked both while the gate runs and when it does not. */
const QUESTIONS: readonly (readonly string[])[] = [
  ["audit"],
  ["audit", "--json"],
  ["audit", "--json", "--denied"],
  ["audit", "--json", "--subject", "alice", "--since", "1h"],
  ["audit", "--json", "--code", "not_staff"],
  ["audit", "--json", "--limit", "2"],
  ["audit", "--shadow"],
  ["audit", "--json", "--limit", "20000"],
  ["tokens"],
  ["tokens", "--json"],
  ["tokens", "--json", "--active", "--subject", "alice"],
  ["tokens", "--json", "--unusual"],
  ["tokens", "--json", "--issuer", "dev", "--limit", "1"],
  ["tokens", "--lint"],
  ["tokens", "--lint", "--json"],
  ["tokens", "--revoked"],
  ["tokens", "--revoked", "--json"],
  ["unrevoke", "--subject", "nobody"],
  ["revoke", "--jti", "a", "--subject", "b"],
  ["revoke", "--subject", "alice", "--issuer", "des"],
  ["revoke", "--token", "no-token"],
  ["tokens", "--issuer", "des"],
  ["audit", "--since", "yesterday"],
];

describe("with a gate and without one", () => {
  let gate: AdminGate;
  const through = new Map<string, CommandResult>();
  const ask = (args: readonly string[]) => runClaimgate(args, { cwd: gate.folder.path });

  beforeAll(async () => {
    gate = await openAdminGate();
    await gate.visit("/staff/a", "alice");
    await gate.visit("/staff/b", "mallory");
    await gate.visit("/staff/c");
    const { exitCode } = await ask(["revoke", "--subject", "mallory", "--reason", "a thief"]);
    expect(exitCode).toBe(0);
    for (const args of QUESTIONS) through.set(args.join(" "), await ask(args));
    await gate.api.close();
    await gate.running.drain();
  }, 60_000);
  afterAll(async () => gate.folder[Symbol.asyncDispose]());

  test.each(QUESTIONS.map((args) => [args.join(" ")]))("%s says the same", async (line) => {
    const asked = through.get(line);
    expect(asked?.out ?? "").not.toContain("undefined");
    // The gate's own end is no record; both told all.
    expect(asked).toEqual(await ask(line.split(" ")));
  });

  test("there was something to say", () => {
    const lines = (args: string) => through.get(args)?.out.trim().split("\n") ?? [];
    expect(lines("audit --json")).toHaveLength(4);
    expect(JSON.parse(lines("audit --json").at(-1) ?? "")).toMatchObject({
      kind: "act",
      actor: "cli",
      act: "revoke",
      target: "subject mallory of dev",
      reason: "a thief",
    });
    expect(lines("audit --json --limit 2")).toHaveLength(2);
    expect(JSON.parse(through.get("tokens --json")?.out ?? "")).toHaveLength(2);
    expect(JSON.parse(through.get("tokens --revoked --json")?.out ?? "")).toMatchObject([
      { kind: "subject", value: "mallory", author: "cli" },
    ]);
    expect(through.get("unrevoke --subject nobody")).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining("subject nobody of dev is not revoked"),
    });
    expect(through.get("tokens --issuer des")?.exitCode).toBe(2);
  });
});

describe("through the gate", () => {
  test("a revocation is in force when the command ends, and so is its end", async () => {
    await using gate = await openAdminGate();
    const ask = (...args: string[]) => runClaimgate(args, { cwd: gate.folder.path });
    // Made before it is revoked: one of the next second passes.
    const headers = { Authorization: `Bearer ${await gate.token("alice")}` };
    const status = async () => (await fetch(`${gate.url}/staff/a`, { headers })).status;
    for (let round = 0; round < 3; round += 1) {
      const revoked = await ask("revoke", "--subject", "alice");
      expect(revoked.out).toStartWith("revoked subject alice of dev, kept until ");
      expect(await status()).toBe(401);
      const unrevoked = await ask("unrevoke", "--subject", "alice");
      expect(unrevoked.out).toBe("unrevoked subject alice of dev\n");
      expect(await status()).toBe(200);
    }
  });

  test("--follow tells records as they come, and goes on when the gate ends", async () => {
    await using gate = await openAdminGate();
    await gate.visit("/staff/before", "alice");
    const child = Bun.spawn([...claimgateCommand(), "audit", "--follow", "--json"], {
      cwd: gate.folder.path,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const paths: string[] = [];
    const reading = (async () => {
      let rest = "";
      const decoder = new TextDecoder();
      for await (const chunk of child.stdout) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) paths.push(JSON.parse(line).path ?? JSON.parse(line).act);
      }
    })();
    const seen = async (path: string) => {
      const end = performance.now() + 10_000;
      while (!paths.includes(path) && performance.now() < end) await Bun.sleep(20);
      expect(paths).toContain(path);
    };
    await seen("/staff/before");
    await gate.visit("/staff/after", "alice");
    await seen("/staff/after");
    await gate.api.close();
    await gate.running.drain();
    await runClaimgate(["revoke", "--subject", "alice"], { cwd: gate.folder.path });
    await seen("revoke");
    expect(paths).toEqual(["/staff/before", "/staff/after", "revoke"]);
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    await reading;
    expect(await child.stderr.text()).toBe(
      "claimgate: the gate does not tell more: the store is read from here on\n",
    );
  }, 30_000);
});

describe("over TCP", () => {
  const TOKEN = "a-long-enough-admin-token-000000";
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own
  const config = (port: number, admin: number, token = "${ADMIN_TOKEN}") =>
    `listen: 127.0.0.1:${port}\nadmin: { listen: "127.0.0.1:${admin}", token: "${token}" }\n${ISSUERS}${ROUTES}`;
  const environment = { ADMIN_TOKEN: TOKEN };

  test("with the token of the configuration, and not with another", async () => {
    const admin = freePort();
    await using gate = await spawnGate({ config: (port) => config(port, admin), environment });
    const cwd = gate.folder.path;
    const through = await runClaimgate(["revoke", "--subject", "alice"], { cwd, environment });
    expect(through.exitCode).toBe(0);
    expect(through.out).toStartWith("revoked subject alice of dev, kept until ");
    expect(existsSync(join(cwd, "claimgate.sock"))).toBe(false);

    const unset = await runClaimgate(["tokens", "--revoked"], { cwd });
    expect(unset.exitCode).toBe(2);
    expect(unset.err).toContain("ADMIN_TOKEN");

    const other = { ADMIN_TOKEN: "another-long-enough-token-000000" };
    const refused = await runClaimgate(["tokens", "--revoked"], { cwd, environment: other });
    expect(refused.exitCode).toBe(70);
    expect(refused.err).toContain(
      `the gate at http://127.0.0.1:${admin} does not take admin.token`,
    );
    expect(refused.err + gate.stderr()).not.toMatch(/long-enough/);
  }, 30_000);

  test("nothing in the environment sends the token elsewhere", async () => {
    const admin = freePort();
    await using gate = await spawnGate({ config: (port) => config(port, admin), environment });
    let asked = 0;
    using proxy = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch() {
        asked += 1;
        return new Response("{}");
      },
    });
    const elsewhere = { HTTP_PROXY: proxy.url.origin, http_proxy: proxy.url.origin };
    const result = await runClaimgate(["tokens", "--revoked"], {
      cwd: gate.folder.path,
      environment: { ...environment, ...elsewhere },
    });
    expect([result.exitCode, asked]).toEqual([0, 0]);
  }, 30_000);

  test("what answers and is no gate is not believed", async () => {
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json([]) });
    await using folder = await tempFolder({
      "claimgate.yaml": config(freePort(), other.port ?? 0),
    });
    const { exitCode, err } = await runClaimgate(["tokens"], { cwd: folder.path, environment });
    expect(exitCode).toBe(70);
    expect(err).toContain("is not the admin API of this version of claimgate");
  });
});

describe("a socket that is not ours", () => {
  const write = (): Promise<TempFolder> =>
    tempFolder({
      "claimgate.yaml": `listen: 127.0.0.1:${freePort()}\n${ISSUERS}${ROUTES}`,
    });

  test("what is no socket is told", async () => {
    await using folder = await write();
    await folder.write("claimgate.sock", "");
    const { exitCode, err } = await runClaimgate(["tokens"], { cwd: folder.path });
    expect(exitCode).toBe(70);
    expect(err).toContain("is not the socket of our gate");
  });

  test.skipIf(process.getuid?.() !== 0)("nor one that another user has put there", async () => {
    await using folder = await write();
    const path = join(folder.path, "claimgate.sock");
    const code = `Bun.serve({ unix: ${JSON.stringify(path)}, fetch: () => Response.json({}) }); (await import("node:fs")).chownSync(${JSON.stringify(path)}, 65534, 65534); console.log("open")`;
    const server = Bun.spawn([process.execPath, "-e", code], { stdout: "pipe" });
    const reader = server.stdout.getReader();
    await reader.read();
    const { exitCode, err } = await runClaimgate(["revoke", "--subject", "a"], {
      cwd: folder.path,
    });
    server.kill();
    expect(exitCode).toBe(70);
    expect(err).toContain("belongs to another user");
  });
});
