/**
 * What the supervisor and its workers ask of each other.
 *
 * @module
 */
import type { Counted } from "../../admin/admin.ts";
import type { Bucket, Taken } from "../../store/store.ts";
import type { LogLevel, LogOptions } from "../../telemetry/log.ts";

/** What a worker needs to know before it starts. */
export type Orders = {
  /** Of all workers. */
  readonly workers: number;
  /** One of them has the admin API of all. */
  readonly hasAdmin: boolean;
  /** The real one of every address, as `placeOf` writes it. */
  readonly ports: Readonly<Record<string, number>>;
  readonly log: Pick<LogOptions, "format" | "colour">;
};

/** What follows from the configuration that a worker has in force. */
export type Facts = {
  readonly urls: readonly string[];
  /** Files and folders whose change asks for a reload. */
  readonly watched: readonly string[];
  readonly policyTimeoutMs: number;
  readonly logLevel: LogLevel;
};

export type ToWorker = {
  readonly reload: {
    readonly about: null;
    readonly answer: { readonly inForce: boolean; readonly facts: Facts };
  };
  readonly count: { readonly about: null; readonly answer: Counted };
  readonly drain: { readonly about: null; readonly answer: null };
};

export type ToSupervisor = {
  readonly hello: { readonly about: null; readonly answer: Orders };
  readonly listening: { readonly about: Facts; readonly answer: null };
  /** Every so often, so that silence tells something. */
  readonly beat: { readonly about: null; readonly answer: null };
  /** Of all workers. */
  readonly reload: { readonly about: null; readonly answer: boolean };
  readonly count: { readonly about: null; readonly answer: Counted | undefined };
  /** Tokens out of buckets that all workers share. */
  readonly take: {
    readonly about: readonly { readonly key: string; readonly bucket: Bucket }[];
    readonly answer: readonly Taken[];
  };
};

/** A worker says that it is there. */
export const BEAT_MS = 200;

export function placeOf({ hostname, port }: { hostname: string; port: number }): string {
  return `${hostname} ${port}`;
}
