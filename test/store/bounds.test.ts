/** What the store holds at most, tried with a few instead of a million. */
import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openLink } from "../../src/store/redis-link.ts";
import type { Script } from "../../src/store/redis-scripts.ts";
import { openRedisSightings } from "../../src/store/redis-sightings.ts";
import { openRedisValues } from "../../src/store/redis-values.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { openFile } from "../../src/store/sqlite-open.ts";
import { openSightingOperations } from "../../src/store/sqlite-sightings.ts";
import { openValueOperations } from "../../src/store/sqlite-values.ts";
import { describeWith } from "../support/needs.ts";
import { startRedis } from "../support/redis-server.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { faultOf, record, revocation } from "./contract.ts";
import { sighting } from "./sighting.ts";

const MOST = 3;
const now = () => 2_000;

async function openedFile() {
  const folder = await tempFolder();
  const file = join(folder.path, "claimgate.db");
  const { database } = openFile(file);
  const close = async () => {
    database.close();
    await folder[Symbol.asyncDispose]();
  };
  return { file, database, [Symbol.asyncDispose]: close };
}

async function openedRedis() {
  const server = await startRedis();
  const link = openLink({ url: server.url, where: server.url });
  await link.first;
  const run = (script: Script, ...args: (string | number)[]) =>
    link.run(script, ["cg:meta"], ["cg:", "id", ...args.map(String)]);
  const close = async () => {
    link.close();
    await server[Symbol.asyncDispose]();
  };
  return { server, run, [Symbol.asyncDispose]: close };
}

describe("SQLite holds at most so many", () => {
  test("sightings: those go that expire first", async () => {
    await using place = await openedFile();
    const { noteSightings, findSightings } = openSightingOperations(place.database, MOST);
    for (let at = 0; at < 7; at++) {
      noteSightings([sighting(`t${at}`, { expiresAtMs: at === 2 ? 90_000 : 50_000 + at })]);
    }
    const ids = findSightings({ limit: 99 }).map(({ id }) => id);
    expect(ids.sort()).toEqual(["t2", "t5", "t6"]);
  });

  test("single values: one more is refused, those there may change, what ends makes room", async () => {
    await using place = await openedFile();
    const { getValue, writeValue, takeValue } = openValueOperations(
      place.file,
      place.database,
      MOST,
    );
    const put = (key: string, untilMs = 9_000, nowMs = 2_000) =>
      writeValue({ key, value: "v", untilMs, when: "any" }, nowMs);
    for (const key of ["a", "b", "c"]) put(key, key === "a" ? 3_000 : 9_000);
    expect(() => put("d")).toThrow("it holds 3 sessions and single values, which is the most");
    expect(put("b")).toBe(true);
    expect(put("d", 9_000, 3_000)).toBe(true);
    expect(() => put("e", 9_000, 3_000)).toThrow("which is the most");
    expect(takeValue("d", 3_000)).toBe("v");
    expect(put("e", 9_000, 3_000)).toBe(true);
    expect(getValue("e", 3_000)).toBe("v");
  });
});

describeWith("redis-server", "Redis holds at most so many", () => {
  test("sightings: those go that expire first, and nothing is left of them", async () => {
    await using redis = await openedRedis();
    const { noteSightings, sightings } = openRedisSightings(redis.run, now, MOST);
    for (let at = 0; at < 7; at++) {
      const subject = `s${at}`;
      await noteSightings([
        sighting(`t${at}`, { expiresAtMs: at === 2 ? 90_000 : 50_000 + at, subject }),
      ]);
    }
    const ids = (await sightings({ limit: 99 })).map(({ id }) => id);
    expect(ids.sort()).toEqual(["t2", "t5", "t6"]);
    // Each with its index by subject; and the two of all, and the layout's version.
    expect(await redis.server.ask("DBSIZE")).toBe(2 * 3 + 2 + 1);
  });

  test("sightings of one subject: its index has the latest thousand", async () => {
    await using redis = await openedRedis();
    const { noteSightings, sightings } = openRedisSightings(redis.run, now);
    const many = Array.from({ length: 1_100 }, (_, at) => sighting(`t${at}`, { lastMs: at }));
    await noteSightings(many.slice(0, 600));
    await noteSightings(many.slice(600));
    const found = await sightings({ subject: "alice", limit: 9_999 });
    expect([found.length, found[0]?.id, found.at(-1)?.id]).toEqual([1_000, "t1099", "t100"]);
    expect(await sightings({ limit: 9_999 })).toHaveLength(1_100);
  });

  test("single values: one more is refused, those there may change, what ends makes room", async () => {
    await using redis = await openedRedis();
    let nowMs = 2_000;
    const values = openRedisValues(redis.run, () => nowMs, MOST);
    const put = (key: string, untilMs = 90_000) => values.put(key, "v", untilMs);
    for (const key of ["a", "b", "c"]) await put(key, key === "a" ? 30_000 : 90_000);
    expect(await faultOf(put("d"))).toBe("store_unavailable");
    await put("b");
    nowMs = 30_000;
    await put("d");
    expect(await faultOf(put("e"))).toBe("store_unavailable");
    expect(await values.take("d")).toBe("v");
    await put("e");
    expect(await values.get("e")).toBe("v");
  });
});

test("a file of version 1 becomes one of ours, with all that it holds", async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, "claimgate.db");
  const first = await openSqliteStore(file, { now });
  await first.append([record("a", 1), record("a", 2)]);
  await first.revoke(revocation());
  const revision = await first.revision();
  await first.close();
  const former = new Database(file);
  former.run("DROP TABLE sightings; DROP TABLE single_values; PRAGMA user_version = 1");
  former.close();

  const store = await openSqliteStore(file, { now });
  expect(await store.chain("a", 0, 9)).toEqual([record("a", 1), record("a", 2)]);
  expect(await store.anchors()).toMatchObject([{ writer: "a", lastSeq: 2 }]);
  expect(await store.revocations(2_000)).toEqual([revocation()]);
  expect(await store.revision()).toBe(revision);
  await store.noteSightings([sighting("a")]);
  await store.put("k", "v", 9_000);
  expect(await store.sightings({ limit: 9 })).toHaveLength(1);
  expect(await store.get("k")).toBe("v");
  await store.close();
  const after = new Database(file, { readonly: true });
  expect(after.query("PRAGMA user_version").get()).toEqual({ user_version: 2 });
  after.close();
});
