/**
 * What is revoked: held in memory for the request path, stored for restarts and for other
 * processes. A revocation is in force here at once, and in every other gate of the same store
 * as soon as that gate has looked: it polls twice a second, besides being told.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { countsByMoment } from "../store/merge.ts";
import type { Revocation, Store } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Token } from "../types.ts";
import { assertRoom, keyOf, keyOfRevocation } from "./revocation.ts";
import { RevocationIndex } from "./revocation-index.ts";
import type { TokenHash } from "./token-hash.ts";

export type Revocations = {
  /** At once, from memory. @returns Why the token is refused; `undefined` if it is not. */
  check(token: Token): Revocation | undefined;
  /**
   * When the provider's session that the token is of, or its subject, has signed out, by the
   * provider's word; `undefined` if that was not heard of. A bearer token is not refused for it.
   */
  signedOutAt(token: Token): number | undefined;
  /** All that this process knows, in no order. */
  list(): readonly Revocation[];
  /**
   * In force here before this returns its promise. If the store fails it stays in force here, and
   * is stored once the store is back.
   *
   * @throws GateError `store_unavailable` when it could not be stored, `revocations_full` when it
   *   was not even put in force.
   */
  revoke(revocation: Revocation): Promise<void>;
  /** @returns Whether it was revoked. @throws GateError `store_unavailable`; it is revoked still. */
  unrevoke(kind: Revocation["kind"], issuer: string | undefined, value: string): Promise<boolean>;
  state(): RevocationState;
  /** Waits for what is under way, and tries once more to store what is not; the store stays open. */
  close(): Promise<void>;
};

type RevocationState = {
  /** Whether the store was heard of within `maxStalenessMs`. */
  readonly fresh: boolean;
  /** Milliseconds since 1970; absent before the first time. */
  readonly syncedAtMs?: number;
};

export type RevocationDependencies = {
  readonly store: Pick<Store, "revoke" | "unrevoke" | "revocations" | "revision" | "onRevocation">;
  readonly tokenHash: Pick<TokenHash, "everyOf" | "settle">;
  readonly now: () => number;
  /** Read at each look, so that a reload can change it. */
  readonly maxStalenessMs: () => number;
  readonly log: Pick<Log, "event">;
  /** A clock that nobody sets, in milliseconds. */
  readonly uptimeMs?: () => number;
};

/** Two polls fit into the second within which others' revocations must be in force. */
const POLL_MS = 400;
/** Mends what no message and no revision told of. */
const FULL_MS = 30_000;
/** A store that does not answer within this time counts as lost; the answer may still come. */
const ANSWER_MS = 5_000;
/** Stored at once when an emptied store is filled again. */
const BATCH = 100;

/** Made here; kept apart until a list that the store gave afterwards has it, too. */
type Own = { readonly revocation: Revocation; state: "saving" | "saved" | "failed" };

