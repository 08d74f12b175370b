/**
 * What the executable remembers: who got at what and why, which tokens are revoked, and how
 * much is left of a limit.
 */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, type RunningServe, run, serve, until } from "./claimgate.ts";

const TEST_LIMIT_MS = 60_000;
/** How soon a revocation is in force everywhere (design, section 4). */
const REVOKED_LIMIT_MS = 10_000;
/** Records are written in batches. */
const WRITTEN_LIMIT_MS = 5_000;

const HEAD = `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
`;
const CONFIG = `${HEAD}audit: { query: [page] }
routes:
  - { name: open, match: { path: /open }, upstream: echo, public: true }
  - { name: app, match: { path: /app/* }, upstream: echo, policies: [staff] }
`;
const STAFF = `import { allow, definePolicy, deny, Type } from "claimgate";

export default definePolicy({
  description: "Lets staff pass",
  claims: Type.Object({ roles: Type.Array(Type.String()) }),
  evaluate: ({ claims }) =>
    claims.roles.includes("staff") ? allow() : deny("role_missing", "needs the role staff"),
});
`;

const gateFolder = (config = CONFIG) =>
  tempFolder({ "claimgate.yaml": config, "policies/staff.ts": STAFF });

const staffToken = (folder: TempFolder, ...args: string[]) =>
  developmentToken(folder.path, "--claim", 'roles:=["staff"]', ...args);

type Asked = {
  readonly status: number;
  readonly code?: string;
  readonly id: string;
  readonly headers: Headers;
};

async function ask(
  gate: RunningServe,
  path: string,
  token?: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Asked> {
  const response = await fetch(`${gate.urls[0]}${path}`, {
    headers: { ...headers, ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
  });
  const body = (await response.json()) as { readonly code?: string };
  return {
    status: response.status,
    ...(response.status >= 400 && body.code !== undefined && { code: body.code }),
    id: response.headers.get("x-request-id") ?? "",
    headers: response.headers,
  };
}

type Entry = Readonly<Record<string, unknown>> & { readonly requestId?: string };

/** What `claimgate audit --json` prints. */
async function auditOf(folder: TempFolder, ...args: string[]): Promise<readonly Entry[]> {
  const { exitCode, out, err } = await run(["audit", "--json", ...args], { folder: folder.path });
  if (exitCode !== 0) throw new Error(`Cannot read the audit: ${err}`);
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Entry);
}

/** The records of these requests, in their order, once all are written. */
async function recordsOf(folder: TempFolder, asked: readonly Asked[]): Promise<Entry[]> {
  let found: (Entry | undefined)[] = [];
  await until("every record", WRITTEN_LIMIT_MS, async () => {
    const entries = await auditOf(folder);
    found = asked.map(({ id }) => entries.find(({ requestId }) => requestId === id));
    return !found.includes(undefined);
  });
  return found.filter((entry) => entry !== undefined);
}

const verify = (folder: TempFolder) => run(["audit", "verify"], { folder: folder.path });

async function stop(gate: RunningServe): Promise<void> {
  gate.signal("SIGTERM");
  expect(await gate.ended()).toBe(0);
}

async function kill(gate: RunningServe): Promise<void> {
  process.kill(gate.pid, "SIGKILL");
  await gate.ended();
}

/** Changes the store behind everybody's back. */
function tamper(folder: TempFolder, change: (database: Database) => void): void {
  const database = new Database(join(folder.path, "claimgate.db"));
  change(database);
  database.close();
}

const claimOf = (token: string, name: string): string =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString())[name];

