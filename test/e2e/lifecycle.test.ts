import { describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { startIssuer } from "../support/issuer.ts";
import { rawRequest } from "../support/raw-request.ts";
import { recordingUpstream } from "../support/recording-upstream.ts";
import { createSigner } from "../support/signer.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, run, serve, until } from "./claimgate.ts";

const TEST_LIMIT_MS = 30_000;

const OPEN = (listen: string) => `listen: "${listen}"
routes: [{ upstream: echo, public: true }]
`;

/** A stack, or a fault that nobody foresaw. */
const STACK = /\n\s+at |a fault of its own/;

describe("ending", () => {
  test.each(["SIGTERM", "SIGINT"] as const)(
    "%s lets a request under way finish, says so to others, and exits with 0",
    async (signal) => {
      const asked = Promise.withResolvers<void>();
      const released = Promise.withResolvers<void>();
      await using upstream = recordingUpstream(async ({ target }) => {
        if (target === "/slow") {
          asked.resolve();
          await released.promise;
        }
        return new Response("done");
      });
      await using folder = await tempFolder({
        "claimgate.yaml": `listen: [127.0.0.1:0, "unix:gate.sock"]
routes: [{ upstream: "${upstream.origin}", public: true }]
`,
      });
      await using gate = await serve([], { folder: folder.path });
      const [url] = gate.urls;
      const slow = fetch(`${url}/slow`);
      await asked.promise;

      gate.signal(signal);
      await gate.waitForLog((line) => line.event === "draining");
      // Whoever still gets through is told to go elsewhere.
      const late = await fetch(`${url}/.claimgate/ready`).catch(() => undefined);
      if (late !== undefined) {
        expect(late.status).toBe(503);
        expect(late.headers.get("connection")).toBe("close");
        expect(await late.json()).toMatchObject({ status: "draining" });
        expect((await fetch(`${url}/.claimgate/health`)).status).toBe(200);
      }
      released.resolve();
      const answer = await slow;
      expect(answer.status).toBe(200);
      expect(await answer.text()).toBe("done");
      expect(await gate.ended()).toBe(0);
      expect(gate.stderr()).not.toMatch(STACK);
      await expect(fetch(`${url}/`)).rejects.toThrow();
    },
    TEST_LIMIT_MS,
  );
});

describe("what cannot start says why, in one line, and is no stack", () => {
  test("a port that is taken", async () => {
    await using upstream = recordingUpstream();
    await using folder = await tempFolder({ "claimgate.yaml": OPEN(`127.0.0.1:${upstream.port}`) });
    const { exitCode, out, err } = await run(["serve"], { folder: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toStartWith(`claimgate: cannot listen on 127.0.0.1:${upstream.port}: another`);
    expect(err.trim().split("\n")).toHaveLength(1);
  });

  test("a port that another gate has", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": OPEN(`127.0.0.1:${freePort()}`) });
    await using _first = await serve([], { folder: folder.path });
    const second = await run(["serve"], { folder: folder.path });
    expect(second.exitCode).toBe(1);
    expect(second.err).toContain("another program does");
  });

  test("a configuration that does not hold: every place, and how to mend it", async () => {
    await using folder = await tempFolder({
      "claimgate.yaml": `listen: 0.0.0.0:8080
isuers: []
issuers:
  - { name: main, issuer: http://id.example.com, audiences: [api], algorithms: [HS256] }
routes:
  - { name: bare, upstream: echo }
  - { name: gone, match: { path: /x }, upstream: echo, policies: [nobody] }
`,
    });
    const { exitCode, out, err } = await run(["serve"], { folder: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    const places = [...err.matchAll(/^claimgate\.yaml:(\d+):(\d+) {2}error {2}/gm)];
    expect(places.map(([, line]) => Number(line))).toEqual(expect.arrayContaining([1, 2, 4, 6]));
    expect(err).toContain("claimgate.yaml:2:1  error");
    expect(err).toMatch(/did you mean.*issuers/);
    expect(err).not.toMatch(STACK);

    const check = await run(["check", "--json"], { folder: folder.path });
    expect(check.exitCode).toBe(1);
    const { ok, findings } = JSON.parse(check.out) as { ok: boolean; findings: object[] };
    expect(ok).toBe(false);
    expect(findings).toHaveLength(places.length);
  });

  test("a policy that does not hold", async () => {
    await using folder = await tempFolder({
      "claimgate.yaml": `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
routes: [{ upstream: echo, policies: [wrong] }]
`,
      "policies/wrong.ts": `import { allow, definePolicy } from "claimgate";
export default definePolicy({ description: "x", evaluate: ({ claims }) => allow(claims.nope.more) });
const n: number = "text";
`,
    });
    const { exitCode, err } = await run(["serve"], { folder: folder.path });
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^policies\/wrong\.ts:3:7 {2}error {2}/m);
    expect(err).not.toMatch(STACK);
  });

  test("no configuration at all", async () => {
    await using folder = await tempFolder();
    const { exitCode, out, err } = await run(["serve"], { folder: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toMatch(/^claimgate: .*claimgate\.yaml/);
    expect(err).not.toMatch(STACK);
    const other = await run(["serve", "--config", "nope.yaml"], { folder: folder.path });
    expect(other.exitCode).toBe(2);
    expect(other.err).toContain("nope.yaml");
  });

  test("an environment that trusts any certificate", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": OPEN("127.0.0.1:0") });
    const environment = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
    const { exitCode, err } = await run(["serve"], { folder: folder.path, environment });
    expect(exitCode).toBe(1);
    expect(err).toContain("NODE_TLS_REJECT_UNAUTHORIZED=0");
    expect(err).not.toMatch(STACK);
  });
});

describe("a unix socket", () => {
  test(
    "is listened on, taken over when stale, and left to who uses it",
    async () => {
      await using folder = await tempFolder({ "claimgate.yaml": OPEN("unix:gate.sock") });
      const path = join(folder.path, "gate.sock");
      const request = "GET /hello HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n\r\n";
      {
        await using gate = await serve([], { folder: folder.path });
        expect(gate.urls).toEqual([`unix:${path}`]);
        expect((await rawRequest(path, request)).status).toBe(200);
        const second = await run(["serve"], { folder: folder.path });
        expect(second.exitCode).toBe(1);
        expect(second.err).toContain("another program does");
        expect((await rawRequest(path, request)).status).toBe(200);
      } // killed: its socket file stays behind
      await using next = await serve([], { folder: folder.path });
      const answer = await fetch("http://gate/hello", { unix: path });
      expect(answer.status).toBe(200);
      expect(await answer.json()).toMatchObject({ path: "/hello" });
      next.signal("SIGTERM");
      expect(await next.ended()).toBe(0);
    },
    TEST_LIMIT_MS,
  );
});

test(
  "a reload moves to another address, and stays where it is when that is taken",
  async () => {
    await using taken = recordingUpstream();
    await using folder = await tempFolder({ "claimgate.yaml": OPEN("127.0.0.1:0") });
    await using gate = await serve([], { folder: folder.path });
    const [url] = gate.urls;
    await folder.write("claimgate.yaml", OPEN(`127.0.0.1:${taken.port}`));
    await gate.waitForLog(({ event, message }) => {
      return event === "reload_refused" && /another program does/.test(String(message));
    });
    expect((await fetch(`${url}/`)).status).toBe(200);

    await folder.write("claimgate.yaml", OPEN("unix:gate.sock"));
    const moved = `unix:${join(folder.path, "gate.sock")}`;
    await gate.waitForLog((line) => line.event === "listening" && line.url === moved);
    const there = await fetch("http://gate/", { unix: join(folder.path, "gate.sock") });
    expect(there.status).toBe(200);
    await expect(fetch(`${url}/`, { keepalive: false })).rejects.toThrow();
    // Nothing to put in force is no reason to end.
    await rm(join(folder.path, "claimgate.yaml"));
    await gate.waitForLog(({ event, message }) => {
      return event === "reload_refused" && /no such file/.test(String(message));
    });
    expect((await fetch("http://gate/", { unix: join(folder.path, "gate.sock") })).status).toBe(
      200,
    );
  },
  TEST_LIMIT_MS,
);

describe("serve by flags alone", () => {
  test(
    "protects an upstream, and writes nothing into the folder",
    async () => {
      await using upstream = recordingUpstream();
      await using issuer = startIssuer(await createSigner("ES256"));
      await using folder = await tempFolder();
      const flags = {
        "--upstream": upstream.origin,
        "--issuer": issuer.issuer,
        "--audience": "api",
        "--require": "roles=staff",
        "--listen": "127.0.0.1:0",
      };
      await using gate = await serve(Object.entries(flags).flat(), { folder: folder.path });
      const ask = async (claims: object) => {
        const headers = { Authorization: `Bearer ${await issuer.token({ ...claims })}` };
        const answer = await fetch(`${gate.urls[0]}/x`, { headers });
        return answer.status;
      };
      await until("the issuer's keys", 5_000, async () => (await ask({})) !== 503);
      expect(await ask({ roles: ["reader", "staff"] })).toBe(200);
      expect(await ask({ roles: "staff" })).toBe(200);
      expect(await ask({ roles: ["guest"] })).toBe(403);
      expect(await ask({ roles: ["staff"], aud: "other" })).toBe(401);
      expect((await fetch(`${gate.urls[0]}/x`)).status).toBe(401);
      expect(upstream.seen).toHaveLength(2);
      gate.signal("SIGTERM");
      expect(await gate.ended()).toBe(0);
      expect(await filesIn(folder)).toEqual([]);
    },
    TEST_LIMIT_MS,
  );

  test("does not start by halves", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": OPEN("127.0.0.1:0") });
    const half = await run(["serve", "--upstream", "http://127.0.0.1:1"], { folder: folder.path });
    expect(half.exitCode).toBe(2);
    expect(half.err).toContain("--audience");
  });
});

describe("a state folder that cannot be written", () => {
  test("keeps a gate from serving, which says so; policies can be checked all the same", async () => {
    await using issuer = startIssuer(await createSigner("ES256"));
    await using folder = await tempFolder({
      "claimgate.yaml": `listen: 127.0.0.1:0
issuers: [{ name: main, issuer: "${issuer.issuer}", audiences: [api] }]
routes: [{ upstream: echo, policies: [staff] }]
`,
      "policies/staff.ts": `import { allow, definePolicy } from "claimgate";
export default definePolicy({ description: "x", evaluate: () => allow() });
`,
      // Not a folder: not even root can write below it.
      ".claimgate": "",
    });
    const checked = await run(["check"], { folder: folder.path });
    expect(checked).toMatchObject({ exitCode: 0 });
    expect(checked.out).toContain("all hold");
    const served = await run(["serve"], { folder: folder.path });
    expect(served.exitCode).toBe(70);
    expect(served.err).toContain(".claimgate");
    expect(served.err).not.toMatch(STACK);
  });

  test("is named where nothing works without it", async () => {
    await using folder = await tempFolder({ ".claimgate": "" });
    const { exitCode, out, err } = await run(["token"], { folder: folder.path });
    expect(out).toBe("");
    expect(err).toContain(".claimgate");
    expect(err).not.toMatch(STACK);
    expect(exitCode).toBe(70);
  });
});

test("tokens made while the gate runs are good at once", async () => {
  await using folder = await tempFolder({
    "claimgate.yaml": `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
routes: [{ upstream: echo, anyAuthenticated: true }]
`,
  });
  // No key exists before the gate, or the first token, makes one.
  await using gate = await serve([], { folder: folder.path });
  const token = await developmentToken(folder.path);
  const headers = { Authorization: `Bearer ${token}` };
  expect((await fetch(`${gate.urls[0]}/`, { headers })).status).toBe(200);
});

async function filesIn({ path }: TempFolder): Promise<readonly string[]> {
  return Array.fromAsync(new Bun.Glob("**/*").scan({ cwd: path, dot: true }));
}
