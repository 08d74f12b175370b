/**
 * The store for a fleet: several gates on one Redis 7 or Valkey act as one.
 *
 * **Durability.** What `append`, `revoke` and `unrevoke` resolved for is in Redis' memory, and as
 * safe as its own settings make it: with `appendfsync everysec` (AOF) a crash of Redis loses at
 * most a second, with snapshots alone more, and a failover what the replica had not received.
 * `revision` shows when Redis is another one than before.
 *
 * @module
 */
import type { RedisClient } from "bun";
import type { StoreConfig } from "../config/resolved.ts";
import { countsByMoment } from "./merge.ts";
import { fault, isPassing } from "./redis-fault.ts";
import { openLink, type RedisLink } from "./redis-link.ts";
import {
  ANCHORS,
  APPEND,
  BEGIN_SWEEP,
  FIND_PAGE,
  REVISION,
  REVOKE,
  SCAN_REVOCATIONS,
  type Script,
  SECRET,
  SWEEP_SOME,
  TAKE,
  UNREVOKE,
} from "./redis-scripts.ts";
import { openRedisSightings } from "./redis-sightings.ts";
import { openRedisValues } from "./redis-values.ts";
import {
  type ChainedRecord,
  FORGOTTEN_AFTER_MS,
  MOST_REVOCATIONS,
  MOST_WRITERS,
  type RecordIndex,
  type RecordQuery,
  type Revocation,
  type Store,
} from "./store.ts";

type RedisConfig = Extract<StoreConfig, { kind: "redis" }>;

/** Records read in one go: a few ms of Redis' time. */
const PAGE = 500;
/** Index entries that one query looks at before it ends with what it has found. */
const MOST_LOOKED_AT = 1_000_000;
/** Longer values are hashed, so that a key's length is bounded. */
const LONGEST_IN_KEY = 64;

export type StoreDependencies = {
  readonly now: () => number;
  /**
   * What becomes of a Redis that cannot be reached just now: it is refused, or opened all the
   * same, and found by itself once it is there. Until then all that is asked of it fails.
   */
  readonly whenDown?: "refuse" | "wait";
};

/** [id, [field, value, …]], in the order in which APPEND writes them. */
type StreamEntry = readonly [id: string, fields: readonly string[]];

/**
 * @throws GateError `store_unavailable` (not reached, wrong password, evicts keys as it likes) or
 *   `store_damaged` (newer than we know, or another program's keys).
 */