describe("the audit", () => {
  test(
    "tells of each request who asked, what was decided and why, and no more",
    async () => {
      await using folder = await gateFolder();
      await using gate = await serve([], { folder: folder.path });
      const staff = await staffToken(folder, "--sub", "alice", "--claim", "email=a-hunter2@x.dev");
      const guest = await developmentToken(folder.path, "--sub", "bob", "--claim", "roles=a,b");
      const plain = await developmentToken(folder.path, "--sub", "carol");
      const asked = [
        await ask(gate, "/app/x?page=2&page=3&q=hunter2", staff),
        await ask(gate, "/app/x?q=hunter2", guest),
        await ask(gate, "/app/x", plain),
        await ask(gate, "/app/x"),
        await ask(gate, "/app/x", "hunter2"),
        await ask(gate, "/nowhere", staff),
        await ask(gate, "/open", "hunter2"),
      ];
      expect(asked.map(({ status, code }) => `${status} ${code ?? ""}`.trim())).toEqual([
        "200",
        "403 policy_denied",
        "403 policy_denied",
        "401 token_missing",
        "401 token_invalid",
        "404 route_not_found",
        "200",
      ]);

      const records = await recordsOf(folder, asked);
      const at = { kind: "decision", method: "GET", scheme: "http", host: "127.0.0.1" };
      const policies = (outcome: object) => [
        expect.objectContaining({ name: "staff", ...outcome }),
      ];
      expect<unknown>(records).toMatchObject([
        {
          ...at,
          path: "/app/x",
          query: { page: ["2", "3"] },
          client: { ip: "127.0.0.1" },
          route: "app",
          decision: "forward",
          status: 200,
          token: { issuer: "dev", subject: "alice" },
          policies: policies({ verdict: "allow", shadow: false }),
        },
        {
          ...at,
          route: "app",
          decision: "deny",
          status: 403,
          code: "policy_denied",
          reason: "role_missing",
          detail: "needs the role staff",
          policy: "staff",
          token: { subject: "bob" },
          policies: policies({ verdict: "deny", code: "role_missing" }),
        },
        {
          status: 403,
          code: "policy_denied",
          reason: "claims_mismatch",
          token: { subject: "carol" },
        },
        { route: "app", decision: "deny", status: 401, code: "token_missing", policies: [] },
        { route: "app", decision: "deny", status: 401, code: "token_invalid", policies: [] },
        { path: "/nowhere", decision: "deny", status: 404, code: "route_not_found" },
        { path: "/open", route: "open", decision: "forward", status: 200 },
      ]);
      const claims = records.map((record) => record.claims);
      expect<unknown>(claims.slice(0, 3)).toEqual([
        { sub: "alice", roles: ["staff"] },
        { sub: "bob", roles: ["a", "b"] },
        { sub: "carol" },
      ]);
      expect(claims.slice(3)).toEqual([undefined, undefined, undefined, undefined]);
      expect(records[4]?.reason).toMatch(/./);
      expect(records.filter((record) => record.query !== undefined)).toHaveLength(1);

      const denied = await auditOf(folder, "--denied", "--subject", "bob");
      expect(denied.map(({ requestId }) => requestId)).toEqual([asked[1]?.id]);
      expect(await auditOf(folder, "--code", "token_missing", "--route", "app")).toHaveLength(1);
      expect(await auditOf(folder, "--code", "token_revoked")).toEqual([]);
      expect(await verify(folder)).toMatchObject({ exitCode: 0 });

      // No file of ours holds the query, a claim that nobody declared, or a token.
      await stop(gate);
      const names = (await readdir(folder.path)).filter((name) => /claimgate\.db|audit/.test(name));
      expect(names).toContain("claimgate.db");
      const signatures = [staff, guest].map((token) => token.split(".")[2] ?? "");
      for (const name of names) {
        const file = join(folder.path, name);
        expect({ name, mode: (await stat(file)).mode & 0o777 }).toEqual({ name, mode: 0o600 });
        const text = await readFile(file, "latin1");
        for (const secret of ["hunter2", ...signatures]) expect(text).not.toContain(secret);
      }
    },
    TEST_LIMIT_MS,
  );

  test.each([
    [
      "a byte of a record",
      "UPDATE records SET body = replace(body, 'alice', 'alicf') WHERE body LIKE '%alice%'",
    ],
    ["a record in the middle", "DELETE FROM records WHERE seq = 2"],
    ["the newest record", "DELETE FROM records WHERE seq = (SELECT max(seq) FROM records)"],
    ["all records", "DELETE FROM records"],
  ])(
    "shows that %s was changed or removed",
    async (_, statement) => {
      await using folder = await gateFolder();
      const gate = await serve([], { folder: folder.path });
      const token = await staffToken(folder, "--sub", "alice");
      const asked: Asked[] = [];
      for (let count = 0; count < 4; count++) asked.push(await ask(gate, "/app/x", token));
      await recordsOf(folder, asked);
      await stop(gate);
      const sound = await verify(folder);
      expect({ exitCode: sound.exitCode, err: sound.err }).toEqual({ exitCode: 0, err: "" });

      tamper(folder, (database) => {
        expect(database.run(statement).changes).toBeGreaterThan(0);
      });
      const { exitCode, out, err } = await verify(folder);
      expect(exitCode).toBe(1);
      expect(out + err).not.toMatch(/\n\s+at /);
    },
    TEST_LIMIT_MS,
  );

  test.each([
    { load: "a trickle", clients: 1, pauseMs: 25 },
    { load: "a flood", clients: 8, pauseMs: 0 },
  ])(
    "has every answer of $load that was given a second before a kill, in a whole chain",
    async ({ clients, pauseMs }) => {
      await using folder = await gateFolder();
      const token = await staffToken(folder);
      const answered: { readonly id: string; readonly atMs: number }[] = [];
      let isKilled = false;
      await using gate = await serve([], { folder: folder.path });
      const client = async () => {
        while (!isKilled) {
          const { id } = await ask(gate, "/app/x", token).catch(() => ({ id: "" }));
          if (id !== "") answered.push({ id, atMs: performance.now() });
          await Bun.sleep(pauseMs);
        }
      };
      const all = Promise.all(Array.from({ length: clients }, client));
      const startMs = performance.now();
      await until("answers over two seconds", 20_000, () => {
        return answered.length >= 40 && performance.now() - startMs > 2_000;
      });
      const killedAtMs = performance.now();
      await kill(gate);
      isKilled = true;
      await all;

      const due = answered.filter(({ atMs }) => atMs < killedAtMs - 1_000).map(({ id }) => id);
      expect(due.length).toBeGreaterThan(0);
      expect(await verify(folder)).toMatchObject({ exitCode: 0, err: "" });
      const kept = await auditOf(folder, "--limit", "1000000");
      const ids = new Set(kept.map(({ requestId }) => requestId));
      expect(due.filter((id) => !ids.has(id))).toEqual([]);

      // The next gate begins a chain of its own and leaves this one whole.
      await using next = await serve([], { folder: folder.path });
      await recordsOf(folder, [await ask(next, "/app/x", token)]);
      expect(await verify(folder)).toMatchObject({ exitCode: 0, err: "" });
    },
    TEST_LIMIT_MS,
  );
});

