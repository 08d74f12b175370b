/**
 * What is revoked, read from the store once, as a gate on it knows it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Config } from "../../config/resolved.ts";
import type { Rules } from "../../gate/site.ts";
import { openRevocations } from "../../ledger/revocations.ts";
import { openTokenHash } from "../../ledger/token-hash.ts";
import { openStore } from "../../store/open.ts";

export type KnownRevocations = {
  readonly revocations: Rules["revocations"];
  close(): Promise<void>;
};

/** Where no gate has run yet there is no store, and none is made. */
const NOTHING: KnownRevocations = {
  revocations: { check: () => undefined, state: () => ({ fresh: true }) },
  close: async () => {},
};

/** @throws GateError `store_unavailable`, `store_damaged`, `state_unusable`. */
export async function openKnownRevocations(
  { store: where, revocation }: Config,
  warn: (message: string) => void,
): Promise<KnownRevocations> {
  if (where.kind === "sqlite" && !existsSync(where.file)) return NOTHING;
  const store = await openStore(where, { now: Date.now });
  try {
    const revocations = await openRevocations({
      store,
      tokenHash: await openTokenHash(store, where),
      now: Date.now,
      maxStalenessMs: () => revocation.maxStalenessMs,
      log: { event: (_level, _event, message) => warn(message) },
    });
    return {
      revocations,
      async close() {
        await revocations.close();
        await store.close();
      },
    };
  } catch (fault) {
    await store.close();
    throw fault;
  }
}
