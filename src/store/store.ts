/**
 * Where audit, revocations, sightings and sessions live. One interface, two implementations that pass one
 * contract suite: SQLite for one machine, Redis for a fleet.
 *
 * Nothing here is called while a request waits, but for `takeTokens` on Redis, and for a session
 * or a history that this process does not know yet.
 *
 * @module
 */
import type { Trace } from "../types.ts";

/**
 * A token by issuer and `jti`, a token by its keyed hash, a subject, an issuer, a session of this
 * gate by its public id; `logout`: sessions that the provider has ended, by its `sid`, or all of a
 * `sub` that began before, and never a bearer token.
 */
export type RevocationKind = "jti" | "token" | "subject" | "issuer" | "session" | "logout";

/** A revocation: what is refused, since when, until when. */
export type Revocation = {
  /** What it names: a token by issuer and `jti`, a token by its keyed hash, a subject, an issuer. */
  readonly kind: RevocationKind;
  /** The `iss` claim, byte for byte: names may change, and differ between gates. Absent for kinds `token` and `session`. */
  readonly issuer?: string;
  /** `jti`, keyed hash, `sub`, a session's public id, `sid:…` or `sub:…`; empty for kind `issuer`. */
  readonly value: string;
  readonly reason: string;
  /** Who did it: `cli`, `admin`, `policy NAME`. */
  readonly author: string;
  readonly atMs: number;
  /** When it may be forgotten, because every token it could hit has expired. */
  readonly untilMs: number;
};

/**
 * Kept for so long beyond its `untilMs`: a clock that ran ahead and was set back must not have
 * dropped what is in force again.
 */
export const FORGOTTEN_AFTER_MS = 24 * 60 * 60_000;

/** A store refuses to hold more revocations than this. */
export const MOST_REVOCATIONS = 200_000;

/** Anchors of writers without a record left go, oldest first, once there are more than this. */
export const MOST_WRITERS = 10_000;

/** Sightings beyond this go, those that expired first before others. */
export const MOST_SIGHTINGS = 1_000_000;

/** A store refuses to hold more single values than this (at most a thousand more for each gate). */
export const MOST_VALUES = 500_000;

export const LONGEST_VALUE_KEY = 256;
export const LONGEST_VALUE_BYTES = 64 * 1024;

/** One link of a writer's chain, as it lies in the store. */
export type ChainedRecord = {
  /** Random for each start of a gate. */
  readonly writer: string;
  /** From 1, without gaps. */
  readonly seq: number;
  readonly atMs: number;
  /** The record as JSON: exactly the bytes that the MAC covers. */
  readonly body: string;
  /** HMAC-SHA256 over the former MAC and this body, base64url. */
  readonly mac: string;
  /** For queries only; the body is what counts. */
  readonly index: RecordIndex;
};

export type RecordIndex = {
  readonly kind: "decision" | "act";
  readonly requestId?: string;
  readonly subject?: string;
  readonly route?: string;
  readonly code?: string;
  readonly denied: boolean;
};

export type RecordQuery = {
  /** At this time or later. */
  readonly sinceMs?: number;
  /** Before this time. */
  readonly untilMs?: number;
  readonly requestId?: string;
  readonly subject?: string;
  readonly route?: string;
  readonly code?: string;
  readonly kind?: "decision" | "act";
  readonly denied?: true;
  /** Newest first; at most this many. */
  readonly limit: number;
};

/** How far a writer's chain goes, kept apart from its records. */
export type Anchor = {
  readonly writer: string;
  /** The first record still kept follows this one; 0 and "" before any were swept. */
  readonly sweptSeq: number;
  readonly sweptMac: string;
  readonly lastSeq: number;
  readonly lastMac: string;
};

/**
 * What was seen of one token or session: since the last batch when it is brought, in all when it
 * is read. `firstMs` and so on are milliseconds since 1970.
 */
export type Sighting = {
  /** The token's or session's public id. */
  readonly id: string;
  readonly kind: "token" | "session";
  readonly issuer: string;
  readonly subject: string;
  /** Whom it was given to: `azp`, else `client_id`. */
  readonly client?: string;
  readonly jti?: string;
  readonly issuedAtMs?: number;
  readonly expiresAtMs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  /** All of them, the denied ones included. */
  readonly requests: number;
  readonly denials: number;
  /** Denials after the last request that passed; all of them if none did. */
  readonly deniedInRow: number;
  /** The minute of `lastMs` (its number since 1970), and the requests in it. */
  readonly minute: number;
  readonly minuteRequests: number;
  /** The most in any earlier minute. */
  readonly busiestMinute: number;
  /** The latest first: at most 32 addresses, 16 devices (`firefox on windows`), 32 routes. */
  readonly addresses: readonly Trace[];
  readonly devices: readonly Trace[];
  readonly routes: readonly Trace[];
  /** What is unhealthy in it, sorted: `lifetime_long`, `jti_missing`, …; at most 16. */
  readonly lint: readonly string[];
  /** What policies found unusual, the latest first, at most 16. */
  readonly unusual: readonly Unusual[];
};

