/**
 * The store that the configuration names.
 *
 * @module
 */
import type { Config } from "../config/resolved.ts";
import { openRedisStore, type StoreDependencies } from "./redis.ts";
import { openSqliteStore } from "./sqlite.ts";
import type { Store } from "./store.ts";

/**
 * Opens it, and makes it where there is none yet.
 *
 * @throws GateError `store_unavailable`, `store_damaged`
 */
export function openStore(config: Config["store"], deps: StoreDependencies): Promise<Store> {
  return config.kind === "sqlite"
    ? openSqliteStore(config.file, deps)
    : openRedisStore(config, deps);
}
