/**
 * Single values that end by themselves, in SQLite. Runs in the Worker.
 *
 * @module
 */
import type { Database } from "bun:sqlite";
import { unavailable } from "./sqlite-fault.ts";
import { MOST_VALUES } from "./store.ts";

/** Always; only where there is none; only where it is what the caller expects. */
export type WriteCondition = "any" | "new" | { readonly expected: string };

type Written = {
  readonly key: string;
  readonly value: string;
  readonly untilMs: number;
  readonly when: WriteCondition;
};

export type ValueOperations = {
  getValue(key: string, nowMs: number): string | undefined;
  /** @returns Whether it was written. */
  writeValue(written: Written, nowMs: number): boolean;
  takeValue(key: string, nowMs: number): string | undefined;
};

/** So many new ones come between two looks at how many there are: counting reads an index whole. */
const COUNTED_EVERY = 1_000;

/** @param most How many the store holds. */
export function openValueOperations(
  file: string,
  database: Database,
  most: number = MOST_VALUES,
): ValueOperations {
  const write = <T>(work: () => T): T => database.transaction(work).immediate();
  let room = 0;

  function getValue(key: string, nowMs: number): string | undefined {
    const row = database
      .query<{ value: string }, [string, number]>(
        "SELECT value FROM single_values WHERE key = ? AND until_ms > ?",
      )
      .get(key, nowMs);
    return row?.value;
  }

  function makeRoom(nowMs: number): void {
    database.query("DELETE FROM single_values WHERE until_ms <= ?").run(nowMs);
    const row = database
      .query<{ count: number }, []>("SELECT count(*) AS count FROM single_values")
      .get();
    room = Math.min(COUNTED_EVERY, most - (row?.count ?? 0));
    if (room > 0) return;
    throw unavailable(file, `it holds ${most} sessions and single values, which is the most`);
  }

  const remove = (key: string) =>
    void database.query("DELETE FROM single_values WHERE key = ?").run(key);

  return {
    getValue,

    writeValue({ key, value, untilMs, when }, nowMs) {
      return write(() => {
        const there = getValue(key, nowMs);
        if (when === "new" && there !== undefined) return false;
        if (typeof when === "object" && there !== when.expected) return false;
        if (untilMs <= nowMs) {
          remove(key);
          return true;
        }
        if (there === undefined) {
          if (room <= 0) makeRoom(nowMs);
          room -= 1;
        }
        database
          .query("INSERT OR REPLACE INTO single_values VALUES (?, ?, ?)")
          .run(key, untilMs, value);
        return true;
      });
    },

    takeValue(key, nowMs) {
      if (getValue(key, nowMs) === undefined) return undefined;
      return write(() => {
        const there = getValue(key, nowMs);
        remove(key);
        return there;
      });
    },
  };
}
