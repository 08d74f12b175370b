/**
 * What was seen of tokens and sessions, in SQLite. Runs in the Worker.
 *
 * @module
 */
import type { Database } from "bun:sqlite";
import { mergeSightings } from "./merge-sighting.ts";
import { fitsSighting } from "./sighting-query.ts";
import { MOST_SIGHTINGS, type Sighting, type SightingQuery } from "./store.ts";

export type SightingOperations = {
  noteSightings(batch: readonly Sighting[]): void;
  findSightings(query: SightingQuery): readonly Sighting[];
  /** @returns How many were removed; 0 when nothing is left to do. */
  sweepSomeSightings(beforeMs: number): number;
};

type BodyRow = { readonly body: string };

/** Removed in one transaction, so that those who wait to write wait milliseconds. */
const SWEPT_AT_ONCE = 5_000;
/** So many new ones come between two looks at how many there are: counting reads an index whole. */
const COUNTED_EVERY = 20_000;

/** @param most How many the store holds. */
export function openSightingOperations(
  database: Database,
  most: number = MOST_SIGHTINGS,
): SightingOperations {
  const write = <T>(work: () => T): T => database.transaction(work).immediate();
  let room = 0;

  function noteOne(added: Sighting): void {
    const row = database
      .query<BodyRow, [string]>("SELECT body FROM sightings WHERE id = ?")
      .get(added.id);
    const all = mergeSightings(row === null ? undefined : JSON.parse(row.body), added);
    if (row === null) room -= 1;
    database
      .query(
        `INSERT INTO sightings VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET
           until_ms = excluded.until_ms, last_ms = excluded.last_ms,
           is_unusual = excluded.is_unusual, has_lint = excluded.has_lint, body = excluded.body`,
      )
      .run(
        all.id,
        all.subject.toWellFormed(),
        all.expiresAtMs,
        all.lastMs,
        all.kind === "session" ? 1 : 0,
        all.unusual.length > 0 ? 1 : 0,
        all.lint.length > 0 ? 1 : 0,
        JSON.stringify(all),
      );
  }

  function makeRoom(): void {
    const row = database
      .query<{ count: number }, []>("SELECT count(*) AS count FROM sightings")
      .get();
    const surplus = (row?.count ?? 0) - most;
    if (surplus > 0) {
      database
        .query(
          `DELETE FROM sightings WHERE id IN (
             SELECT id FROM sightings ORDER BY until_ms LIMIT ?)`,
        )
        .run(surplus);
    }
    room = Math.min(COUNTED_EVERY, Math.max(0, -surplus));
  }

  return {
    noteSightings(batch) {
      write(() => {
        for (const added of batch) noteOne(added);
        if (room <= 0) makeRoom();
      });
    },

    findSightings(query) {
      const { conditions, values } = conditionsOf(query);
      const filter = conditions.length === 0 ? "" : `WHERE ${conditions.join(" AND ")}`;
      const rows = database.query<BodyRow, (string | number)[]>(
        `SELECT body FROM sightings ${filter} ORDER BY last_ms DESC`,
      );
      const found: Sighting[] = [];
      if (query.limit < 1) return found;
      for (const { body } of rows.iterate(...values)) {
        const sighting: Sighting = JSON.parse(body);
        if (fitsSighting(sighting, query)) found.push(sighting);
        if (found.length >= query.limit) break;
      }
      return found;
    },

    sweepSomeSightings(beforeMs) {
      return write(
        () =>
          database
            .query(
              `DELETE FROM sightings WHERE id IN (
                 SELECT id FROM sightings WHERE until_ms < ? LIMIT ${SWEPT_AT_ONCE})`,
            )
            .run(beforeMs).changes,
      );
    },
  };
}

/** What there are columns for; `fitsSighting` sees to the rest. */
function conditionsOf({ id, subject, kind, having, activeAtMs }: SightingQuery) {
  const conditions: string[] = [];
  const values: (string | number)[] = [];
  const add = (condition: string, ...more: (string | number)[]) => {
    conditions.push(condition);
    values.push(...more);
  };
  if (id !== undefined) add("id = ?", id);
  if (subject !== undefined) add("subject = ?", subject.toWellFormed());
  if (kind !== undefined) add(kind === "session" ? "is_session = 1" : "is_session = 0");
  if (having !== undefined) add(having === "unusual" ? "is_unusual = 1" : "has_lint = 1");
  if (activeAtMs !== undefined) add("until_ms > ?", activeAtMs);
  return { conditions, values };
}
