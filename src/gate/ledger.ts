/**
 * What the gate remembers: what is revoked, who came how often, what was decided. It is opened
 * once for the life of the process; a reload changes what it is told, never the store.
 *
 * @module
 */
import { createFeed, type Feed } from "../audit/feed.ts";
import { auditKeyFolder, openAuditKey } from "../audit/key.ts";
import { type Audit, openAudit } from "../audit/record.ts";
import type { Config } from "../config/resolved.ts";
import { createPolicyRevocations, type PolicyRevocations } from "../ledger/policy-revocations.ts";
import { openRevocations, type Revocations } from "../ledger/revocations.ts";
import { openSightings, type Sightings } from "../ledger/sightings.ts";
import { openTokenHash, type TokenHash } from "../ledger/token-hash.ts";
import { createLimiter, type Limiter } from "../limits/rate.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import { openSummary, type Summary } from "./summarize.ts";

export type Ledger = {
  readonly store: Store;
  readonly revocations: Revocations;
  readonly policyRevocations: PolicyRevocations;
  readonly tokenHash: TokenHash;
  readonly sightings: Sightings;
  readonly limiter: Limiter;
  readonly audit: Audit;
  /** What is recorded, for whoever watches. */
  readonly decisions: Feed;
  /** What strangers may write into the audit. */
  readonly summary: Summary;
  /** Writes what is left. Nothing of it may be used afterwards. */
  close(): Promise<void>;
};

type Dependencies = {
  readonly log: Log;
  readonly now: () => number;
  /** Where processes of one machine share buckets that their store does not have. */
  readonly takeTokens?: NonNullable<Store["takeTokens"]>;
};

/**
 * @param config The one in force, read at each use.
 * @throws GateError `store_unavailable`, `store_damaged`, `state_unusable`.
 */
export async function openLedger(
  config: () => Config,
  { log, now, takeTokens }: Dependencies,
): Promise<Ledger> {
  const store = await openStore(config().store, { now, whenDown: "wait" });
  try {
    const [key, tokenHash] = await Promise.all([
      openAuditKey(auditKeyFolder(config())),
      openTokenHash(store, config().store),
    ]);
    const revocations = await openRevocations({
      store,
      tokenHash,
      now,
      maxStalenessMs: () => config().revocation.maxStalenessMs,
      log,
    });
    const issuers = () => config().issuers;
    const sessionLifetimeMs = () => config().session.lifetimeMs;
    const sightings = openSightings({
      store,
      tokenHash,
      signedOutAt: revocations.signedOutAt,
      now,
      retainMs: () => config().ledger.retainMs,
      log,
    });
    const decisions = createFeed();
    const audit = openAudit({
      store,
      key,
      now,
      config: () => config().audit,
      onRecord: decisions.publish,
      warn: (message) => log.event("warn", "audit", message),
      onLoss: (message) => log.event("error", "audit_lost", message),
    });
    const summary = openSummary({ audit, now });
    const shared = store.takeTokens ?? takeTokens;
    const limiter = createLimiter({
      now,
      warn: (message) => log.event("warn", "limits_local", message),
      ...(shared !== undefined && { takeTokens: shared }),
    });
    return {
      store,
      revocations,
      policyRevocations: createPolicyRevocations({
        revocations,
        tokenHash,
        issuers,
        sessionLifetimeMs,
        log,
        now,
      }),
      tokenHash,
      sightings,
      limiter,
      audit,
      decisions,
      summary,
      async close() {
        summary.close();
        await Promise.all([audit.close(), sightings.close()]);
        await revocations.close();
        await store.close();
      },
    };
  } catch (fault) {
    await store.close();
    throw fault;
  }
}
