/**
 * Renews a session's claims with its refresh token. A refresh token is mostly good for once, so
 * of all tabs, workers and replicas one alone may spend it: requests here share one renewal, and
 * gates agree by a lock in the store.
 *
 * @module
 */
import type { SessionConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import { isGarbled } from "./failure.ts";
import type { Provider } from "./provider.ts";
import type { KeyRing } from "./seal.ts";
import {
  readRecord,
  renewalDueMs,
  renewRecord,
  type SessionRecord,
  sealRecord,
  sessionKey,
} from "./session.ts";
import type { Known } from "./sessions.ts";

type Renewed =
  | {
      readonly kind: "renewed";
      readonly value: string;
      readonly record: SessionRecord;
      readonly untilMs: number;
    }
  /** `refused`: by the provider; else it was gone from the store. */
  | { readonly kind: "ended"; readonly refused: boolean }
  /** The provider or the store does not answer: what is known stays good until it expires. */
  | { readonly kind: "later"; readonly retryMs: number };

type Dependencies = {
  readonly store: Pick<Store, "get" | "put" | "putNew" | "replace" | "remove">;
  readonly ring: () => Promise<KeyRing>;
  readonly config: () => SessionConfig;
  readonly providerOf: (issuerName: string) => Provider | undefined;
  readonly log: Pick<Log, "event">;
  readonly now: () => number;
};

/** Longer than all that is asked of a provider for one renewal may take (three answers of 5 s). */
const LOCK_MS = 30_000;
/** How often a gate that waits for another looks whether it is done. */
const LOOK_MS = 50;
const LONGEST_WAIT_MS = 10_000;
const RETRY_MS = 10_000;
/** A store that is away just when the provider has given a new token is tried again. */
const SAVE_PAUSES_MS = [50, 200, 1_000, 3_000];

export function createRenewals(deps: Dependencies) {
  const { store, ring, config, providerOf, log, now } = deps;
  const underWay = new Map<string, Promise<Renewed>>();

  /** @param here As this process knows it. */
  function renew(hash: string, here: Known): Promise<Renewed> {
    const shared = underWay.get(hash);
    if (shared !== undefined) return shared;
    const work = renewLocked(hash, here).finally(() => underWay.delete(hash));
    underWay.set(hash, work);
    return work;
  }

  async function renewLocked(hash: string, here: Known): Promise<Renewed> {
    const lock = `session-renewal:${hash}`;
    try {
      const endMs = performance.now() + LONGEST_WAIT_MS;
      while (!(await store.putNew(lock, "1", now() + LOCK_MS))) {
        if (performance.now() >= endMs) return later("another gate holds the renewal");
        await Bun.sleep(LOOK_MS);
        const other = await readOther(hash, here);
        if (other !== undefined) return other;
      }
    } catch (fault) {
      return later(codeOf(fault));
    }
    try {
      // Whoever had the lock before may have done it.
      return (await readOther(hash, here)) ?? (await renewByProvider(hash, here));
    } catch (fault) {
      return later(codeOf(fault));
    } finally {
      await store.remove(lock).catch(() => undefined); // It ends by itself.
    }
  }

  /** @returns What another gate has made of it; `undefined` while it is as it was. */
  async function readOther(hash: string, here: Known): Promise<Renewed | undefined> {
    const value = await store.get(sessionKey(hash));
    if (value === undefined) return { kind: "ended", refused: false };
    if (value === here.value) return undefined;
    const record = await readRecord(await ring(), hash, value);
    if (record === undefined) return { kind: "ended", refused: false };
    const dueMs = renewalDueMs(record, config());
    Object.assign(here, { value, record });
    // Known until here, so that the next use tells the store, and learns whether it still is.
    return dueMs === undefined || now() < dueMs
      ? { kind: "renewed", value, record, untilMs: now() + 1 }
      : undefined;
  }

  async function renewByProvider(hash: string, here: Known): Promise<Renewed> {
    const { record } = here;
    const provider = providerOf(record.issuerName);
    if (provider === undefined || record.refreshToken === undefined) {
      return later("the issuer has no login any more");
    }
    const renewal = await provider.refresh(record.refreshToken, record.subject);
    if (!renewal.ok) {
      const { kind, reason, detail } = renewal.error;
      const fields = { issuer: record.issuerName, reason, detail };
      const isNoAnswer = kind === "unreachable" || isGarbled(renewal.error);
      // A client that the provider does not know any more is the owner's to mend, not the person's.
      if (isNoAnswer || reason === "provider_invalid_client") {
        log.event("warn", "session_renewal", "the provider could not renew a session now", fields);
        return later(reason);
      }
      log.event("info", "session_ended", "the provider refused to renew a session", fields);
      await store.remove(sessionKey(hash));
      return { kind: "ended", refused: true };
    }
    const next = renewRecord(record, renewal.value, now());
    const value = await sealRecord(await ring(), next);
    const untilMs = Math.min(now() + config().idleMs, next.endsMs);
    const isSaved = await save(hash, here.value, value, untilMs);
    // Signed out meanwhile: what was renewed is nobody's.
    return isSaved
      ? { kind: "renewed", value, record: next, untilMs }
      : { kind: "ended", refused: false };
  }

  /** @throws GateError `store_unavailable` once the store has been away for long. */
  async function save(hash: string, before: string, after: string, untilMs: number) {
    const key = sessionKey(hash);
    const saveOnce = async () =>
      (await store.replace(key, before, after, untilMs)) ||
      // A former try may have come through without our hearing of it.
      (await store.get(key)) === after;
    for (const pauseMs of SAVE_PAUSES_MS) {
      try {
        return await saveOnce();
      } catch (fault) {
        if (!(fault instanceof GateError)) throw fault;
        await Bun.sleep(pauseMs);
      }
    }
    return saveOnce();
  }

  function later(reason: string): Renewed {
    log.event("debug", "session_renewal", "a session is renewed later", { reason });
    return { kind: "later", retryMs: now() + RETRY_MS };
  }

  return { renew };
}

function codeOf(fault: unknown): string {
  if (fault instanceof GateError) return fault.code;
  throw fault;
}
