import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { AuditEntry } from "../../src/audit/entry.ts";
import { openAuditKey } from "../../src/audit/key.ts";
import { openAudit } from "../../src/audit/record.ts";
import { openStore } from "../../src/store/open.ts";
import { actEntry, denyEntry, forwardEntry, START_MS } from "../audit/entries.ts";
import { claimgateCommand } from "../support/executable.ts";
import { runClaimgate } from "../support/run-claimgate.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const CONFIG = `issuers:
  - name: dev
    development: true
routes:
  - name: orders
    upstream: echo
    anyAuthenticated: true
`;

const YEARS_MS = 10 * 365 * 86_400_000;

/** Writes as a gate would that runs on this folder. */
async function recordInto(folder: TempFolder, entries: readonly AuditEntry[]): Promise<void> {
  const file = join(folder.path, "claimgate.db");
  const store = await openStore({ kind: "sqlite", file }, { now: Date.now });
  const key = await openAuditKey(folder.path);
  const told = (message: string) => {
    throw new Error(message);
  };
  const config = () => ({ retainMs: YEARS_MS });
  const audit = openAudit({ store, key, now: Date.now, config, warn: told, onLoss: told });
  for (const entry of entries) audit.record(entry);
  await audit.close();
  await store.close();
}

async function folderWith(entries: readonly AuditEntry[], config = CONFIG): Promise<TempFolder> {
  const folder = await tempFolder({ "claimgate.yaml": config });
  if (entries.length > 0) await recordInto(folder, entries);
  return folder;
}

const idsOf = (out: string): readonly (string | undefined)[] =>
  out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).requestId);

const bob = { issuer: "okta", subject: "bob", expiresAt: "2026-01-05T11:00:00Z" };
const shadowed = {
  policies: [
    { name: "new-rule", verdict: "deny", code: "too_late", ms: 0.1, shadow: true },
  ] as const,
};

const MIXED: readonly AuditEntry[] = [
  forwardEntry(1),
  denyEntry(2),
  denyEntry(3, { code: "token_missing", reason: undefined, policy: undefined, status: 401 }),
  forwardEntry(4, { token: bob, route: "other" }),
  forwardEntry(5, shadowed),
  actEntry(6),
];

describe("claimgate audit", () => {
  test("prints what was recorded as JSON lines, newest last", async () => {
    await using folder = await folderWith(MIXED);
    const { exitCode, out, err } = await runClaimgate(["audit", "--json"], { cwd: folder.path });
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
    const lines = out.trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([...MIXED]);
  });

  test.each([
    [["--denied"], ["request-2", "request-3"]],
    [["--subject", "bob"], ["request-4"]],
    [["--route", "other"], ["request-4"]],
    [["--code", "token_missing"], ["request-3"]],
    [["--code", "role_missing"], ["request-2"]],
    [["--shadow"], ["request-5"]],
    [
      ["--limit", "2", "--denied"],
      ["request-2", "request-3"],
    ],
    [["--since", "2026-01-05T10:00:04Z", "--subject", "bob"], ["request-4"]],
    [["--since", "2026-01-05T10:00:05Z", "--shadow"], ["request-5"]],
  ])("narrows it down by %j", async (flags, ids) => {
    await using folder = await folderWith(MIXED);
    const { out, err } = await runClaimgate(["audit", "--json", ...flags], { cwd: folder.path });
    expect(idsOf(out)).toEqual(ids);
    expect(err).toBe("");
  });

  test("goes back from now with --since 1h", async () => {
    const recent = forwardEntry(2, { at: new Date(Date.now() - 60_000).toISOString() });
    await using folder = await folderWith([forwardEntry(1), recent]);
    const { out } = await runClaimgate(["audit", "--json", "--since", "1h"], { cwd: folder.path });
    expect(idsOf(out)).toEqual(["request-2"]);
  });

  test("prints the newest 1,000 unless told otherwise, and says that there are more", async () => {
    const entries = Array.from({ length: 1_100 }, (_, at) => forwardEntry(at));
    await using folder = await folderWith(entries);
    const some = await runClaimgate(["audit", "--json"], { cwd: folder.path });
    expect(idsOf(some.out)).toEqual(entries.slice(100).map(({ requestId }) => requestId));
    expect(some.err).toContain("these are the newest 1000");
    const all = await runClaimgate(["audit", "--json", "--limit", "1100"], { cwd: folder.path });
    expect(idsOf(all.out)).toHaveLength(1_100);
    expect(all.err).toBe("");
  });

  test("prints a table of whole lines where there is no terminal", async () => {
    await using folder = await folderWith(MIXED);
    const { out } = await runClaimgate(["audit"], { cwd: folder.path });
    const [headings, ...lines] = out.trimEnd().split("\n");
    expect(headings).toMatch(/^time UTC +request +subject +why +policy +request id$/);
    expect(lines[1]).toMatch(
      /^01-05 10:00:02 {2}403 {2}GET api\.acme\.dev\/orders\/2 +alice +policy_denied · role_missing +staff +request-2$/,
    );
    expect(lines[4]).toMatch(/ shadow · too_late +new-rule +request-5$/);
    expect(lines[5]).toMatch(/^01-05 10:00:06 +revoke subject okta alice +by cli$/);
    expect(lines).toHaveLength(6);
  });

  test("follows what comes, from every gate, until it is told to end", async () => {
    await using folder = await folderWith(MIXED);
    const child = Bun.spawn([...claimgateCommand(), "audit", "--follow", "--json", "--denied"], {
      cwd: folder.path,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const reader = child.stdout.getReader();
    let text = "";
    const readUntil = async (id: string) => {
      while (!text.includes(`"${id}"`)) {
        const { done, value } = await reader.read();
        if (done) throw new Error(`ended before ${id}: ${text}`);
        text += new TextDecoder().decode(value);
      }
    };
    await readUntil("request-3");
    await recordInto(folder, [forwardEntry(7), denyEntry(8)]);
    await readUntil("request-8");
    await recordInto(folder, [denyEntry(-9)]);
    await readUntil("request--9");
    child.kill("SIGINT");
    expect(await child.exited).toBe(0);
    expect(idsOf(text)).toEqual(["request-2", "request-3", "request-8", "request--9"]);
  });

  test("says that nothing is recorded yet, and makes no store", async () => {
    await using folder = await folderWith([]);
    const { exitCode, out, err } = await runClaimgate(["audit"], { cwd: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: "" });
    expect(err).toContain("nothing is recorded yet");
    expect(await readdir(folder.path)).toEqual(["claimgate.yaml"]);
  });

  test("says that no record matches", async () => {
    await using folder = await folderWith(MIXED);
    const ran = await runClaimgate(["audit", "--subject", "nobody"], { cwd: folder.path });
    expect(ran).toEqual({ exitCode: 0, out: "", err: "claimgate: no record matches\n" });
  });

  test.each([
    [["--since", "yesterday"], "--since takes a duration"],
    [["--limit", "0"], "--limit takes a whole number"],
    [["--limit", "many"], "--limit takes a whole number"],
    [["--config", "nowhere.yaml"], "nowhere.yaml"],
    [["verify", "--config", "nowhere.yaml"], "nowhere.yaml"],
    [["verfy"], "too many arguments"],
  ])("takes %j for wrong usage", async (flags, said) => {
    await using folder = await folderWith([]);
    const { exitCode, out, err } = await runClaimgate(["audit", ...flags], { cwd: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(said);
  });

  test.each([[[]], [["verify"]]])("names a missing variable, and exits 2: %j", async (words) => {
    await using folder = await folderWith([], `${CONFIG}store: "redis://h:\${REDIS_WORD}@h"\n`);
    const { exitCode, out, err } = await runClaimgate(["audit", ...words], { cwd: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain("REDIS_WORD");
  });

  test("exits 1 with all findings when the configuration does not hold", async () => {
    await using folder = await folderWith([], CONFIG.replace("upstream", "upstrem"));
    const { exitCode, out, err } = await runClaimgate(["audit"], { cwd: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: "" });
    expect(err).toContain("upstrem");
  });
});

describe("claimgate audit verify", () => {
  async function tampered(sql: string): Promise<TempFolder> {
    const folder = await folderWith(MIXED);
    const database = new Database(join(folder.path, "claimgate.db"));
    database.run(sql);
    database.close();
    return folder;
  }

  test("says that all hold, of every chain", async () => {
    await using folder = await folderWith(MIXED);
    await recordInto(folder, [forwardEntry(7)]);
    const ran = await runClaimgate(["audit", "verify"], { cwd: folder.path });
    expect(ran).toEqual({ exitCode: 0, out: "7 records in 2 chains: all hold\n", err: "" });
  });

  test("holds where nothing is recorded yet, and makes no store", async () => {
    await using folder = await folderWith([]);
    const ran = await runClaimgate(["audit", "verify"], { cwd: folder.path });
    expect(ran).toEqual({ exitCode: 0, out: "0 records in 0 chains: all hold\n", err: "" });
    expect(await readdir(folder.path)).toEqual(["claimgate.yaml"]);
  });

  test.each([
    [
      "changed",
      "UPDATE records SET body = replace(body, 'alice', 'mallory') WHERE seq = 3",
      { kind: "changed", firstSeq: 3, lastSeq: 3, at: "2026-01-05T10:00:03.000Z" },
    ],
    [
      "removed",
      "DELETE FROM records WHERE seq IN (2, 3)",
      { kind: "removed", firstSeq: 2, lastSeq: 3, at: "2026-01-05T10:00:01.000Z" },
    ],
    [
      "cut off",
      "DELETE FROM records WHERE seq > 4",
      { kind: "cut", firstSeq: 5, lastSeq: 6, at: "2026-01-05T10:00:04.000Z" },
    ],
    [
      "hidden from a search",
      "UPDATE records SET subject = 'x' WHERE seq = 2",
      { kind: "mislabelled", firstSeq: 2, lastSeq: 2, at: "2026-01-05T10:00:02.000Z" },
    ],
  ])("finds what was %s, says where, and exits 1", async (_, sql, problem) => {
    await using folder = await tampered(sql);
    const { exitCode, out } = await runClaimgate(["audit", "verify"], { cwd: folder.path });
    expect(exitCode).toBe(1);
    const which =
      problem.firstSeq === problem.lastSeq
        ? `record ${problem.firstSeq}`
        : `records ${problem.firstSeq} to ${problem.lastSeq}`;
    expect(out).toStartWith(`${which} of chain `);
    expect(out).toContain(problem.at);
    expect(out).toMatch(/\n\d records in 1 chain: 1 problem\n$/);
    const json = await runClaimgate(["audit", "verify", "--json"], { cwd: folder.path });
    expect(json.exitCode).toBe(1);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, writers: 1, problems: [problem] });
  });

  test("does not hold without the key that signed", async () => {
    await using folder = await folderWith(MIXED);
    await rm(join(folder.path, "audit.key"));
    const { exitCode, out } = await runClaimgate(["audit", "verify"], { cwd: folder.path });
    expect(exitCode).toBe(1);
    expect(out).toContain("signed with another key");
  });

  test("does not take a store that is gone for an empty one", async () => {
    await using folder = await folderWith(MIXED);
    await rm(join(folder.path, "claimgate.db"));
    const { exitCode, out, err } = await runClaimgate(["audit", "verify"], { cwd: folder.path });
    expect({ exitCode, out }).toEqual({ exitCode: 70, out: "" });
    expect(err).toContain("claimgate.db is gone");
  });
});

test("entries of these tests lie in the past", () => {
  expect(START_MS).toBeLessThan(Date.now() - 3_600_000);
});