describe("a revocation", () => {
  type Flags = (token: string) => readonly string[];
  const KINDS: readonly (readonly [string, Flags])[] = [
    ["--jti", (token) => ["--jti", claimOf(token, "jti")]],
    ["--token", (token) => ["--token", token]],
    ["--subject", () => ["--subject", "alice"]],
  ];

  const command = (folder: TempFolder, ...args: readonly string[]) =>
    run(args, { folder: folder.path });

  const becomes = (gate: RunningServe, token: string, status: number) =>
    until(`a ${status}`, REVOKED_LIMIT_MS, async () => {
      return (await ask(gate, "/app/x", token)).status === status;
    });

  test.each(KINDS)(
    "by %s is in force at once, outlives the gate, and can be taken back",
    async (_, flagsOf) => {
      await using folder = await gateFolder();
      const token = await staffToken(folder, "--sub", "alice");
      const other = await staffToken(folder, "--sub", "bob");
      const flags = flagsOf(token);
      {
        await using gate = await serve([], { folder: folder.path });
        expect((await ask(gate, "/app/x", token)).status).toBe(200);
        const revoked = await command(folder, "revoke", ...flags, "--reason", "a lost laptop");
        expect({ exitCode: revoked.exitCode, err: revoked.err }).toEqual({ exitCode: 0, err: "" });
        await becomes(gate, token, 401);
        const denied = await ask(gate, "/app/x", token);
        expect(denied.code).toBe("token_revoked");
        expect(denied.headers.get("www-authenticate")).toContain('error="invalid_token"');
        expect((await ask(gate, "/app/x", other)).status).toBe(200);
        expect(await recordsOf(folder, [denied])).toMatchObject([{ code: "token_revoked" }]);
        await kill(gate);
      }
      const listed = await command(folder, "tokens", "--revoked", "--json");
      expect(listed).toMatchObject({ exitCode: 0, err: "" });
      expect(listed.out).toContain("a lost laptop");

      await using gate = await serve([], { folder: folder.path });
      // The very first answer of the next gate knows of it.
      expect(await ask(gate, "/app/x", token)).toMatchObject({
        status: 401,
        code: "token_revoked",
      });
      expect((await ask(gate, "/app/x", other)).status).toBe(200);
      const unrevoked = await command(folder, "unrevoke", ...flags);
      expect({ exitCode: unrevoked.exitCode, err: unrevoked.err }).toEqual({
        exitCode: 0,
        err: "",
      });
      await becomes(gate, token, 200);

      const acts = (await auditOf(folder)).filter(({ kind }) => kind === "act");
      expect(acts.map(({ act, actor }) => `${act} ${actor}`).sort()).toEqual([
        "revoke cli",
        "unrevoke cli",
      ]);
      expect(acts.find(({ act }) => act === "revoke")?.reason).toBe("a lost laptop");
      expect(JSON.stringify(acts)).not.toContain(token);
      expect(await verify(folder)).toMatchObject({ exitCode: 0 });
    },
    TEST_LIMIT_MS,
  );

  test(
    "made while no gate runs is known to the next",
    async () => {
      await using folder = await gateFolder();
      const token = await staffToken(folder);
      expect((await command(folder, "revoke", "--token", token)).exitCode).toBe(0);
      await using gate = await serve([], { folder: folder.path });
      expect(await ask(gate, "/app/x", token)).toMatchObject({
        status: 401,
        code: "token_revoked",
      });
    },
    TEST_LIMIT_MS,
  );

  test(
    "of a subject refuses what was issued before, and nothing that is issued later",
    async () => {
      await using folder = await gateFolder();
      await using gate = await serve([], { folder: folder.path });
      const before = await staffToken(folder, "--sub", "alice");
      expect((await command(folder, "revoke", "--subject", "alice")).exitCode).toBe(0);
      await becomes(gate, before, 401);
      await until("a token that passes again", 10_000, async () => {
        const later = await staffToken(folder, "--sub", "alice");
        return (await ask(gate, "/app/x", later)).status === 200;
      });
      expect((await ask(gate, "/app/x", before)).status).toBe(401);
    },
    TEST_LIMIT_MS,
  );
});

