import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { AuditEntry } from "../../../src/audit/entry.ts";
import { openAuditKey } from "../../../src/audit/key.ts";
import { openAudit } from "../../../src/audit/record.ts";
import { summarize } from "../../../src/cli/audit/summary.ts";
import { openStore } from "../../../src/store/open.ts";
import type { Store } from "../../../src/store/store.ts";
import { actEntry, denyEntry, forwardEntry, START_MS } from "../../audit/entries.ts";
import { memoryStore } from "../../audit/memory-store.ts";
import { runClaimgate } from "../../support/run-claimgate.ts";
import { type TempFolder, tempFolder } from "../../support/temp-folder.ts";

const CONFIG = `issuers: [{ name: dev, development: true }]
routes: [{ name: orders, upstream: echo, anyAuthenticated: true }]
`;
const YEARS_MS = 10 * 365 * 86_400_000;
const NOW_MS = START_MS + 3_600_000;

const token = (subject: string) => ({
  issuer: "okta",
  subject,
  id: `${subject}-id`,
  expiresAt: "2026-01-05T11:00:00Z",
});
const by = (policy: string) => ({
  kind: "act" as const,
  at: new Date(START_MS + 4_000).toISOString(),
  actor: `policy ${policy}`,
  act: "revoke",
  target: "jti https://id.example 7",
  reason: "burst",
});
const NO_TOKEN = { token: undefined, code: "token_missing", reason: undefined, policy: undefined };
const REVOKED = { code: "token_revoked", status: 401, reason: "jti_revoked", policy: undefined };
const NOTED = {
  policies: [
    { name: "unusual-activity", verdict: "allow", ms: 0.1, shadow: false, unusual: ["burst"] },
  ] as const,
};

const ENTRIES: readonly AuditEntry[] = [
  forwardEntry(1),
  forwardEntry(2, { route: "invoices", token: token("bob"), ...NOTED }),
  denyEntry(3),
  by("unusual-activity"),
  denyEntry(4, {
    ...NOTED,
    token: token("bob"),
    reason: "burst",
    policy: "unusual-activity",
  }),
  denyEntry(5, { ...REVOKED, token: token("bob"), policies: [] }),
  denyEntry(6, { ...REVOKED, token: token("bob"), policies: [] }),
  denyEntry(7, { ...NO_TOKEN, status: 401, policies: [] }),
  denyEntry(8, { ...NO_TOKEN, code: "route_not_found", status: 404, route: undefined }),
  actEntry(9),
  { ...actEntry(10), act: "unrevoke" },
];

async function recordInto(store: Store | ReturnType<typeof memoryStore>, key: Uint8Array) {
  const told = (message: string) => {
    throw new Error(message);
  };
  const config = () => ({ retainMs: YEARS_MS });
  const audit = openAudit({ store, key, now: Date.now, config, warn: told, onLoss: told });
  return {
    async record(entries: readonly AuditEntry[]): Promise<void> {
      for (const entry of entries) audit.record(entry);
      await audit.close();
    },
  };
}

async function memoryWith(entries: readonly AuditEntry[]) {
  const store = memoryStore();
  await (await recordInto(store, new Uint8Array(32))).record(entries);
  return store;
}

async function folderWith(entries: readonly AuditEntry[]): Promise<TempFolder> {
  const folder = await tempFolder({ "claimgate.yaml": CONFIG });
  const file = join(folder.path, "claimgate.db");
  const store = await openStore({ kind: "sqlite", file }, { now: Date.now });
  await (await recordInto(store, await openAuditKey(folder.path))).record(entries);
  await store.close();
  return folder;
}

