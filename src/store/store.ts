/**
 * Where audit and revocations live. One interface, two implementations that pass one
 * contract suite: SQLite for one machine, Redis for a fleet.
 *
 * Nothing here is called while a request waits, but for `takeToken` on Redis.
 *
 * @module
 */

/** A revocation: what is refused, since when, until when. */
export type Revocation = {
  /** What it names: a token by issuer and `jti`, a token by its keyed hash, a subject, an issuer. */
  readonly kind: "jti" | "token" | "subject" | "issuer";
  /** The `iss` claim, byte for byte: names may change, and differ between gates. Absent for kind `token`. */
  readonly issuer?: string;
  /** `jti`, keyed hash, or `sub`; empty for kind `issuer`. */
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
   * Takes one from a bucket shared by all gates, in one round trip; only Redis has such buckets.
   * They fill by the store's own clock, so that gates whose clocks differ are exact together;
   * `nowMs` is not looked at.
   */
  readonly takeToken?: (key: string, bucket: Bucket, nowMs: number) => Promise<Taken>;
  /**
   * A secret that all gates of this store share; only Redis has such, SQLite has a file beside it.
   *
   * @param fresh Becomes the secret if there is none of that name yet (`SET NX`, no TTL).
   * @returns The secret in force.
   */
  readonly secret?: (name: string, fresh: Uint8Array) => Promise<Uint8Array>;
  /** What was asked before still ends; what is asked after is `store_unavailable`. */
  close(): Promise<void>;
};