describe("a limit", () => {
  const LIMITED = `${HEAD}trustedProxies: [127.0.0.1]
limits: { address: { limit: 3, per: 1h } }
routes:
  - name: metered
    match: { path: /metered }
    upstream: echo
    anyAuthenticated: true
    rateLimit: { limit: 2, per: 1h }
`;

  test(
    "of a route holds for each subject, whatever token it shows",
    async () => {
      await using folder = await gateFolder(LIMITED);
      await using gate = await serve([], { folder: folder.path });
      const [first, second, other] = [
        await developmentToken(folder.path, "--sub", "alice"),
        await developmentToken(folder.path, "--sub", "alice"),
        await developmentToken(folder.path, "--sub", "bob"),
      ];
      expect((await ask(gate, "/metered", first)).status).toBe(200);
      expect((await ask(gate, "/metered", second)).status).toBe(200);
      const refused = await ask(gate, "/metered", first);
      expect(refused).toMatchObject({ status: 429, code: "rate_limited" });
      const wait = Number(refused.headers.get("retry-after"));
      expect(wait).toBeGreaterThan(0);
      expect(wait).toBeLessThanOrEqual(1_800);
      expect(refused.headers.get("cache-control")).toBe("no-store");
      expect((await ask(gate, "/metered", other)).status).toBe(200);
      expect(await recordsOf(folder, [refused])).toMatchObject([
        { decision: "deny", status: 429, code: "rate_limited", token: { subject: "alice" } },
      ]);
    },
    TEST_LIMIT_MS,
  );

  test(
    "of failed verifications holds for each address",
    async () => {
      await using folder = await gateFolder(LIMITED);
      await using gate = await serve([], { folder: folder.path });
      const token = await developmentToken(folder.path);
      const from = (ip: string) => ({ "X-Forwarded-For": ip });
      const guess = (ip: string) => ask(gate, "/metered", "no-token", from(ip));
      // What carries no credential, or a good one, is no failure.
      expect((await ask(gate, "/metered", undefined, from("203.0.113.7"))).status).toBe(401);
      expect((await ask(gate, "/metered", token, from("203.0.113.7"))).status).toBe(200);
      const guesses: (string | undefined)[] = [];
      for (let count = 0; count < 3; count++) guesses.push((await guess("203.0.113.7")).code);
      expect(guesses).toEqual(["token_invalid", "token_invalid", "token_invalid"]);
      const refused = await guess("203.0.113.7");
      expect(refused).toMatchObject({ status: 429, code: "rate_limited" });
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      const good = await ask(gate, "/metered", token, from("203.0.113.7"));
      expect(good).toMatchObject({ status: 429, code: "rate_limited" });
      expect((await guess("203.0.113.8")).code).toBe("token_invalid");
      expect((await ask(gate, "/metered", token, from("203.0.113.9"))).status).toBe(200);
    },
    TEST_LIMIT_MS,
  );
});
