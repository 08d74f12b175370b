/**
 * What lies in a store and whether it is whole: looked at without making, migrating or mending
 * anything.
 *
 * @module
 */
import type { StoreConfig } from "../config/resolved.ts";
import { inspectRedis } from "./redis-inspect.ts";
import { inspectSqlite } from "./sqlite-inspect.ts";

export type StoreReport = {
  readonly kind: "sqlite" | "redis";
  /** A path, or an address without a password. */
  readonly place: string;
  readonly schemaVersion: number;
  /** SQLite: file and log. Redis: all that it holds in memory, for others, too; absent if it may not be asked. */
  readonly bytes?: number;
  readonly records: number;
  /** Each start of a gate is one. */
  readonly writers: number;
  readonly revocations: number;
  readonly sightings: number;
  readonly values: number;
  /** Milliseconds since 1970; absent where there is no record. */
  readonly oldestRecordMs?: number;
};

export type Inspection = {
  readonly report: StoreReport;
  /** What does not hold, one line each; empty unless it was asked for. */
  readonly problems: readonly string[];
};

/**
 * @param depth `check` also reads all of it, or nearly: seconds for a large store.
 * @returns `undefined` if there is no store at that place yet.
 * @throws GateError `store_unavailable`, `store_damaged`
 */
export function inspectStore(
  config: StoreConfig,
  depth: "count" | "check",
): Promise<Inspection | undefined> {
  return config.kind === "sqlite" ? inspectSqlite(config.file, depth) : inspectRedis(config, depth);
}
