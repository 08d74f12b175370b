/**
 * The sessions in force. What this process has seen lately is in memory, so that a request with
 * a known cookie waits for nothing; the store has the last word, and is asked in the background.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import type { IssuerConfig, SessionConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Revocations } from "../ledger/revocations.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Token } from "../types.ts";
import type { Grant, Provider } from "./provider.ts";
import { createRenewals } from "./renew.ts";
import type { KeyRing } from "./seal.ts";
import {
  beginRecord,
  hashOf,
  newSessionId,
  readRecord,
  renewalDueMs,
  SESSION_ID,
  type SessionRecord,
  type StepUp,
  sealRecord,
  sessionKey,
  tokenOf,
} from "./session.ts";

/** What decides asks this of sessions, and no more. */
export type SessionFinder = {
  /**
   * @param id What the cookie holds.
   * @param host Where it came to.
   * @returns At once for a session that is known here; `undefined` for one that is unknown, has
   *   ended, or whose claims have expired and cannot be renewed now.
   * @throws GateError `store_unavailable` where only the store could tell.
   */
  find(id: string, host: string, nowMs: number): Token | undefined | Promise<Token | undefined>;
  /** What the sign-in of a session's token was asked to be better at. */
  stepUpOf(token: Token): { readonly stepUp: StepUp; readonly signedInMs: number } | undefined;
};

export type Sessions = SessionFinder & {
  /**
   * @returns The new session's id, for its cookie alone, and its token; `undefined` where a claim
   *   is missing that the issuer's configuration requires.
   */
  begin(beginning: Beginning): Promise<{ readonly id: string; readonly token: Token } | undefined>;
  /** Ends it here and in every other gate. @returns What it was, if there was any. */
  end(id: string, reason: string): Promise<SessionRecord | undefined>;
  /** Its browser has another now: it is not found again. */
  forget(id: string): Promise<void>;
};

type Beginning = {
  readonly host: string;
  readonly provider: Provider;
  readonly grant: Grant;
  readonly stepUp: StepUp | undefined;
};

type SessionDependencies = {
  readonly store: Pick<Store, "get" | "put" | "putNew" | "replace" | "remove">;
  readonly ring: () => Promise<KeyRing>;
  readonly revocations: Pick<Revocations, "revoke">;
  /** Those in force. */
  readonly config: () => SessionConfig;
  readonly providerOf: (issuerName: string) => Provider | undefined;
  readonly log: Pick<Log, "event">;
  readonly now: () => number;
};

/** A session as this process knows it. */
export type Known = {
  /** What lies in the store: compared, whole, before it is replaced. */
  value: string;
  record: SessionRecord;
  /** Until when the store keeps it, as far as is known here. */
  untilMs: number;
  /** Not renewed again before this: the provider did not answer. */
  retryMs: number;
  token: Token | undefined;
  madeOf: { readonly record: SessionRecord; readonly issuer: IssuerConfig } | undefined;
  isTouching: boolean;
};

const MOST_KNOWN = 50_000;
const MOST_KNOWN_BYTES = 128 * 1024 * 1024;
/** The objects around a record, and what is kept for each character of its text; by estimate. */
const [KNOWN_BYTES, BYTES_PER_CHARACTER] = [2_048, 3];
/** Ids that are no session's, so that a browser with an old cookie does not ask the store each time. */
const MOST_UNKNOWN = 10_000;
const UNKNOWN_MS = 5_000;
/** How late the store may learn that a session is in use, and this process that it has ended. */
const TOUCH_MS = 60_000;
/** Every gate has forgotten an ended session by then, or asked the store. */
const ENDED_MS = 3_600_000;

/** Says who revoked a session that has ended by itself: to its browser it is no session. */
export const SIGN_OUT_AUTHOR = "sign-out";

