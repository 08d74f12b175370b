/**
 * What is revoked and what was seen of tokens, read from the store as a gate on it knows it.
 *
 * @module
 */
import { existsSync } from "node:fs";
import type { Config } from "../../config/resolved.ts";
import type { Rules } from "../../gate/site.ts";
import { openRevocations } from "../../ledger/revocations.ts";
import { openSightings } from "../../ledger/sightings.ts";
import { openTokenHash } from "../../ledger/token-hash.ts";
import { openStore } from "../../store/open.ts";

type KnownLedger = {
  readonly revocations: Rules["revocations"];
  /** Absent where nothing was ever seen. */
  readonly historyOf?: Rules["historyOf"];
  close(): Promise<void>;
};

/** Where no gate has run yet there is no store, and none is made. */
const NOTHING: KnownLedger = {
  revocations: { check: () => undefined, state: () => ({ fresh: true }) },
  close: async () => {},
};

/** @throws GateError `store_unavailable`, `store_damaged`, `state_unusable`. */
export async function openKnownLedger(
  { store: where, revocation, ledger }: Config,
  warn: (message: string) => void,
): Promise<KnownLedger> {
  if (where.kind === "sqlite" && !existsSync(where.file)) return NOTHING;
  const store = await openStore(where, { now: Date.now });
  const log = { event: (_level: string, _event: string, message: string) => warn(message) };
  try {
    const tokenHash = await openTokenHash(store, where);
    const revocations = await openRevocations({
      store,
      tokenHash,
      now: Date.now,
      maxStalenessMs: () => revocation.maxStalenessMs,
      log,
    });
    const sightings = openSightings({
      store,
      tokenHash,
      signedOutAt: revocations.signedOutAt,
      now: Date.now,
      retainMs: () => ledger.retainMs,
      log,
    });
    return {
      revocations,
      historyOf: sightings.history,
      async close() {
        await sightings.close();
        await revocations.close();
        await store.close();
      },
    };
  } catch (fault) {
    await store.close();
    throw fault;
  }
}
