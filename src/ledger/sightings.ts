/**
 * What is seen of tokens and sessions: counted in memory while requests go by, and brought to the
 * store in batches, at most once a second. A store that is away makes nobody wait; what it has
 * not taken yet is kept, within bounds.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import { GateError } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import type { Sighting, SightingQuery, Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { History, Token } from "../types.ts";
import { createKeyUses } from "./key-use.ts";
import { lintToken } from "./lint.ts";
import { packHistory } from "./packed-history.ts";
import type { Revocations } from "./revocations.ts";
import {
  type Entry,
  failed,
  historyOf,
  neverSeen,
  newEntry,
  noteRequest,
  type Seen,
  sent,
  takeFresh,
} from "./sighting-entry.ts";
import { openSightingSweeper } from "./sighting-sweep.ts";
import type { TokenHash } from "./token-hash.ts";

export type Sightings = {
  /** On the way of every request: never waits, never throws. */
  note(seen: Seen): void;
  /**
   * What is known of this token or session, the request at hand not counted. From memory; what
   * other gates have seen is looked up at most once a second.
   *
   * @throws GateError `store_unavailable` when the store was needed and did not answer.
   */
  history(token: Token): Promise<History>;
  /** What is not stored yet included. @throws GateError `store_unavailable` */
  list(query: SightingQuery): Promise<readonly Sighting[]>;
  /** Tokens and sessions held in memory. */
  count(): number;
  /** Stores what was noted before. @throws GateError `store_unavailable`; it is kept then. */
  flush(): Promise<void>;
  /** Stores what is left, for up to 5 s; what then remains is lost, and told. */
  close(): Promise<void>;
};

export type SightingDependencies = {
  readonly store: Pick<Store, "noteSightings" | "sightings" | "sweepSightings">;
  readonly tokenHash: Pick<TokenHash, "of">;
  readonly signedOutAt: Revocations["signedOutAt"];
  readonly now: () => number;
  /** Kept beyond a token's expiry; read at each use, so that a reload can change it. */
  readonly retainMs: () => number;
  readonly log: Pick<Log, "event">;
  /** A clock that nobody sets, in milliseconds. */
  readonly uptimeMs?: () => number;
  readonly limits?: SightingLimits;
};

type SightingLimits = {
  /** Tokens and sessions held at once. */
  readonly entries: number;
  /** How long a store may take to tell a history. */
  readonly answerMs: number;
  readonly closeMs: number;
};

const LIMITS: SightingLimits = { entries: 200_000, answerMs: 2_000, closeMs: 5_000 };
const FLUSH_MS = 1_000;
/** Copying a batch to the store's Worker holds the event loop: these take about a millisecond. */
const BATCH = 200;
/** A store that has not said within this time what became of a batch will not say it any more. */
const FATE_MS = 60_000;
/** How old what others have seen may be. */
const REREAD_MS = 1_000;
/** For so long what is known here will do, should the store be away; as for revocations. */
const WILL_DO_MS = 30_000;
/** As long as that, a request waits only so long for news. */
const NEWS_MS = 100;
/** Histories that are looked up at once. */
const MOST_READS = 1_000;
const LAST_RETRY_MS = 100;
/** How often losses are told. */
const TELL_MS = 60_000;

