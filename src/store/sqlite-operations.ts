/**
 * What the Worker does with the open file. Each call is one transaction.
 *
 * @module
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { mergeRevocations } from "./merge.ts";
import { damaged, storeFault, unavailable } from "./sqlite-fault.ts";
import type { OpenFile } from "./sqlite-open.ts";
import { openSightingOperations, type SightingOperations } from "./sqlite-sightings.ts";
import { openValueOperations, type ValueOperations } from "./sqlite-values.ts";
import {
  type Anchor,
  type ChainedRecord,
  FORGOTTEN_AFTER_MS,
  MOST_REVOCATIONS,
  MOST_WRITERS,
  type RecordIndex,
  type RecordQuery,
  type Revocation,
} from "./store.ts";

/** Records removed in one transaction, so that those who wait to write wait milliseconds. */
const SWEPT_AT_ONCE = 5_000;

/** What the main thread may ask for. Arguments and answers go through `postMessage`. */
export type Operations = {
  append(records: readonly ChainedRecord[]): void;
  find(query: RecordQuery): readonly ChainedRecord[];
  anchors(): readonly Anchor[];
  chain(writer: string, afterSeq: number, limit: number): readonly ChainedRecord[];
  /** @returns How many were removed; 0 when nothing is left to do. */
  sweepSome(beforeMs: number): number;
  forget(nowMs: number): void;
  revoke(revocation: Revocation, nowMs: number): void;
  unrevoke(kind: Revocation["kind"], issuer: string | undefined, value: string): boolean;
  revocations(nowMs: number): readonly Revocation[];
  revision(): string;
} & SightingOperations &
  ValueOperations;

type RecordRow = {
  readonly writer: string;
  readonly seq: number;
  readonly at_ms: number;
  readonly body: string;
  readonly mac: string;
  readonly kind: RecordIndex["kind"];
  readonly request_id: string | null;
  readonly subject: string | null;
  readonly route: string | null;
  readonly code: string | null;
  readonly denied: number;
};

type RevocationRow = {
  readonly kind: Revocation["kind"];
  readonly issuer: string;
  readonly value: string;
  readonly reason: string;
  readonly author: string;
  readonly at_ms: number;
  readonly until_ms: number;
};

const RECORD_COLUMNS =
  "writer, seq, at_ms, body, mac, kind, request_id, subject, route, code, denied";

/** @returns Operations that throw GateError `store_unavailable` or `store_damaged`. */
export function openOperations(file: string, { database, checkPlace }: OpenFile): Operations {
  const bare = {
    ...bareOperations(file, database),
    ...openSightingOperations(database),
    ...openValueOperations(file, database),
  };
  const guarded = Object.entries(bare).map(([name, operation]) => {
    const run = operation as (...args: readonly unknown[]) => unknown;
    return [
      name,
      (...args: readonly unknown[]) => {
        try {
          checkPlace();
          return run(...args);
        } catch (error) {
          throw storeFault(file, error);
        }
      },
    ];
  });
  return Object.fromEntries(guarded);
}

