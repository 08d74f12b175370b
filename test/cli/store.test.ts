import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { truncate } from "node:fs/promises";
import { join } from "node:path";
import { openStore } from "../../src/store/open.ts";
import { record, revocation } from "../store/contract.ts";
import { sighting } from "../store/sighting.ts";
import { describeWith } from "../support/needs.ts";
import { startRedis } from "../support/redis-server.ts";
import { runClaimgate } from "../support/run-claimgate.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

const CONFIG = (store = "sqlite:claimgate.db") => `listen: 127.0.0.1:0
store: ${store}
routes: [{ upstream: echo, public: true }]
`;

type Place = Parameters<typeof openStore>[0];

/** A store with two records, a revocation, a sighting and a value, closed again. */
async function fill(place: Place): Promise<void> {
  const store = await openStore(place, { now: () => 2_000 });
  await store.append([record("a", 1, { atMs: 1_500 }), record("a", 2, { atMs: 1_600 })]);
  await store.revoke(revocation());
  await store.noteSightings([sighting("a")]);
  await store.put("k", "v", 3_600_000);
  await store.close();
}

async function filledFolder(): Promise<TempFolder & { readonly file: string }> {
  const folder = await tempFolder({ "claimgate.yaml": CONFIG() });
  const file = join(folder.path, "claimgate.db");
  await fill({ kind: "sqlite", file });
  return { ...folder, file };
}

const ask = ({ path }: TempFolder, ...args: string[]) =>
  runClaimgate(["store", ...args], { cwd: path });

test("shows what there is, and nothing is made where there is none", async () => {
  await using folder = await tempFolder({ "claimgate.yaml": CONFIG() });
  expect(await ask(folder)).toMatchObject({ exitCode: 0, out: "" });
  expect(await ask(folder, "check")).toMatchObject({ exitCode: 0, out: "" });
  expect(JSON.parse((await ask(folder, "--json")).out)).toEqual({ kind: "sqlite", exists: false });
  expect(await Bun.file(join(folder.path, "claimgate.db")).exists()).toBe(false);

  await using filled = await filledFolder();
  const { exitCode, out } = await ask(filled);
  expect(exitCode).toBe(0);
  expect(out.replace(/\d+ KB/, "N KB").split("\n")).toEqual([
    `store        sqlite ${filled.file}`,
    "schema       version 2",
    "size         N KB",
    "records      2 of 1 writer, since 1970-01-01T00:00:01.500Z",
    "revocations  1",
    "sightings    1",
    "values       1",
    "",
  ]);
  expect(JSON.parse((await ask(filled, "--json")).out)).toEqual({
    kind: "sqlite",
    place: filled.file,
    bytes: expect.any(Number),
    schemaVersion: 2,
    records: 2,
    writers: 1,
    revocations: 1,
    sightings: 1,
    values: 1,
    oldestRecord: "1970-01-01T00:00:01.500Z",
  });
});

test("looks beside a gate that has it open, and leaves its log as it is", async () => {
  await using folder = await filledFolder();
  const place = { kind: "sqlite", file: folder.file } as const;
  const store = await openStore(place, { now: () => 2_000 });
  await store.append([record("b", 1)]);
  const before = readFileSync(`${folder.file}-wal`);
  expect(JSON.parse((await ask(folder, "--json")).out)).toMatchObject({ records: 3, writers: 2 });
  expect((await ask(folder, "check")).exitCode).toBe(0);
  expect(readFileSync(`${folder.file}-wal`)).toEqual(before);
  await store.append([record("b", 2)]);
  await store.close();
});

test("check: a whole one holds; a record that is gone, a cut-off file and a newer one do not", async () => {
  await using folder = await filledFolder();
  expect(await ask(folder, "check")).toMatchObject({ exitCode: 0, out: "" });
  const database = new Database(folder.file);
  database.run("DELETE FROM records WHERE seq = 1");
  database.close();
  expect(await ask(folder, "check")).toMatchObject({
    exitCode: 1,
    out: "a has 1 records where 2 were written\n",
  });

  const later = new Database(folder.file);
  later.run("PRAGMA user_version = 99");
  later.close();
  const newer = JSON.parse((await ask(folder, "check", "--json")).out);
  expect(newer).toMatchObject({ ok: false, problems: [expect.stringContaining("version 99")] });

  await using cut = await filledFolder();
  await truncate(cut.file, 3 * 4_096);
  const before = readFileSync(cut.file);
  const { exitCode, out } = await ask(cut, "check");
  expect(exitCode).toBe(1);
  expect(out).toContain("its contents are corrupted");
  expect(readFileSync(cut.file)).toEqual(before);
});

describeWith("redis-server", "on Redis", () => {
  test("shows and checks, and makes nothing", async () => {
    await using server = await startRedis();
    await using folder = await tempFolder({ "claimgate.yaml": CONFIG(server.url) });
    expect(JSON.parse((await ask(folder, "--json")).out)).toEqual({ kind: "redis", exists: false });
    expect(await server.ask("DBSIZE")).toBe(0);
    await fill({ kind: "redis", url: server.url, prefix: "claimgate:" });
    expect(JSON.parse((await ask(folder, "--json")).out)).toEqual({
      kind: "redis",
      place: server.url,
      schemaVersion: 1,
      bytes: expect.any(Number),
      records: 2,
      writers: 1,
      revocations: 1,
      sightings: 1,
      values: 1,
      oldestRecord: "1970-01-01T00:00:01.500Z",
    });
    expect(await ask(folder, "check")).toMatchObject({ exitCode: 0, out: "" });
    await server.ask("XDEL", "claimgate:chain:a", "1-0");
    await server.ask("DEL", "claimgate:revoked");
    expect(await ask(folder, "check")).toMatchObject({
      exitCode: 1,
      out: "a has 1 records where 2 were written\nof 1 revocations 0 are there\n",
    });
    await server.ask("HSET", "claimgate:meta", "version", "99");
    expect((await ask(folder, "check")).out).toContain("its schema is version 99");
  });
});