export function openSightings(deps: SightingDependencies): Sightings {
  const { store, tokenHash, signedOutAt, now, log } = deps;
  const { uptimeMs = () => performance.now(), limits = LIMITS } = deps;
  /** What has to go from here while it is dirty is stored nevertheless. */
  const entries = new LRUCache<string, Entry>({ max: limits.entries });
  const dirty = new Set<Entry>();
  const keyUses = createKeyUses();
  const sweeper = openSightingSweeper({ ...deps, forget });
  let timer: ReturnType<typeof setTimeout> | undefined;
  /** Never rejects. */
  let flushing: Promise<void> | undefined;
  /** The batch that is on its way; never rejects. */
  let saving: Promise<void> | undefined;
  let fault: unknown;
  let reads = 0;
  let lost = 0;
  let toldLossMs = Number.NEGATIVE_INFINITY;
  let isClosed = false;

  const idOf = (token: Token) => token.session ?? tokenHash.of(token);

  function admit(id: string, token: Token): Entry {
    const { signedBy, issuer, issuedAt } = token;
    const kid = signedBy?.kid;
    const isDated = kid !== undefined && issuedAt !== undefined;
    const key = isDated ? keyUses.note(issuer, kid, issuedAt) : undefined;
    const entry = newEntry({ id, token, lint: lintToken(token, now()), key });
    entries.set(id, entry);
    return entry;
  }

  function lose(count: number): void {
    lost += count;
    if (uptimeMs() - toldLossMs < TELL_MS) return;
    const message = `what was seen of tokens is lost: the store does not take it, and no more than ${limits.entries} are kept in memory`;
    log.event("warn", "sightings_lost", message, { count: lost });
    toldLossMs = uptimeMs();
    lost = 0;
  }

  function markDirty(entry: Entry): void {
    if (dirty.size >= limits.entries) {
      entry.fresh = undefined;
      lose(1);
      return;
    }
    dirty.add(entry);
    startTimer();
  }

  function startTimer(): void {
    if (timer !== undefined || isClosed) return;
    timer = setTimeout(() => {
      timer = undefined;
      void flushOnce().finally(() => {
        if (dirty.size > 0) startTimer();
      });
    }, FLUSH_MS);
    timer.unref();
  }

  /** One at a time. */
  function flushOnce(): Promise<void> {
    flushing ??= flushAll([...dirty]).finally(() => {
      flushing = undefined;
    });
    return flushing;
  }

  async function flushAll(all: readonly Entry[]): Promise<void> {
    try {
      for (let at = 0; at < all.length; at += BATCH) {
        // What is being read must be read whole: its part goes with the next batch.
        await save(all.slice(at, at + BATCH).filter((entry) => entry.reading === undefined));
      }
      if (fault !== undefined) log.event("info", "sightings_stored", "the store takes them again");
      fault = undefined;
    } catch (cause) {
      if (fault === undefined) {
        const why = cause instanceof Error ? cause.message : String(cause);
        const message = `what was seen of tokens cannot be stored, and is kept in memory: ${why}`;
        log.event("warn", "sightings_unsaved", message);
      }
      fault = cause;
    }
  }

  async function save(batch: readonly Entry[]): Promise<void> {
    const sightings: Sighting[] = [];
    const taken = batch.filter((entry) => {
      dirty.delete(entry);
      const sighting = takeFresh(entry);
      if (sighting !== undefined) sightings.push(sighting);
      return sighting !== undefined;
    });
    if (sightings.length === 0) return;
    const saved = Promise.withResolvers<void>();
    saving = saved.promise;
    try {
      await within(store.noteSightings(sightings), FATE_MS);
      for (const entry of taken) sent(entry);
    } catch (cause) {
      for (const entry of taken) {
        failed(entry);
        dirty.add(entry);
      }
      throw cause;
    } finally {
      saved.resolve();
    }
  }

  async function flush(): Promise<void> {
    await flushing;
    await flushOnce();
    const underWay = Array.from(dirty, ({ reading }) => reading).filter(Boolean);
    if (fault === undefined && underWay.length > 0) {
      await Promise.allSettled(underWay);
      await flushOnce();
    }
    if (fault !== undefined) throw fault;
  }

  /** A store that is just starting anew gets another chance, and another. */
  async function flushLast(isLate: () => boolean): Promise<void> {
    for (;;) {
      try {
        return await flush();
      } catch (cause) {
        if (isLate()) throw cause;
      }
      await new Promise((resolve) => setTimeout(resolve, LAST_RETRY_MS));
    }
  }

  /** One at a time for each entry, whoever asks. */
  function read(entry: Entry): Promise<void> {
    if (entry.reading !== undefined) return entry.reading;
    if (reads >= MOST_READS) {
      const message = `the histories of ${MOST_READS} tokens are being looked up already`;
      return Promise.reject(new GateError("store_unavailable", message));
    }
    reads += 1;
    entry.reading = within(readNow(entry), limits.answerMs).finally(() => {
      reads -= 1;
      entry.reading = undefined;
    });
    return entry.reading;
  }

  async function readNow(entry: Entry): Promise<void> {
    const askedMs = uptimeMs();
    // A part that is on its way would be counted twice or not at all.
    if (entry.sending !== undefined) await saving;
    const [stored] = await store.sightings({ id: entry.id, limit: 1 });
    // Nobody waits any more, and meanwhile a part may have been sent.
    if (uptimeMs() - askedMs > limits.answerMs || entry.sending !== undefined) {
      throw new GateError("store_unavailable", "the store's answer came too late");
    }
    entry.known = stored === undefined ? undefined : packHistory(stored);
    entry.readAtMs = askedMs;
  }

  async function refresh(entry: Entry): Promise<void> {
    const ageMs = uptimeMs() - (entry.readAtMs ?? Number.NEGATIVE_INFINITY);
    if (ageMs < REREAD_MS) return;
    const reading = read(entry);
    if (ageMs > WILL_DO_MS) return reading;
    // What is known will do for now.
    await inTime(reading, NEWS_MS, () => undefined).catch(() => undefined);
  }

  function forget(beforeMs: number): void {
    for (const [id, { expiresAtMs }] of entries) if (expiresAtMs < beforeMs) entries.delete(id);
  }

  return {
    note(seen) {
      const id = idOf(seen.token);
      if (id === undefined) return;
      const entry = entries.get(id) ?? admit(id, seen.token);
      const isClean = entry.fresh === undefined;
      noteRequest(entry, seen, now());
      if (isClean) markDirty(entry);
    },
    async history(token) {
      const id = idOf(token);
      if (id === undefined) return neverSeen(now());
      const entry = entries.get(id) ?? admit(id, token);
      await refresh(entry);
      const history = historyOf(entry, now());
      const signedOutMs = signedOutAt(token);
      return signedOutMs === undefined ? history : { ...history, signedOutMs };
    },
    async list(query) {
      await flush();
      return store.sightings(query);
    },
    count: () => entries.size,
    flush,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      sweeper.close();
      let isLate = false;
      await within(
        flushLast(() => isLate),
        limits.closeMs,
      ).catch((cause: unknown) => {
        isLate = true;
        const why = cause instanceof Error ? cause.message : String(cause);
        const message = `what was last seen of tokens is not stored, and ends with this process: ${why}`;
        log.event("warn", "sightings_lost", message, { count: dirty.size });
      });
    },
  };
}

/** @throws GateError `store_unavailable` if it takes longer. */
function within<T>(asked: Promise<T>, ms: number): Promise<T> {
  return inTime(asked, ms, () => {
    throw new GateError("store_unavailable", `the store did not answer within ${ms / 1_000} s`);
  });
}
