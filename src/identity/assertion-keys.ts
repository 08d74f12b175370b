/**
 * The keys that the gate signs assertions with. They lie sealed in the store, so that all gates
 * of it sign with the same and publish the same; each publishes a new key well before anyone
 * signs with it, and an old one until nothing that it has signed is left.
 *
 * @module
 */
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
} from "jose";
import { GateError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import { isObject, own } from "./strict-json.ts";

/** A key's public half, as it is published. */
export type PublishedKey = {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly alg: "ES256";
  readonly use: "sig";
};

export type AssertionSigner = { readonly kid: string; readonly key: CryptoKey };

export type AssertionKeys = {
  /** The one that signs now; `undefined` until `load` has brought keys. */
  signer(nowMs: number): AssertionSigner | undefined;
  /** Whether whoever checks can find the key. */
  isPublished(kid: string): boolean;
  published(): readonly PublishedKey[];
  /**
   * Brings the keys, makes them where there are none; at once where they are at hand.
   *
   * @throws GateError `store_unavailable`, `state_unusable`.
   */
  load(): Promise<void>;
  /** Looks at the store no more. */
  close(): void;
};

export type AssertionKeyDependencies = {
  readonly store: Pick<Store, "get" | "putNew" | "replace">;
  /** Private keys do not lie open in the store. */
  readonly seal: (content: object) => Promise<string>;
  /** @returns `undefined` for what cannot be opened. */
  readonly open: (text: string) => Promise<unknown>;
  readonly now: () => number;
  readonly warn: (message: string) => void;
};

type StoredKey = PublishedKey & { readonly d: string; readonly bornMs: number };
type Held = { readonly stored: readonly StoredKey[]; readonly signers: readonly AssertionSigner[] };

const STORE_KEY = "assertion-keys";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** A key signs for so long, then another does. */
const ROTATED_AFTER_MS = 30 * DAY_MS;
/** A new key is published for so long before it signs: longer than anyone's copy is old. */
const PUBLISHED_BEFORE_MS = 15 * MINUTE_MS;
/** Of other gates' changes a gate knows within this. */
const REFRESH_MS = 5 * MINUTE_MS;
/** Longer than any assertion lives. */
const PUBLISHED_AFTER_MS = DAY_MS;
const KEPT_MS = 3_650 * DAY_MS;
/** Between two attempts that requests cause. */
const RETRY_MS = 1_000;
/** Of gates that write at once one wins each time. */
const MOST_ATTEMPTS = 20;

export function openAssertionKeys(dependencies: AssertionKeyDependencies): AssertionKeys {
  const { store, seal, open, now, warn } = dependencies;
  let held: Held | undefined;
  let loading: Promise<void> | undefined;
  let failed: { readonly atMs: number; readonly fault: unknown } | undefined;
  let timer: Timer | undefined;
  let isClosed = false;

  async function refresh(): Promise<void> {
    for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
      const nowMs = now();
      const text = await store.get(STORE_KEY);
      const there = text === undefined ? held?.stored : readStored(await open(text));
      if (text !== undefined && there === undefined) {
        warn(
          "the keys in the store cannot be opened, and are made anew: was session.secret changed?",
        );
      }
      const wanted = await renew(there ?? [], nowMs);
      if (text === undefined || wanted !== there) {
        const value = await seal({ version: 1, keys: wanted });
        const untilMs = nowMs + KEPT_MS;
        const isOurs =
          text === undefined
            ? await store.putNew(STORE_KEY, value, untilMs)
            : await store.replace(STORE_KEY, text, value, untilMs);
        if (!isOurs) continue;
      }
      held = { stored: wanted, signers: await Promise.all(wanted.map(importSigner)) };
      return;
    }
    throw new GateError("store_unavailable", "the assertion keys in the store never hold still");
  }

  function refreshOnce(): Promise<void> {
    loading ??= refresh()
      .then(
        () => {
          failed = undefined;
        },
        (fault: unknown) => {
          failed = { atMs: now(), fault };
          throw fault;
        },
      )
      .finally(() => {
        loading = undefined;
        refreshLater();
      });
    return loading;
  }

  function refreshLater(): void {
    if (isClosed) return;
    clearTimeout(timer);
    timer = setTimeout(() => {
      refreshOnce().catch((fault: unknown) => {
        const why = fault instanceof GateError ? fault.message : "failed";
        warn(`the keys in the store cannot be read: ${why}; those at hand go on`);
      });
    }, REFRESH_MS);
    timer.unref();
  }

  return {
    signer(nowMs) {
      if (held === undefined) return undefined;
      const { stored, signers } = held;
      const at = stored.findLastIndex(({ bornMs }) => bornMs + PUBLISHED_BEFORE_MS <= nowMs);
      return signers[Math.max(at, 0)];
    },
    isPublished: (kid) => held?.stored.some((key) => key.kid === kid) === true,
    published: () => held?.stored.map(publicHalf) ?? [],
    async load() {
      if (held !== undefined) return;
      const sinceMs = failed === undefined ? RETRY_MS : now() - failed.atMs;
      if (loading === undefined && sinceMs >= 0 && sinceMs < RETRY_MS) throw failed?.fault;
      await refreshOnce();
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}

/** @returns The very same list where nothing is due. */
async function renew(keys: readonly StoredKey[], nowMs: number): Promise<readonly StoredKey[]> {
  const needed = keys.filter((_, index) => {
    const next = keys[index + 1];
    return next === undefined || nowMs < next.bornMs + PUBLISHED_BEFORE_MS + PUBLISHED_AFTER_MS;
  });
  const newest = needed.at(-1);
  if (newest === undefined || nowMs >= newest.bornMs + ROTATED_AFTER_MS) {
    return [...needed, await makeKey(nowMs)];
  }
  return needed.length === keys.length ? keys : needed;
}

async function makeKey(bornMs: number): Promise<StoredKey> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  const jwk = await exportJWK(privateKey);
  const { kty = "", crv = "", x = "", y = "", d = "" } = jwk;
  const kid = await calculateJwkThumbprint(jwk);
  return { kty, crv, x, y, d, kid, alg: "ES256", use: "sig", bornMs };
}

async function importSigner({ kid, kty, crv, x, y, d }: StoredKey): Promise<AssertionSigner> {
  const key = await importJWK({ kty, crv, x, y, d }, "ES256");
  if (key instanceof Uint8Array) throw new Error("an EC key is no bytes");
  return { kid, key };
}

function publicHalf({ kty, crv, x, y, kid, alg, use }: StoredKey): PublishedKey {
  return { kty, crv, x, y, kid, alg, use };
}

/** What was sealed is ours; another version's is as good as none. */
function readStored(content: unknown): readonly StoredKey[] | undefined {
  if (!isObject(content) || own(content, "version") !== 1) return undefined;
  const keys = own(content, "keys");
  return Array.isArray(keys) && keys.length > 0 ? keys : undefined;
}
