import { expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { compiledExecutable } from "../support/executable.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import {
  developmentToken,
  type LogLine,
  type RunningServe,
  run,
  serve,
  until,
} from "./claimgate.ts";

/** DESIGN: a saved change takes effect within a second. The rest is for a busy machine. */
const RELOAD_LIMIT_MS = 5_000;
const TEST_LIMIT_MS = 60_000;

/** Does what `claimgate init` does, but for the port, which must be a free one. */
async function initialised(folder: TempFolder): Promise<void> {
  const init = await run(["init"], { folder: folder.path });
  expect(init).toMatchObject({ exitCode: 0, err: "" });
  const file = join(folder.path, "claimgate.yaml");
  const yaml = await Bun.file(file).text();
  expect(yaml).toContain("\nlisten: 127.0.0.1:8080 ");
  await Bun.write(file, yaml.replace("127.0.0.1:8080", "127.0.0.1:0"));
}

test(
  "init, check, serve, token, request, edit, request",
  async () => {
    await using folder = await tempFolder();
    await initialised(folder);

    const check = await run(["check"], { folder: folder.path });
    expect(check).toEqual({
      exitCode: 0,
      out: "1 issuer, 2 routes, 1 policy, 2 cases: all hold\n",
      err: "",
    });

    await using gate = await serve([], { folder: folder.path });
    const [url] = gate.urls;
    const without = await fetch(`${url}/`);
    expect(without.status).toBe(401);
    expect(without.headers.get("www-authenticate")).toBe('Bearer realm="claimgate"');
    expect(without.headers.get("cache-control")).toBe("no-store");
    expect(await without.json()).toEqual({
      type: expect.any(String),
      title: expect.any(String),
      status: 401,
      code: "token_missing",
      requestId: without.headers.get("x-request-id"),
    });

    const token = await developmentToken(folder.path, "--sub", "alice", "--claim", "roles=staff");
    const ask = () => fetch(`${url}/hello?x=1`, { headers: { Authorization: `Bearer ${token}` } });
    const answer = await ask();
    expect(answer.status).toBe(200);
    const seen = (await answer.json()) as { headers: Record<string, string> };
    expect(seen).toMatchObject({ method: "GET", path: "/hello", query: "?x=1" });
    expect(seen.headers).toMatchObject({ "x-user": "alice", "x-roles": "staff" });
    expect(seen.headers).not.toHaveProperty("authorization");

    expect((await fetch(`${url}/public/`)).status).toBe(200);
    await editPolicy({ folder, gate, ask });

    gate.signal("SIGTERM");
    expect(await gate.ended()).toBe(0);
    const all = gate.stderr();
    expect(all).not.toContain(token);
    expect(all).not.toContain("x=1");
    expect(all).not.toContain("alice");
  },
  TEST_LIMIT_MS,
);

type Edit = { folder: TempFolder; gate: RunningServe; ask: () => Promise<Response> };

/** A new rule counts; a broken one leaves it in force and is told; a mended one counts again. */
async function editPolicy({ folder, gate, ask }: Edit): Promise<void> {
  const [url] = gate.urls;
  const policy = join(folder.path, "policies/staff.ts");
  const staff = await Bun.file(policy).text();
  const answers = (status: number) => async () => (await ask()).status === status;

  // Its own case "staff pass" does not hold any more: not put in force.
  await Bun.write(policy, staff.replace('includes("staff")', 'includes("boss")'));
  await gate.waitForLog(refused(/^policies\/staff\.ts:\d+:\d+ case "staff pass" /));
  expect((await ask()).status).toBe(200);

  await Bun.write(policy, staff.replaceAll('"staff"', '"boss"'));
  await until("the new rule in force", RELOAD_LIMIT_MS, answers(403));
  const denial = await ask();
  expect(await denial.json()).toMatchObject({ status: 403, code: "policy_denied" });

  const readiness = async () => {
    const answer = await fetch(`${url}/.claimgate/ready`);
    return { status: answer.status, body: (await answer.json()) as object };
  };
  const reloads = (inForce: boolean) => async () =>
    Bun.deepMatch({ reload: { inForce } }, (await readiness()).body);

  await Bun.write(policy, "export default definePolicy({ nonsense");
  await until("a refused reload in /ready", RELOAD_LIMIT_MS, reloads(false));
  expect(await readiness()).toMatchObject({
    status: 200,
    body: { status: "ready", reload: { inForce: false }, issuers: [{ name: "dev" }] },
  });
  expect((await ask()).status).toBe(403);
  await gate.waitForLog(refused(/^policies\/staff\.ts:1:\d+ /));

  await Bun.write(policy, staff);
  await until("the mended rule in force", RELOAD_LIMIT_MS, answers(200));
  await until("the good reload in /ready", RELOAD_LIMIT_MS, reloads(true));
}

const refused = (message: RegExp) => (line: LogLine) =>
  line.event === "reload_refused" && message.test(String(line.message));

/** Each leaves a file behind when something believes it. */
const leavesA = (name: string) => `require("node:fs").writeFileSync(${JSON.stringify(name)}, "");`;

const HOSTILE_FILES = {
  // With this in its environment the gate would not start.
  ".env": "NODE_TLS_REJECT_UNAUTHORIZED=0\nBUN_BE_BUN=1\n",
  "bunfig.toml": 'preload = ["./preload.cjs"]\n[test]\npreload = ["./preload.cjs"]\n',
  "preload.cjs": leavesA("believed-preload"),
  "package.json": JSON.stringify({
    scripts: { check: "touch believed-script", serve: "touch believed-script" },
    imports: { claimgate: "./preload.cjs" },
  }),
  "tsconfig.json": JSON.stringify({
    compilerOptions: { paths: { claimgate: ["./preload.cjs"] } },
  }),
  "node_modules/claimgate/package.json": JSON.stringify({ main: "index.cjs" }),
  "node_modules/claimgate/index.cjs": leavesA("believed-module"),
  "node_modules/claimgate/index.d.cts": "export const definePolicy: 1;",
};

test(
  "believes nothing that happens to lie in its folder",
  async () => {
    await using folder = await tempFolder(HOSTILE_FILES);
    await initialised(folder);
    const check = await run(["check"], { folder: folder.path });
    expect(check).toMatchObject({ exitCode: 0, err: "" });

    await using gate = await serve([], { folder: folder.path });
    const token = await developmentToken(folder.path, "--claim", "roles=staff,x");
    const headers = { Authorization: `Bearer ${token}` };
    expect((await fetch(`${gate.urls[0]}/`, { headers })).status).toBe(200);
    const policy = join(folder.path, "policies/staff.ts");
    await Bun.write(policy, `${await Bun.file(policy).text()}\nexport const more: number = 1;\n`);
    await gate.waitForLog((line) => line.event === "reloaded");
    expect(await believed(folder)).toEqual([]);

    // The bait is good: a Bun that runs here takes it.
    const bun = Bun.spawn([await compiledExecutable(), "preload.cjs"], {
      cwd: folder.path,
      env: { ...process.env, BUN_BE_BUN: "1" },
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
    });
    await bun.exited;
    expect(await believed(folder)).toContain("believed-preload");
  },
  TEST_LIMIT_MS,
);

async function believed(folder: TempFolder): Promise<readonly string[]> {
  return (await readdir(folder.path)).filter((name) => name.startsWith("believed-"));
}