/** @throws GateError `store_damaged`; a store that cannot be reached only leaves the state stale. */
export async function openRevocations(deps: RevocationDependencies): Promise<Revocations> {
  const { store, tokenHash, now, log, uptimeMs = () => performance.now() } = deps;
  const index = new RevocationIndex(tokenHash);
  const own = new Map<string, Own>();
  let seen: string | undefined;
  let fullAtMs = Number.NEGATIVE_INFINITY;
  let freshAtMs = Number.NEGATIVE_INFINITY;
  let syncedAtMs: number | undefined;
  let isLost = false;
  let isClosed = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let syncing: Promise<void> | undefined;
  let isAskedAgain = false;

  async function look(): Promise<void> {
    const beganMs = uptimeMs();
    const revision = await answered(store.revision());
    // A clock that was set back puts in force again what had been forgotten here.
    const isSetBack = syncedAtMs !== undefined && now() < syncedAtMs;
    const isDue = revision !== seen || isSetBack || beganMs - fullAtMs >= FULL_MS;
    if (isDue || own.size > 0) await readAll(revision, beganMs);
    freshAtMs = beganMs;
    syncedAtMs = now();
  }

  async function readAll(revision: string, beganMs: number): Promise<void> {
    if (await answered(tokenHash.settle())) index.forgetVerdicts();
    const saved = [...own].filter(([, { state }]) => state === "saved");
    const stored = await answered(store.revocations(now()));
    // Asked again: a failover between the two would look as if somebody had unrevoked all.
    const after = await answered(store.revision());
    if (hasLost(seen, revision) || hasLost(revision, after)) putBack(stored);
    for (const [key, entry] of saved) if (own.get(key) === entry) own.delete(key);
    await index.replace(stored, () => Array.from(own.values(), ({ revocation }) => revocation));
    seen = revision;
    fullAtMs = beganMs;
  }

  /** What the store has lost is ours to store again. */
  function putBack(stored: readonly Revocation[]): void {
    const there = new Map(stored.map((one) => [keyOfRevocation(one), one]));
    const lost = index
      .values()
      .filter((one) => one.untilMs > now() && isMissing(one, there.get(keyOfRevocation(one))));
    for (const revocation of lost)
      own.set(keyOfRevocation(revocation), { revocation, state: "failed" });
    if (lost.length === 0) return;
    const message =
      "the store has lost revocations: those known here stay in force and are stored again";
    log.event("warn", "revocations_restored", message, { count: lost.length });
  }

  async function save(entry: Own): Promise<void> {
    entry.state = "saving";
    try {
      await answered(store.revoke(entry.revocation));
      entry.state = "saved";
    } catch (fault) {
      entry.state = "failed";
      throw fault;
    }
  }

  async function saveFailed(): Promise<void> {
    await saveAll([...own.values()].filter(({ state }) => state === "failed"));
  }

  async function saveAll(entries: readonly Own[]): Promise<void> {
    for (let at = 0; at < entries.length; at += BATCH) {
      await Promise.all(entries.slice(at, at + BATCH).map(save));
    }
  }

  /** What is in force here alone is in force no more when this process has ended. */
  async function saveLast(): Promise<void> {
    const isUnsaved = ({ state }: Own) => state !== "saved";
    await saveAll([...own.values()].filter(isUnsaved)).catch((fault: unknown) => {
      const why = fault instanceof Error ? fault.message : String(fault);
      const message = `revocations that the store did not take end with this process; revoke them again: ${why}`;
      const count = [...own.values()].filter(isUnsaved).length;
      log.event("error", "revocations_lost", message, { count });
    });
  }

  async function sync(): Promise<void> {
    try {
      await look();
      await saveFailed();
      if (isLost)
        log.event("info", "store_back", "the store answers again: revocations are in step");
      isLost = false;
    } catch (fault) {
      if (!isLost) log.event("warn", "store_lost", lossMessage(fault));
      isLost = true;
    }
  }

  /** One at a time; what asks meanwhile gets one more. */
  function syncSoon(): void {
    if (isClosed) return;
    if (syncing !== undefined) {
      isAskedAgain = true;
      return;
    }
    clearTimeout(timer);
    syncing = sync().finally(() => {
      syncing = undefined;
      if (isClosed) return;
      timer = setTimeout(syncSoon, isAskedAgain ? 0 : POLL_MS);
      timer.unref();
      isAskedAgain = false;
    });
  }

  store.onRevocation(syncSoon);
  try {
    await look();
  } catch (fault) {
    if (!(fault instanceof GateError) || fault.code !== "store_unavailable") throw fault;
    log.event("warn", "store_lost", lossMessage(fault));
    isLost = true;
  }
  syncSoon();

  return {
    check: (token) => index.check(token),
    signedOutAt: (token) => index.signedOutAt(token),
    list: () => index.values(),
    async revoke(revocation) {
      const key = keyOfRevocation(revocation);
      if (index.get(key) === undefined) assertRoom(revocation.kind, index.size);
      const entry: Own = { revocation: index.put(revocation), state: "saving" };
      own.set(key, entry);
      await save(entry);
    },
    async unrevoke(kind, issuer, value) {
      const key = keyOf(kind, issuer ?? "", value);
      const wasStored = await answered(store.unrevoke(kind, issuer, value));
      own.delete(key);
      return index.remove(key) || wasStored;
    },
    state() {
      const fresh = uptimeMs() - freshAtMs <= deps.maxStalenessMs();
      return syncedAtMs === undefined ? { fresh } : { fresh, syncedAtMs };
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await syncing;
      await saveLast();
    },
  };
}

/** See `Store.revision`. */
const REVISION = /^(.*)\.(\d+)$/;

/** Whether the store knows less than it did: it is another one, or an earlier state of it. */
function hasLost(before: string | undefined, after: string): boolean {
  if (before === undefined) return false;
  const [, epochBefore, countBefore] = REVISION.exec(before) ?? [];
  const [, epoch, count] = REVISION.exec(after) ?? [];
  return epoch !== epochBefore || Number(count) < Number(countBefore);
}

/** Of what refuses all until a moment, a later moment refuses more. */
function isMissing(known: Revocation, stored: Revocation | undefined): boolean {
  if (stored === undefined || stored.untilMs < known.untilMs) return true;
  return countsByMoment(known.kind) && stored.atMs < known.atMs;
}

function answered<T>(asked: Promise<T>): Promise<T> {
  return inTime(asked, ANSWER_MS, () => {
    const message = `the store did not answer within ${ANSWER_MS / 1_000} s`;
    throw new GateError("store_unavailable", message);
  });
}

function lossMessage(fault: unknown): string {
  const why = fault instanceof GateError ? fault.message : String(fault);
  return `revocations are not in step with the store: ${why}`;
}
