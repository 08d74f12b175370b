/**
 * Values that can be taken once, for a short while, by whoever knows their id.
 *
 * @module
 */
import { randomBytes } from "node:crypto";

export type OneTimeStore<T> = {
  /** @returns The id: 256 random bits in base64url. */
  readonly put: (value: T) => string;
  /** The value, once; nothing when the id is unknown, used or too old. */
  readonly take: (id: string) => T | undefined;
};

/**
 * @param limits `most` values are held: the oldest makes room for the newest.
 *   `now` is in milliseconds.
 */
export function createOneTimeStore<T>(limits: {
  readonly most: number;
  readonly lifetimeMs: number;
  readonly now: () => number;
}): OneTimeStore<T> {
  const held = new Map<string, { value: T; expiresAtMs: number }>();
  return {
    put(value) {
      const id = randomBytes(32).toString("base64url");
      held.set(id, { value, expiresAtMs: limits.now() + limits.lifetimeMs });
      // A Map keeps the order of insertion, so its first key is the oldest.
      for (const oldest of held.keys()) {
        if (held.size <= limits.most) break;
        held.delete(oldest);
      }
      return id;
    },
    take(id) {
      const found = held.get(id);
      held.delete(id);
      return found !== undefined && limits.now() < found.expiresAtMs ? found.value : undefined;
    },
  };
}
