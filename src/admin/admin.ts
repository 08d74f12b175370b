/**
 * What the admin API needs of the gate, and how it writes down what administrators do.
 *
 * @module
 */
import type { Config } from "../config/resolved.ts";
import type { Gate } from "../gate/site.ts";
import { inTime } from "../lib/in-time.ts";
import type { Store } from "../store/store.ts";
import type { Counts } from "../telemetry/metrics.ts";
import type { Standing } from "../telemetry/standing.ts";

/** What of the gate is looked at here. */
export type AdminGate = Pick<
  Gate,
  | "site"
  | "draining"
  | "lastReload"
  | "log"
  | "now"
  | "ledger"
  | "streams"
  | "decisions"
  | "metrics"
>;

export type AdminDependencies = {
  /** The one in force, read at each use. */
  readonly config: () => Config;
  readonly store: Pick<Store, "find" | "anchors" | "chain">;
  /** @returns Whether the new configuration is in force; if not, the old one still is. */
  readonly reload: () => Promise<boolean>;
  readonly version: string;
  /** Only where this is one of several processes that serve together: what all have counted. */
  readonly countAll?: () => Promise<Counted>;
};

export type Counted = { readonly counts: Counts; readonly standing: Standing };

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
  await settle(gate);
}

/** Whoever asks what was decided means what was decided until now. */
export async function settle({ ledger }: Pick<AdminGate, "ledger">): Promise<void> {
  await inTime(ledger.audit.flush(), WRITTEN_MS, () => undefined);
}
