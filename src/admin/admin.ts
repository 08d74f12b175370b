/**
 * What the admin API needs of the gate, and how it writes down what administrators do.
 *
 * @module
 */
import type { Feed } from "../audit/feed.ts";
import type { Config } from "../config/resolved.ts";
import type { Ledger } from "../gate/ledger.ts";
import type { Gate } from "../gate/site.ts";
import type { LiveStreams } from "../gate/streams.ts";
import type { Sighting, SightingQuery, Store } from "../store/store.ts";
import type { Metrics } from "../telemetry/metrics.ts";

export type AdminGate = Pick<Gate, "site" | "draining" | "lastReload" | "log" | "now"> & {
  readonly ledger: Pick<Ledger, "revocations" | "tokenHash" | "audit"> & {
    readonly sightings: {
      list(query: SightingQuery): Promise<readonly Sighting[]>;
      /** Held in memory. */
      count(): number;
    };
  };
  readonly streams: Pick<LiveStreams, "count">;
  readonly decisions: Feed;
  readonly metrics: Metrics;
};

export type AdminDependencies = {
  /** The one in force, read at each use. */
  readonly config: () => Config;
  readonly store: Pick<Store, "find" | "anchors" | "chain">;
  /** @returns Whether the new configuration is in force; if not, the old one still is. */
  readonly reload: () => Promise<boolean>;
  readonly version: string;
};

export type Admin = AdminDependencies & {
  readonly gate: AdminGate;
  /** Milliseconds since 1970. */
  readonly startedMs: number;
  /** Aborted when the API ends. */
  readonly ending: AbortSignal;
  readonly standing: { storeFollowers: number };
};

export type Actor = "admin" | "cli";

/** What somebody did, for the audit: by public ids, never with a token. */
type Act = {
  readonly actor: Actor;
  readonly act: "revoke" | "unrevoke" | "reload";
  readonly target: string;
  readonly reason?: string | undefined;
};

/** How long an answer waits for the store to have what was done; it is recorded in any case. */
const WRITTEN_MS = 2_000;

/** Resolves when it is in the store, or when that takes too long to wait for. */
export async function recordAct({ gate }: Admin, { actor, act, target, reason }: Act) {
  const at = new Date(gate.now()).toISOString();
  const entry = { kind: "act", at, actor, act, target, ...(reason && { reason }) } as const;
  gate.ledger.audit.record(entry);
  gate.decisions.publish(entry);
  await settle(gate);
}

/** Whoever asks what was decided means what was decided until now. */
export async function settle({ ledger }: Pick<AdminGate, "ledger">): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, WRITTEN_MS);
  try {
    await Promise.race([ledger.audit.flush(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
