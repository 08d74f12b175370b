/**
 * A look into the SQLite file, beside a gate that uses it or without one.
 *
 * @module
 */
import { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import { basename } from "node:path";
import type { Inspection } from "./inspect.ts";
import { damaged, storeFault } from "./sqlite-fault.ts";
import { judge } from "./sqlite-open.ts";
import { versionOf } from "./sqlite-schema.ts";

const BUSY_TIMEOUT_MS = 2_000;
/** Of more faults nobody learns more. */
const MOST_PROBLEMS = 20;

/** @throws GateError `store_unavailable`, `store_damaged` */
export async function inspectSqlite(
  file: string,
  depth: "count" | "check",
): Promise<Inspection | undefined> {
  const bytesOf = (name: string) => statSync(name, { throwIfNoEntry: false })?.size ?? 0;
  const logBytes = bytesOf(`${file}-wal`);
  const bytes = bytesOf(file);
  if (bytes === 0 && logBytes === 0) return undefined;
  if (bytes === 0) {
    throw damaged(file, `it is gone or empty but its ${basename(file)}-wal is there; restore both`);
  }
  try {
    // With a log at hand: one that can write would merge it into the file at its end.
    const database = new Database(file, logBytes > 0 ? { readonly: true } : { readwrite: true });
    try {
      database.run(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      // One view of it all, while a gate writes.
      return database.transaction(() => {
        judge(file, bytes, database);
        const size = { bytes: bytes + logBytes };
        const report = { kind: "sqlite", place: file, ...size, ...count(database) } as const;
        return { report, problems: depth === "check" ? findProblems(database) : [] };
      })();
    } finally {
      database.close();
    }
  } catch (error) {
    throw storeFault(file, error);
  }
}

function count(database: Database) {
  const schemaVersion = versionOf(database);
  const has = (table: string) =>
    database.query("SELECT 1 FROM sqlite_schema WHERE name = ?").get(table) !== null;
  const countOf = (table: string) =>
    has(table)
      ? (database.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? 0)
      : 0;
  const oldest = has("records")
    ? database.query<{ ms: number | null }, []>("SELECT min(at_ms) AS ms FROM records").get()?.ms
    : undefined;
  return {
    schemaVersion,
    records: countOf("records"),
    writers: countOf("writers"),
    revocations: countOf("revocations"),
    sightings: countOf("sightings"),
    values: countOf("single_values"),
    ...(typeof oldest === "number" && { oldestRecordMs: oldest }),
  };
}

function findProblems(database: Database): readonly string[] {
  const faults = database
    .query<{ integrity_check: string }, []>(`PRAGMA integrity_check(${MOST_PROBLEMS})`)
    .all()
    .map((row) => row.integrity_check)
    .filter((text) => text !== "ok");
  if (versionOf(database) === 0) return faults;
  const gaps = database
    .query<{ writer: string; kept: number; due: number }, []>(
      `SELECT writer, last_seq - swept_seq AS due,
         (SELECT count(*) FROM records WHERE records.writer = writers.writer) AS kept
       FROM writers WHERE kept <> due LIMIT ${MOST_PROBLEMS}`,
    )
    .all()
    .map(({ writer, kept, due }) => `${writer} has ${kept} records where ${due} were written`);
  return [...faults, ...gaps];
}