describe("summarize()", () => {
  test("counts who was refused and why, and says whose tokens policies revoked", async () => {
    expect(await summarize(await memoryWith(ENTRIES), {}, NOW_MS)).toEqual({
      from: "2026-01-05T10:00:01.000Z",
      to: "2026-01-05T10:00:10.000Z",
      decisions: 8,
      denied: 6,
      acts: 3,
      damaged: 0,
      routes: [
        { route: "orders", decisions: 6, denied: 5 },
        { decisions: 1, denied: 1 },
        { route: "invoices", decisions: 1, denied: 0 },
      ],
      refusals: [
        { status: 401, code: "token_revoked", reason: "jti_revoked", requests: 2 },
        { status: 404, code: "route_not_found", requests: 1 },
        { status: 401, code: "token_missing", requests: 1 },
        {
          status: 403,
          code: "policy_denied",
          reason: "burst",
          policy: "unusual-activity",
          requests: 1,
        },
        {
          status: 403,
          code: "policy_denied",
          reason: "role_missing",
          policy: "staff",
          requests: 1,
        },
      ],
      subjects: [
        {
          issuer: "okta",
          subject: "bob",
          requests: 3,
          codes: { token_revoked: 2, policy_denied: 1 },
        },
        { issuer: "okta", subject: "alice", requests: 1, codes: { policy_denied: 1 } },
      ],
      addresses: [
        { address: "10.0.0.7", requests: 2, codes: { route_not_found: 1, token_missing: 1 } },
      ],
      revoked: [
        {
          at: "2026-01-05T10:00:04.000Z",
          actor: "policy unusual-activity",
          target: "jti https://id.example 7",
          reason: "burst",
          issuer: "okta",
          subject: "bob",
          token: "bob-id",
          refused: 2,
        },
        { at: "2026-01-05T10:00:09.000Z", actor: "cli", target: "subject okta alice" },
      ],
      unusual: [{ policy: "unusual-activity", signal: "burst", requests: 2, tokens: 1 }],
      others: [{ actor: "cli", act: "unrevoke", count: 1 }],
    });
  });

  test("counts what is asked for alone", async () => {
    const store = await memoryWith(ENTRIES);
    const bobs = await summarize(store, { subject: "bob" }, NOW_MS);
    expect([bobs.decisions, bobs.denied, bobs.acts]).toEqual([4, 3, 0]);
    const late = await summarize(store, { since: "2026-01-05T10:00:07Z" }, NOW_MS);
    expect([late.decisions, late.from]).toEqual([2, "2026-01-05T10:00:07.000Z"]);
    const coded = await summarize(store, { code: "role_missing" }, NOW_MS);
    expect(coded.refusals.map(({ requests }) => requests)).toEqual([1]);
  });

  test("does not take the next best request for that of a revoked token", async () => {
    const store = await memoryWith([by("unusual-activity"), denyEntry(4), denyEntry(5)]);
    const { revoked } = await summarize(store, {}, NOW_MS);
    expect(revoked.map(({ subject }) => subject)).toEqual([undefined]);
  });

  test("is empty where there is nothing", async () => {
    const { from, to, decisions, routes } = await summarize(memoryStore(), {}, NOW_MS);
    expect({ from, to, decisions, routes }).toEqual({ decisions: 0, routes: [] } as never);
  });

  test("goes through more records than fit on a page", async () => {
    const many = Array.from({ length: 2_500 }, (_, at) => forwardEntry(at % 900));
    expect((await summarize(await memoryWith(many), {}, NOW_MS)).decisions).toBe(2_500);
  });
});

describe("claimgate audit --summary", () => {
  const summarized = (folder: TempFolder, ...args: string[]) =>
    runClaimgate(["audit", "--summary", ...args], {
      cwd: folder.path,
      environment: { NO_COLOR: "1" },
    });

  test("is tables, and ends with the word on the chain", async () => {
    await using folder = await folderWith(ENTRIES);
    const { exitCode, out, err } = await summarized(folder);
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    expect(out).toBe(`2026-01-05 10:00 to 2026-01-05 10:00 UTC, 8 requests: 2 forwarded, 6 refused

route     requests  refused
orders           6        5
(none)           1        1
invoices         1        0

refused  answer               why           policy
      2  401 token_revoked    jti_revoked
      1  404 route_not_found
      1  401 token_missing
      1  403 policy_denied    burst         unusual-activity
      1  403 policy_denied    role_missing  staff

subject  issuer  refused  with
bob      okta          3  token_revoked 2, policy_denied 1
alice    okta          1  policy_denied 1

no valid token, from  refused  with
10.0.0.7                    2  route_not_found 1, token_missing 1

revoked              by                       why    subject  what                refused since
2026-01-05 10:00:04  policy unusual-activity  burst  bob      token bob-id                    2
2026-01-05 10:00:09  cli                                      subject okta alice

unusual  policy            tokens  requests
burst    unusual-activity       1         2

besides   by   times
unrevoke  cli      1

11 records in 1 chain: all hold
`);
  });

  test("exits with 1 and names what was changed", async () => {
    await using folder = await folderWith(ENTRIES);
    using database = new Database(join(folder.path, "claimgate.db"));
    database.run("UPDATE records SET body = replace(body, 'burst', 'quiet') WHERE seq = 5");
    const { exitCode, out } = await summarized(folder);
    expect(exitCode).toBe(1);
    expect(out).toContain("changed, moved or put in");
    expect(JSON.parse((await summarized(folder, "--json")).out).chain.ok).toBe(false);
  });

  test("counts a record that is none any more, and goes on", async () => {
    await using folder = await folderWith(ENTRIES);
    using database = new Database(join(folder.path, "claimgate.db"));
    database.run("UPDATE records SET body = 'gone' WHERE seq = 6");
    const { exitCode, out } = await summarized(folder);
    expect({ exitCode, head: out.split("\n")[0] }).toEqual({
      exitCode: 1,
      head: "2026-01-05 10:00 to 2026-01-05 10:00 UTC, 7 requests: 2 forwarded, 5 refused, 1 damaged record",
    });
  });

  test("forges no line with what clients wrote", async () => {
    const subject = "eve\n12 records in 1 chain: all hold\u001b[32m";
    await using folder = await folderWith([denyEntry(1, { token: token(subject) })]);
    const { out } = await summarized(folder);
    expect(out).toContain("eve?12 records");
  });

  test.each(["--follow", "--limit 5"])("does not take %s", async (other) => {
    await using folder = await folderWith([]);
    const { exitCode, err } = await summarized(folder, ...other.split(" "));
    expect(exitCode).toBe(2);
    expect(err).toContain(`leave ${other.split(" ")[0]} out`);
  });

  test("says that nothing is recorded yet", async () => {
    await using folder = await tempFolder({ "claimgate.yaml": CONFIG });
    const { exitCode, out, err } = await summarized(folder);
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: "" });
    expect(err).toContain("nothing is recorded yet");
  });
});