export async function openRedisStore(
  { url, prefix }: RedisConfig,
  { now, whenDown = "refuse" }: StoreDependencies,
): Promise<Store> {
  const where = nameOf(url);
  const listeners: (() => void)[] = [];
  const notify = () => {
    for (const listener of listeners) listener();
  };
  let subscription: RedisLink | undefined;
  // What has cut off one connection has cut off the other, which could not tell by itself.
  const link = openLink({
    url,
    where,
    prepare: (client) => refuseEviction(client, where),
    onReturn: notify,
    onLoss: () => subscription?.reset(),
  });
  const run = (script: Script, ...args: (string | number)[]) =>
    // The id is for a place that turns out to be empty, each time it does.
    link.run(script, [`${prefix}meta`], [prefix, crypto.randomUUID(), ...args.map(String)]);
  try {
    await link.first;
    await run(REVISION);
  } catch (error) {
    if (whenDown === "refuse" || !isPassing(error)) {
      link.close();
      throw error;
    }
  }

  /** Newest first, from the time `until` (a bound as Redis writes it), without the first `skip`. */
  async function findPage(index: string, until: string, since: string, skip: number) {
    const page = await run(FIND_PAGE, index, until, since, skip, PAGE);
    return page as readonly (readonly [member: string, at: string, entry: StreamEntry | null])[];
  }

  return {
    kind: "redis",

    async append(records) {
      if (records.length === 0) return;
      const args = records.flatMap(({ writer, seq, atMs, mac, body, index }) => {
        const names = JSON.stringify(indexesOf(index));
        return [writer, seq, atMs, mac, body, JSON.stringify(index), names];
      });
      await run(APPEND, ...args);
    },

    async find(query) {
      const found: ChainedRecord[] = [];
      const index = narrowestIndex(query);
      const since = String(query.sinceMs ?? "-inf");
      let until = query.untilMs === undefined ? "+inf" : `(${query.untilMs}`;
      let ofLast = new Set<string>(); // those of the page's last moment: the next begins with them
      for (let lookedAt = 0; lookedAt < MOST_LOOKED_AT; lookedAt += PAGE) {
        const page = await findPage(index, until, since, ofLast.size);
        for (const [member, at, entry] of page) {
          if (at !== until) ofLast = new Set();
          until = at;
          if (ofLast.has(member)) continue; // a new one has moved it to this page as well
          ofLast.add(member);
          if (entry === null) continue; // swept
          const record = recordOf(member.slice(0, member.lastIndexOf(":")), entry);
          if (fits(record, query)) found.push(record);
          if (found.length === query.limit) return found;
        }
        if (page.length < PAGE) break;
      }
      return found;
    },

    async anchors() {
      const rows = (await run(ANCHORS)) as readonly (readonly string[])[];
      return rows.map(([writer = "", sweptSeq, sweptMac = "", lastSeq, lastMac = ""]) => {
        return { writer, sweptSeq: Number(sweptSeq), sweptMac, lastSeq: Number(lastSeq), lastMac };
      });
    },

    async chain(writer, afterSeq, limit) {
      const key = `${prefix}chain:${writer}`;
      const args = [key, `${afterSeq + 1}-0`, "+", "COUNT", String(limit)];
      const entries = (await link.send("XRANGE", args)) as readonly StreamEntry[];
      return entries.map((entry) => recordOf(writer, entry));
    },

    async sweep(beforeMs) {
      const nowMs = now();
      const forgottenMs = nowMs - FORGOTTEN_AFTER_MS;
      const writers = await run(BEGIN_SWEEP, beforeMs, nowMs, forgottenMs, MOST_WRITERS);
      let swept = 0;
      for (const writer of writers as readonly string[]) {
        for (let part = PAGE; part === PAGE; swept += part) {
          part = Number(await run(SWEEP_SOME, writer, beforeMs, PAGE));
        }
      }
      return swept;
    },

    async revoke(revocation) {
      const { kind, issuer, value, atMs, untilMs } = revocation;
      const counts = countsByMoment(kind) ? "later" : "earlier";
      const field = fieldOf(kind, issuer, value);
      // Lua reads the time alone: its reader of JSON breaks off at half a character.
      const json = JSON.stringify(Object.assign({ atMs }, revocation));
      const forgottenMs = now() - FORGOTTEN_AFTER_MS;
      await run(REVOKE, field, atMs, untilMs, json, counts, forgottenMs, MOST_REVOCATIONS);
    },

    unrevoke: async (kind, issuer, value) =>
      (await run(UNREVOKE, fieldOf(kind, issuer, value))) === 1,

    async revocations(nowMs) {
      const found = new Map<string, Revocation>();
      let cursor = "0";
      do {
        const page = (await run(SCAN_REVOCATIONS, cursor, PAGE)) as readonly string[];
        cursor = page[0] ?? "0";
        for (let at = 1; at < page.length; at += 3) {
          const untilMs = Number(page[at + 2]);
          if (untilMs <= nowMs) continue;
          found.set(page[at] ?? "", { ...JSON.parse(page[at + 1] ?? ""), untilMs });
        }
      } while (cursor !== "0");
      return [...found]
        .sort(([one, { atMs }], [other, next]) => atMs - next.atMs || (one < other ? -1 : 1))
        .map(([, revocation]) => revocation);
    },

    revision: async () => String(await run(REVISION)),

    async secret(name, fresh) {
      const kept = await run(SECRET, `secret:${name}`, Buffer.from(fresh).toString("base64url"));
      return Buffer.from(String(kept), "base64url");
    },

    onRevocation(listener) {
      listeners.push(listener);
      subscription ??= subscribe(url, where, `${prefix}revocations`, notify);
    },

    ...openRedisSightings(run, now),
    ...openRedisValues(run, now),

    async takeTokens(wanted) {
      const buckets = wanted.map(({ key }) => `${prefix}bucket:${hash(key)}`);
      const sizes = wanted.flatMap(({ bucket: { limit, perMs } }) => [limit, perMs].map(String));
      const answer = (await link.run(TAKE, buckets, sizes)) as readonly number[];
      return wanted.map((_, at) => {
        const [allowed, remaining = 0, retryMs = 0] = answer.slice(3 * at);
        return { allowed: allowed === 1, remaining, retryMs };
      });
    },

    async close() {
      subscription?.close();
      link.close();
    },
  };
}