export type Unusual = {
  /** The policy's own code: `impossible_travel`. */
  readonly signal: string;
  readonly policy: string;
  readonly atMs: number;
};

export type SightingQuery = {
  readonly id?: string;
  readonly issuer?: string;
  readonly subject?: string;
  readonly kind?: "token" | "session";
  /** Not yet expired at this time. */
  readonly activeAtMs?: number;
  /** Only those with something unusual, or with something unhealthy. */
  readonly having?: "unusual" | "lint";
  /** The latest seen first; at most this many. */
  readonly limit: number;
};

export type Bucket = { readonly limit: number; readonly perMs: number };
export type Taken = {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly retryMs: number;
};

/**
 * Every method rejects with GateError `store_unavailable` when the store cannot be reached,
 * and `store_damaged` when what lies there cannot be read or is newer than we know.
 */
export type Store = {
  readonly kind: "sqlite" | "redis";
  /**
   * All or none, and the writers' anchors with them. A record that is there already (same writer,
   * `seq` and MAC) is left as it is, so that a batch whose fate is unknown can be sent again;
   * with another MAC there it is `store_damaged`, and nothing is written.
   */
  append(records: readonly ChainedRecord[]): Promise<void>;
  /** Newest first. */
  find(query: RecordQuery): Promise<readonly ChainedRecord[]>;
  anchors(): Promise<readonly Anchor[]>;
  /** One writer's records in order, those after `afterSeq`, at most `limit`. */
  chain(writer: string, afterSeq: number, limit: number): Promise<readonly ChainedRecord[]>;
  /**
   * Removes from the beginning of each chain what is older than `beforeMs`, up to the first record
   * that is not, and moves the anchors; also revocations that ended long ago. @returns How many
   * records were removed.
   */
  sweep(beforeMs: number): Promise<number>;

  /**
   * Adds or renews: of one kind, issuer and value there is one at most, what `merge.ts` makes of
   * both. The order in which two arrive makes no difference. Counts the revision up only if it
   * changed something.
   */
  revoke(revocation: Revocation): Promise<void>;
  /** @returns Whether there was one. */
  unrevoke(kind: Revocation["kind"], issuer: string | undefined, value: string): Promise<boolean>;
  /** All that are in force at `nowMs`, the oldest first. */
  revocations(nowMs: number): Promise<readonly Revocation[]>;
  /**
   * `EPOCH.COUNT`, cheap: the count grows with each change of a revocation, here or in another
   * process. Another epoch is another store (an empty Redis after a failover), a smaller count an
   * earlier state of it (a replica that was behind, a restored backup): then what is known in
   * memory must not be thrown away for what the store does not have.
   */
  revision(): Promise<string>;
  /**
   * Called soon after a change by anybody (ours at once, another process's within 500 ms), and
   * after a lost connection is back; a lost call is mended by whoever polls `revision`.
   */
  onRevocation(listener: () => void): void;

  /**
   * Adds what was seen since, as `merge-sighting.ts` says: all or none, a few hundred
   * at a time, lest they keep others from the store. Several gates may bring the same token.
   */
  noteSightings(batch: readonly Sighting[]): Promise<void>;
  sightings(query: SightingQuery): Promise<readonly Sighting[]>;
  /** Forgets tokens and sessions that expired before `beforeMs`. @returns How many. */
  sweepSightings(beforeMs: number): Promise<number>;

  /**
   * Single values that end by themselves: sessions, single-use codes, keys that gates share. Keys
   * are up to 256 characters, values up to 64 KB, longer ones are an `internal_fault`. What has
   * ended is not there. A store that holds as many as it may is `store_unavailable` for a new key.
   */
  get(key: string): Promise<string | undefined>;
  put(key: string, value: string, untilMs: number): Promise<void>;
  /** @returns Whether there was none yet: of several callers one gets true. */
  putNew(key: string, value: string, untilMs: number): Promise<boolean>;
  /** Only if it is still `expected`. @returns Whether it was. */
  replace(key: string, expected: string, value: string, untilMs: number): Promise<boolean>;
  /** Gives it and removes it: of several callers one gets it. */
  take(key: string): Promise<string | undefined>;
  remove(key: string): Promise<void>;

  /**
   * Takes one from each of several buckets shared by all gates, or from none if one of them is
   * empty, in one round trip; only Redis has such buckets. They fill by the store's own clock, so
   * that gates whose clocks differ are exact together.
   *
   * @returns In the order asked.
   */
  readonly takeTokens?: (
    wanted: readonly { readonly key: string; readonly bucket: Bucket }[],
  ) => Promise<readonly Taken[]>;
  /**
   * A secret that all gates of this store share; only Redis has such, SQLite has a file beside it.
   *
   * @param fresh Becomes the secret if there is none of that name yet (`SET NX`, no TTL).
   * @returns The secret in force.
   */
  readonly secret?: (name: string, fresh: Uint8Array) => Promise<Uint8Array>;
  /** What was asked before still ends, within seconds; what is asked after is `store_unavailable`. */
  close(): Promise<void>;
};