export function openSessions(deps: SessionDependencies): Sessions {
  const { store, ring, revocations, config, providerOf, log, now } = deps;
  const known = new LRUCache<string, Known>({
    max: MOST_KNOWN,
    maxSize: MOST_KNOWN_BYTES,
    sizeCalculation: ({ value }) => KNOWN_BYTES + value.length * BYTES_PER_CHARACTER,
  });
  const unknown = new LRUCache<string, true>({ max: MOST_UNKNOWN, ttl: UNKNOWN_MS });
  const loading = new Map<string, Promise<Known | undefined>>();
  const stepUps = new WeakMap<Token, { stepUp: StepUp; signedInMs: number }>();
  const renewals = createRenewals({ store, ring, config, providerOf, log, now });

  function find(id: string, host: string, nowMs: number) {
    if (!SESSION_ID.test(id)) return undefined;
    const hash = hashOf(id);
    const here = known.get(hash);
    if (here === undefined || nowMs >= here.untilMs) {
      return unknown.has(hash) ? undefined : findStored(hash, host, nowMs);
    }
    if (here.record.host !== host) return undefined;
    return isRenewalDue(here, nowMs) ? renewed(hash, here, nowMs) : inUse(hash, here, nowMs);
  }

  function isRenewalDue({ record, retryMs }: Known, nowMs: number): boolean {
    const dueMs = renewalDueMs(record, config());
    return dueMs !== undefined && nowMs >= dueMs && nowMs >= retryMs;
  }

  async function findStored(hash: string, host: string, nowMs: number): Promise<Token | undefined> {
    const stored = await load(hash);
    if (stored === undefined || stored.record.host !== host) return undefined;
    return isRenewalDue(stored, nowMs)
      ? await renewed(hash, stored, nowMs)
      : inUse(hash, stored, nowMs);
  }

  async function renewed(hash: string, here: Known, nowMs: number): Promise<Token | undefined> {
    const outcome = await renewals.renew(hash, here);
    if (outcome.kind === "ended") {
      known.delete(hash);
      unknown.set(hash, true);
      if (outcome.refused) await revoke(here.record, "the provider refused to renew it");
      return undefined;
    }
    if (outcome.kind === "later") here.retryMs = outcome.retryMs;
    else {
      const { value, record, untilMs } = outcome;
      Object.assign(here, { value, record, untilMs, retryMs: 0 });
    }
    return inUse(hash, here, nowMs);
  }

  /** The same object for each request, until what it is made of changes. */
  function tokenNow(here: Known, issuer: IssuerConfig): Token | undefined {
    const { record, madeOf } = here;
    if (madeOf?.record === record && madeOf.issuer === issuer) return here.token;
    const token = tokenOf(record, issuer);
    Object.assign(here, { token, madeOf: { record, issuer } });
    const { stepUp, signedInMs } = record;
    if (token !== undefined && stepUp !== undefined) stepUps.set(token, { stepUp, signedInMs });
    return token;
  }

  /** What the rest of the gate sees of it; told to the store now and then. */
  function inUse(hash: string, here: Known, nowMs: number): Token | undefined {
    const { record } = here;
    if (nowMs >= record.endsMs) return undefined;
    const issuer = providerOf(record.issuerName)?.issuer.config;
    if (issuer === undefined || issuer.issuer !== record.issuer) return undefined;
    // Its claims were good until now and nobody could be asked for others.
    const expiredMs = record.expiresMs + issuer.clockToleranceSeconds * 1_000;
    if (record.refreshToken !== undefined && nowMs >= expiredMs) return undefined;
    const token = tokenNow(here, issuer);
    if (token === undefined) return undefined;
    const { idleMs } = config();
    const untilMs = Math.min(nowMs + idleMs, record.endsMs);
    if (untilMs - here.untilMs >= Math.min(TOUCH_MS, idleMs / 20)) void touch(hash, here, untilMs);
    return token;
  }

  async function touch(hash: string, here: Known, untilMs: number): Promise<void> {
    if (here.isTouching) return;
    here.isTouching = true;
    const { value } = here;
    try {
      const isThere = await store.replace(sessionKey(hash), value, value, untilMs);
      // Ended, or renewed by another gate: the next request asks for it.
      if (isThere) here.untilMs = untilMs;
      else if (here.value === value) here.untilMs = 0;
    } catch (fault) {
      if (!(fault instanceof GateError)) throw fault;
      log.event("debug", "session_touch", "the store was not told that a session is in use");
    } finally {
      here.isTouching = false;
    }
  }

  /** Requests of one browser share a look-up. */
  function load(hash: string): Promise<Known | undefined> {
    const underWay = loading.get(hash);
    if (underWay !== undefined) return underWay;
    const work = loadNow(hash).finally(() => loading.delete(hash));
    loading.set(hash, work);
    return work;
  }

  async function loadNow(hash: string): Promise<Known | undefined> {
    const value = await store.get(sessionKey(hash));
    const record = value === undefined ? undefined : await readRecord(await ring(), hash, value);
    const issuer = record && providerOf(record.issuerName)?.issuer.config;
    if (value === undefined || record === undefined || issuer === undefined) {
      known.delete(hash);
      unknown.set(hash, true);
      return undefined;
    }
    // Until when the store keeps it is told by the first touch, which comes with this request.
    return remember(hash, { value, record, untilMs: now() + 1 });
  }

  function remember(hash: string, stored: Pick<Known, "value" | "record" | "untilMs">): Known {
    const rest = { retryMs: 0, token: undefined, madeOf: undefined, isTouching: false };
    const here: Known = { ...stored, ...rest };
    known.set(hash, here);
    return here;
  }

  async function begin({ host, provider, grant, stepUp }: Beginning) {
    const { idleMs, lifetimeMs } = config();
    const issuer = provider.issuer.config;
    const keys = await ring();
    const id = newSessionId();
    const hash = hashOf(id);
    const nowMs = now();
    const publicId = keys.publicId(id);
    const record = beginRecord({ hash, publicId, host, issuer, grant, stepUp, lifetimeMs, nowMs });
    if (tokenOf(record, issuer) === undefined) return undefined;
    const value = await sealRecord(keys, record);
    const untilMs = Math.min(nowMs + idleMs, record.endsMs);
    await store.put(sessionKey(hash), value, untilMs);
    const token = tokenNow(remember(hash, { value, record, untilMs }), issuer);
    return token && { id, token };
  }

  async function end(id: string, reason: string): Promise<SessionRecord | undefined> {
    if (!SESSION_ID.test(id)) return undefined;
    const hash = hashOf(id);
    const value = await store.get(sessionKey(hash));
    const record = value === undefined ? undefined : await readRecord(await ring(), hash, value);
    await forget(id);
    if (record !== undefined) await revoke(record, reason);
    return record;
  }

  async function forget(id: string): Promise<void> {
    const hash = hashOf(id);
    known.delete(hash);
    unknown.set(hash, true);
    await store.remove(sessionKey(hash));
  }

  /** Other gates may have it in memory; this reaches them within a second. */
  async function revoke({ publicId }: SessionRecord, reason: string): Promise<void> {
    const atMs = now();
    const untilMs = atMs + ENDED_MS;
    const thing = { kind: "session", value: publicId } as const;
    await revocations
      .revoke({ ...thing, reason, author: SIGN_OUT_AUTHOR, atMs, untilMs })
      .catch((fault: unknown) => {
        // In force here already, and the store has lost the session itself.
        if (!(fault instanceof GateError)) throw fault;
        log.event(
          "warn",
          "sign_out",
          `another gate may know an ended session a little longer: ${fault.code}`,
        );
      });
  }

  return { find, stepUpOf: (token) => stepUps.get(token), begin, end, forget };
}
