/**
 * What policies keep between requests: one cache for each policy, gone with the next reload, and
 * one for each case, so that no example ever decides about a request.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import { freezePlainData } from "./freeze.ts";
import type { LoadedPolicy } from "./load.ts";
import { asGate, type Scope, scopes } from "./scope.ts";

type Entry = {
  readonly value: unknown;
  /** On the clock that nobody sets. */
  readonly loadedAt: number;
  /** After a load that failed while this one serves. */
  retryAt: number;
};

export type Cache = {
  readonly entries: LRUCache<string, Entry>;
  /** Under way; each waited for by whoever needs it. */
  readonly loads: Map<string, Promise<unknown>>;
};

type CacheRule = {
  readonly ttlMs: number;
  /** For how long beyond `ttlMs` a value serves where no newer one can be had. */
  readonly staleForMs: number;
};

const ENTRIES_LIMIT = 1_000;
const LOADS_LIMIT = 64;
const KEY_LIMIT = 512;
/** Well over the time limit of policies: a slow source is there for the next request. */
const LOAD_LIMIT_MS = 10_000;
/** How often a source that fails is asked again while old values serve. */
const RETRY_MS = 5_000;

export function openCache(): Cache {
  return { entries: new LRUCache({ max: ENTRIES_LIMIT }), loads: new Map() };
}

const caches = new WeakMap<LoadedPolicy, Cache>();

/** A set loaded anew has policies anew, and so this begins empty. */
function cacheOf(policy: LoadedPolicy): Cache {
  let cache = caches.get(policy);
  if (cache === undefined) {
    cache = openCache();
    caches.set(policy, cache);
  }
  return cache;
}

/**
 * @returns The value under that key, loaded if need be. Rejects with what `load` throws.
 * @throws If no evaluation is under way, or the key is none.
 */
export async function recall(
  key: string,
  { ttlMs, staleForMs }: CacheRule,
  load: () => unknown,
): Promise<unknown> {
  const scope = scopes.getStore();
  if (scope === undefined) throw new Error("cached() works while a policy is asked, not elsewhere");
  if (typeof key !== "string" || key === "" || key.length > KEY_LIMIT) {
    throw new RangeError(`cached() wants a key of 1 to ${KEY_LIMIT} characters`);
  }
  const cache = scope.question.cache ?? cacheOf(scope.policy);
  const now = performance.now();
  const entry = cache.entries.get(key);
  if (entry !== undefined && now < entry.loadedAt + ttlMs) return entry.value;

  const serves = entry !== undefined && now < entry.loadedAt + ttlMs + staleForMs;
  if (!serves) return cache.loads.get(key) ?? begin(key, load, cache, scope);
  if (now < entry.retryAt) return entry.value;
  const fresh = cache.loads.get(key) ?? begin(key, load, cache, scope);
  // Half of the time limit: there must be some left to decide with what is old.
  return asGate(() => freshOr(entry, fresh, scope.timeoutMs / 2));
}

function begin(key: string, load: () => unknown, cache: Cache, scope: Scope): Promise<unknown> {
  const outer = scope.load?.keys ?? [];
  if (outer.includes(key)) throw new Error("cached() waits for itself: its load asks for its key");
  if (cache.loads.size >= LOADS_LIMIT) {
    throw new Error(`more than ${LOADS_LIMIT} loads of cached() at once`);
  }
  const aborter = new AbortController();
  const within = { ...scope, load: { signal: aborter.signal, keys: [...outer, key] } };
  // First of all, so that a load that is cut or throws at once leaves nothing behind.
  const answer = scopes.run(within, load);
  return asGate(() => {
    const loading = settledInTime(answer, aborter).then(
      (value) => {
        cache.loads.delete(key);
        cache.entries.set(key, { value, loadedAt: performance.now(), retryAt: 0 });
        return value;
      },
      (error: unknown) => {
        cache.loads.delete(key);
        const stale = cache.entries.peek(key);
        if (stale !== undefined) stale.retryAt = performance.now() + RETRY_MS;
        throw error;
      },
    );
    loading.catch(leaveToWaiting);
    cache.loads.set(key, loading);
    return loading;
  });
}

/** Whoever waits gets the error; if all have gone meanwhile, it is nobody's. */
function leaveToWaiting(): void {}

function settledInTime(answer: unknown, aborter: AbortController): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const late = new Error(`a load of cached() has not ended within ${LOAD_LIMIT_MS / 1_000} s`);
      aborter.abort(late);
      reject(late);
    }, LOAD_LIMIT_MS);
    timer.unref();
    Promise.resolve(answer).then(
      (value) => {
        clearTimeout(timer);
        if (value instanceof Response) {
          reject(new TypeError("cached() keeps data: read the answer in its load"));
        } else resolve(freezePlainData(value));
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** The fresh value if it comes in time, else the old one. Never rejects. */
function freshOr(entry: Entry, fresh: Promise<unknown>, waitMs: number): Promise<unknown> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(entry.value), waitMs);
    const settle = (value: unknown) => {
      clearTimeout(timer);
      resolve(value);
    };
    fresh.then(settle, () => settle(entry.value));
  });
}