function bareOperations(
  file: string,
  database: Database,
): Omit<Operations, keyof SightingOperations | keyof ValueOperations> {
  /** The lock to write is taken first: a transaction that reads and then writes could fail halfway. */
  const write = <T>(work: () => T): T => database.transaction(work).immediate();
  const run = (sql: string, ...values: SQLQueryBindings[]) =>
    database.query(sql).run(...values).changes;
  const bumpRevision = () => run("UPDATE store SET revision = revision + 1");

  function appendOne(record: ChainedRecord): void {
    const { writer, seq, atMs, body, mac, index } = record;
    const added = run(
      `INSERT INTO records (${RECORD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (writer, seq) DO NOTHING`,
      writer,
      seq,
      atMs,
      body,
      mac,
      index.kind,
      index.requestId ?? null,
      index.subject ?? null,
      index.route ?? null,
      index.code ?? null,
      index.denied ? 1 : 0,
    );
    if (added > 0) return;
    const there = database
      .query<{ mac: string }, [string, number]>(
        "SELECT mac FROM records WHERE writer = ? AND seq = ?",
      )
      .get(writer, seq);
    if (there?.mac !== mac) {
      throw damaged(file, `another record lies at ${writer} ${seq}; nothing was changed in it`);
    }
  }

  function moveAnchor({ writer, seq, atMs, mac }: ChainedRecord): void {
    run(
      `INSERT INTO writers (writer, swept_seq, swept_mac, last_seq, last_mac, last_at_ms)
       VALUES (?, 0, '', ?, ?, ?)
       ON CONFLICT (writer) DO UPDATE SET
         last_seq = excluded.last_seq, last_mac = excluded.last_mac,
         last_at_ms = excluded.last_at_ms
       WHERE excluded.last_seq > last_seq`,
      writer,
      seq,
      mac,
      atMs,
    );
  }

  function sweepWriter(writer: string, beforeMs: number): number {
    const oldest = database
      .query<{ seq: number; at_ms: number; mac: string }, [string]>(
        `SELECT seq, at_ms, mac FROM records WHERE writer = ? ORDER BY seq LIMIT ${SWEPT_AT_ONCE}`,
      )
      .all(writer);
    const firstKept = oldest.findIndex((record) => record.at_ms >= beforeMs);
    const last = oldest.at(firstKept < 0 ? -1 : firstKept - 1);
    if (firstKept === 0 || last === undefined) return 0;
    run(
      "UPDATE writers SET swept_seq = ?, swept_mac = ? WHERE writer = ?",
      last.seq,
      last.mac,
      writer,
    );
    return run("DELETE FROM records WHERE writer = ? AND seq <= ?", writer, last.seq);
  }

  return {
    append(records) {
      write(() => {
        const newest = new Map<string, ChainedRecord>();
        for (const record of records) {
          appendOne(record);
          if (record.seq > (newest.get(record.writer)?.seq ?? 0)) newest.set(record.writer, record);
        }
        for (const record of newest.values()) moveAnchor(record);
      });
    },

    find(query) {
      const conditions: string[] = [];
      const values: (string | number)[] = [];
      const where = (condition: string, value: string | number | undefined) => {
        if (value === undefined) return;
        conditions.push(condition);
        values.push(value);
      };
      where("at_ms >= ?", query.sinceMs);
      where("at_ms < ?", query.untilMs);
      where("request_id = ?", query.requestId);
      where("subject = ?", query.subject);
      where("route = ?", query.route);
      where("code = ?", query.code);
      // Literals, so that the indexes of these alone are considered.
      if (query.kind !== undefined) {
        conditions.push(query.kind === "act" ? "kind = 'act'" : "kind = 'decision'");
      }
      if (query.denied) conditions.push("denied = 1");
      const filter = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
      return database
        .query<RecordRow, (string | number)[]>(
          `SELECT ${RECORD_COLUMNS} FROM records ${filter} ORDER BY at_ms DESC, id DESC LIMIT ?`,
        )
        .all(...values, query.limit)
        .map(recordOf);
    },

    anchors() {
      return database
        .query<
          {
            writer: string;
            swept_seq: number;
            swept_mac: string;
            last_seq: number;
            last_mac: string;
          },
          []
        >("SELECT * FROM writers ORDER BY last_at_ms, writer")
        .all()
        .map((row) => ({
          writer: row.writer,
          sweptSeq: row.swept_seq,
          sweptMac: row.swept_mac,
          lastSeq: row.last_seq,
          lastMac: row.last_mac,
        }));
    },

    chain(writer, afterSeq, limit) {
      return database
        .query<RecordRow, [string, number, number]>(
          `SELECT ${RECORD_COLUMNS} FROM records WHERE writer = ? AND seq > ? ORDER BY seq LIMIT ?`,
        )
        .all(writer, afterSeq, limit)
        .map(recordOf);
    },

    sweepSome(beforeMs) {
      const writers = database
        .query<{ writer: string }, [number]>(
          `SELECT writer FROM writers WHERE EXISTS (
             SELECT 1 FROM records
             WHERE records.writer = writers.writer AND seq = swept_seq + 1 AND at_ms < ?)`,
        )
        .all(beforeMs);
      for (const { writer } of writers) {
        const removed = write(() => sweepWriter(writer, beforeMs));
        if (removed > 0) return removed;
      }
      return 0;
    },

    forget(nowMs) {
      write(() => {
        run("DELETE FROM revocations WHERE until_ms <= ?", nowMs - FORGOTTEN_AFTER_MS);
        run("DELETE FROM single_values WHERE until_ms <= ?", nowMs);
        run(
          `DELETE FROM writers WHERE swept_seq = last_seq AND writer NOT IN (
             SELECT writer FROM writers ORDER BY last_at_ms DESC LIMIT ?)`,
          MOST_WRITERS,
        );
      });
    },

    revoke(added, nowMs) {
      write(() => {
        const key = [added.kind, added.issuer ?? "", added.value] as const;
        const row = database
          .query<RevocationRow, string[]>(
            "SELECT * FROM revocations WHERE kind = ? AND issuer = ? AND value = ?",
          )
          .get(...key);
        const there = row === null ? undefined : revocationOf(row);
        const merged = there === undefined ? added : mergeRevocations(there, added);
        if (there !== undefined && Bun.deepEquals(there, merged)) return;
        if (there === undefined) {
          run("DELETE FROM revocations WHERE until_ms <= ?", nowMs - FORGOTTEN_AFTER_MS);
          const count = database
            .query<{ count: number }, []>("SELECT count(*) AS count FROM revocations")
            .get();
          if ((count?.count ?? 0) >= MOST_REVOCATIONS) {
            throw unavailable(file, `it holds ${MOST_REVOCATIONS} revocations, which is the most`);
          }
        }
        run(
          "INSERT OR REPLACE INTO revocations VALUES (?, ?, ?, ?, ?, ?, ?)",
          ...key,
          merged.reason,
          merged.author,
          merged.atMs,
          merged.untilMs,
        );
        bumpRevision();
      });
    },

    unrevoke(kind, issuer, value) {
      return write(() => {
        const removed = run(
          "DELETE FROM revocations WHERE kind = ? AND issuer = ? AND value = ?",
          kind,
          issuer ?? "",
          value,
        );
        if (removed > 0) bumpRevision();
        return removed > 0;
      });
    },

    revocations(nowMs) {
      return database
        .query<RevocationRow, [number]>(
          "SELECT * FROM revocations WHERE until_ms > ? ORDER BY at_ms, kind, issuer, value",
        )
        .all(nowMs)
        .map(revocationOf);
    },

    revision() {
      const row = database
        .query<{ id: string; revision: number }, []>("SELECT id, revision FROM store")
        .get();
      if (row === null) throw damaged(file, "a part of it is missing; restore a backup");
      return `${row.id}.${row.revision}`;
    },
  };
}

function recordOf(row: RecordRow): ChainedRecord {
  const { writer, seq, body, mac } = row;
  const index: RecordIndex = {
    kind: row.kind,
    denied: row.denied === 1,
    ...(row.request_id !== null && { requestId: row.request_id }),
    ...(row.subject !== null && { subject: row.subject }),
    ...(row.route !== null && { route: row.route }),
    ...(row.code !== null && { code: row.code }),
  };
  return { writer, seq, atMs: row.at_ms, body, mac, index };
}

function revocationOf(row: RevocationRow): Revocation {
  const { kind, issuer, value, reason, author } = row;
  const times = { atMs: row.at_ms, untilMs: row.until_ms };
  return { kind, ...(issuer !== "" && { issuer }), value, reason, author, ...times };
}