/** A subscribed connection takes no other commands, so it is one of its own. */
function subscribe(url: string, where: string, channel: string, notify: () => void): RedisLink {
  const subscription = openLink({
    url,
    where,
    prepare: (client) => client.subscribe(channel, notify),
    onReturn: notify, // what was published meanwhile has not come through
  });
  // Tried again by itself; whoever waits for a change polls the revision besides.
  subscription.first.catch(() => undefined);
  return subscription;
}

/**
 * A Redis that may evict any key would drop revocations without a word.
 *
 * @throws GateError `store_unavailable`
 */
async function refuseEviction(client: RedisClient, where: string): Promise<void> {
  // An access list may forbid the question; that is no reason to refuse.
  const info = String(await client.send("INFO", ["memory"]).catch(() => ""));
  const isBounded = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0) > 0;
  const policy = /^maxmemory_policy:([a-z-]+)/m.exec(info)?.[1] ?? "";
  if (!isBounded || !policy.startsWith("allkeys-")) return;
  const why = `it evicts keys, revocations among them (${policy}); set maxmemory-policy noeviction`;
  throw fault("store_unavailable", where, why);
}

/** `rediss://host:6380`, without user, password and what follows. */
function nameOf(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host === "" ? pathname : host}`;
}

function fieldOf(kind: Revocation["kind"], issuer: string | undefined, value: string): string {
  return JSON.stringify([kind, issuer ?? "", value]);
}

function hash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("base64url");
}

const indexName = (kind: string, value: string) =>
  `${kind}:${value.length > LONGEST_IN_KEY ? hash(value) : value}`;

/** Everything a record can be found by. */
function indexesOf(index: RecordIndex): readonly string[] {
  const { kind, requestId, subject, route, code, denied } = index;
  const names = ["all"];
  if (kind === "act") names.push("act");
  if (denied) names.push("denied");
  if (requestId !== undefined) names.push(indexName("request", requestId));
  if (subject !== undefined) names.push(indexName("subject", subject));
  if (route !== undefined) names.push(indexName("route", route));
  if (code !== undefined) names.push(indexName("code", code));
  return names;
}

function narrowestIndex({ kind, requestId, subject, route, code, denied }: RecordQuery): string {
  if (requestId !== undefined) return indexName("request", requestId);
  if (subject !== undefined) return indexName("subject", subject);
  if (code !== undefined) return indexName("code", code);
  if (kind === "act") return "act";
  if (denied) return "denied";
  return route === undefined ? "all" : indexName("route", route);
}

/** The times are the index's own bounds. */
function fits({ index }: ChainedRecord, query: RecordQuery): boolean {
  const { kind, requestId, subject, route, code, denied } = query;
  return (
    (kind === undefined || index.kind === kind) &&
    (requestId === undefined || index.requestId === requestId) &&
    (subject === undefined || index.subject === subject) &&
    (route === undefined || index.route === route) &&
    (code === undefined || index.code === code) &&
    (denied === undefined || index.denied)
  );
}

function recordOf(writer: string, [id, fields]: StreamEntry): ChainedRecord {
  const [, at, , mac = "", , body = "", , index = "{}"] = fields;
  return {
    writer,
    seq: Number(id.slice(0, id.indexOf("-"))),
    atMs: Number(at),
    body,
    mac,
    index: JSON.parse(index),
  };
}
