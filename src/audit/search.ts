/**
 * Which records are asked for: what the store can search by, and what must be read to tell.
 *
 * @module
 */

import { GateError } from "../errors.ts";
import { parseDuration } from "../lib/duration.ts";
import type { ChainedRecord, RecordQuery, Store } from "../store/store.ts";
import type { AuditEntry } from "./entry.ts";
import { newestFirst, readEntry } from "./scan.ts";

export type RecordFilter = {
  /** A duration back from now, or a time. */
  readonly since?: string;
  readonly until?: string;
  readonly kind?: "decision" | "act";
  readonly subject?: string;
  readonly route?: string;
  readonly code?: string;
  readonly denied?: boolean;
  readonly shadow?: boolean;
};

/** @returns Milliseconds since 1970. @throws GateError `usage_wrong` */
function readTime(name: "since" | "until", written: string, nowMs: number): number {
  const agoMs = parseDuration(written);
  if (agoMs !== undefined) return nowMs - agoMs;
  const atMs = /^\d{4}-\d\d-\d\d/u.test(written) ? Date.parse(written) : Number.NaN;
  if (!Number.isNaN(atMs)) return atMs;
  const message = `${name} takes a duration (30m, 1h, 7d) or a time (2026-01-05T10:00:00Z)`;
  throw new GateError("usage_wrong", message);
}

/** What the store is to be asked for. A code may also be a policy's own: see `isWanted`. */
export function queryOf(flags: RecordFilter, nowMs: number): Omit<RecordQuery, "limit"> {
  const { since, until, kind, subject, route, code, denied } = flags;
  return {
    ...(since !== undefined && { sinceMs: readTime("since", since, nowMs) }),
    ...(until !== undefined && { untilMs: readTime("until", until, nowMs) }),
    ...(kind !== undefined && { kind }),
    ...(subject !== undefined && { subject }),
    ...(route !== undefined && { route }),
    ...((denied || code !== undefined) && { denied: true as const }),
  };
}

/** Whether a record is asked for, as far as its contents tell, whatever its time. */
export function isWanted({ index, ...record }: ChainedRecord, flags: RecordFilter): boolean {
  const { kind, subject, route, code, denied, shadow } = flags;
  if (kind !== undefined && index.kind !== kind) return false;
  if (subject !== undefined && index.subject !== subject) return false;
  if (route !== undefined && index.route !== route) return false;
  if (denied && !index.denied) return false;
  if (code === undefined && !shadow) return true;
  const entry = readEntry({ index, ...record });
  return entry !== undefined && hasWantedContent(entry, flags);
}

/** Like `isWanted`, of an entry that may not be in the store yet. */
export function isWantedEntry(entry: AuditEntry, flags: RecordFilter): boolean {
  const { kind, subject, route, denied } = flags;
  if (kind !== undefined && entry.kind !== kind) return false;
  const decision = entry.kind === "decision" ? entry : undefined;
  if (subject !== undefined && decision?.token?.subject !== subject) return false;
  if (route !== undefined && decision?.route !== route) return false;
  if (denied && decision?.decision !== "deny") return false;
  return hasWantedContent(entry, flags);
}

function hasWantedContent(entry: AuditEntry, { code, shadow }: RecordFilter): boolean {
  if (code === undefined && !shadow) return true;
  if (entry.kind !== "decision") return false;
  if (code !== undefined && entry.code !== code && entry.reason !== code) return false;
  return !shadow || shadowDenial(entry) !== undefined;
}

/** The first policy under `shadow` that would not have let the request pass. */
export function shadowDenial(entry: AuditEntry) {
  if (entry.kind !== "decision") return undefined;
  return entry.policies.find(({ shadow, verdict }) => shadow && verdict !== "allow");
}

export type Found = {
  /** Newest last. */
  readonly records: readonly ChainedRecord[];
  /** Whether there are older ones that are asked for, too. */
  readonly hasMore: boolean;
};

type SearchBounds = {
  /** UTF-16 code units of records: once there are as many, the older ones are left. */
  readonly mostText?: number;
  /** Ends a search that nobody waits for any more. */
  readonly signal?: AbortSignal;
};

export async function findRecords(
  store: Pick<Store, "find">,
  flags: RecordFilter,
  limit: number,
  nowMs: number,
  { mostText = Number.POSITIVE_INFINITY, signal }: SearchBounds = {},
): Promise<Found> {
  const query = queryOf(flags, nowMs);
  const { code } = flags;
  // The store knows the codes that clients see; only for a policy's own must all denials be read.
  const isIndexed =
    code !== undefined && (await store.find({ ...query, code, limit: 1 })).length > 0;
  const records: ChainedRecord[] = [];
  let text = 0;
  for await (const record of newestFirst(store, isIndexed ? { ...query, code } : query)) {
    if (signal?.aborted) break;
    if (!isWanted(record, flags)) continue;
    text += record.body.length;
    const isFull = records.length === limit || (text > mostText && records.length > 0);
    if (isFull) return { records: records.reverse(), hasMore: true };
    records.push(record);
  }
  return { records: records.reverse(), hasMore: false };
}
