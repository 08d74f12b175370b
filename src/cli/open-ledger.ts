/**
 * The store as a command opens it: directly, whether or not a gate is running on it.
 *
 * @module
 */
import { auditKeyFolder, openAuditKey } from "../audit/key.ts";
import { openAudit } from "../audit/record.ts";
import type { Config } from "../config/resolved.ts";
import { type FaultCode, GateError } from "../errors.ts";
import { openTokenHash, type TokenHash } from "../ledger/token-hash.ts";
import { openStore } from "../store/open.ts";
import type { Store } from "../store/store.ts";
import { note } from "./note.ts";

export type Ledger = {
  readonly config: Config;
  readonly store: Store;
  readonly tokenHash: TokenHash;
};

/**
 * @throws GateError `store_unavailable`, `store_damaged`, `state_unusable`; and what `work` throws.
 */
export async function withLedger<T>(
  config: Config,
  work: (ledger: Ledger) => Promise<T>,
): Promise<T> {
  const store = await openStore(config.store, { now: Date.now });
  try {
    const tokenHash = await openTokenHash(store, config.store);
    return await work({ config, store, tokenHash });
  } finally {
    await store.close();
  }
}

type Act = {
  readonly act: "revoke" | "unrevoke";
  /** By public ids; never a token. */
  readonly target: string;
  readonly reason?: string;
};

/**
 * Writes down what somebody has done here.
 *
 * @throws GateError `store_unavailable`, `state_unusable`: what was done is done all the same.
 */
export async function recordAct({ config, store }: Ledger, act: Act): Promise<void> {
  const key = await openAuditKey(auditKeyFolder(config)).catch((fault: unknown) => {
    throw fault instanceof GateError ? unrecorded(fault.code, fault.message) : fault;
  });
  let lost: string | undefined;
  const audit = openAudit({
    store,
    key,
    now: Date.now,
    config: () => config.audit,
    warn: note,
    onLoss: (message) => {
      lost = message;
    },
  });
  audit.record({ kind: "act", at: new Date().toISOString(), actor: "cli", ...act });
  await audit.close();
  if (lost !== undefined) throw unrecorded("store_unavailable", lost);
}

function unrecorded(code: FaultCode, why: string): GateError {
  return new GateError(code, `it is done, but not in the audit: ${why}`);
}
