/**
 * A Redis store as tests open it, and what they ask of it.
 *
 * @module
 */
import { openRedisStore } from "../../src/store/redis.ts";
import type { Store } from "../../src/store/store.ts";

export const now = () => 2_000;

export function openAt(url: string, prefix = "cg:"): Promise<Store> {
  return openRedisStore({ kind: "redis", url, prefix }, { now });
}

export function take(store: Store, ...wanted: readonly (readonly [string, number, number])[]) {
  return store.takeTokens?.(
    wanted.map(([key, limit, perMs]) => ({ key, bucket: { limit, perMs } })),
  );
}

/** @returns The fault's message, or `no fault`. */
export async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "no fault",
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}
