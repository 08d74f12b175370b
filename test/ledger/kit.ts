/**
 * Real parts for the tests of this room: an SQLite store that can be taken away, and tokens.
 *
 * @module
 */
import { join } from "node:path";
import { GateError } from "../../src/errors.ts";
import type { RevocationDependencies } from "../../src/ledger/revocations.ts";
import { openTokenHash } from "../../src/ledger/token-hash.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { Revocation, Store } from "../../src/store/store.ts";
import type { Token } from "../../src/types.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";

/** Any moment within a second: 2026-01-05T10:00:00.400Z. */
export const NOW_MS = Date.UTC(2026, 0, 5, 10, 0, 0, 400);
export const NOW = Math.floor(NOW_MS / 1_000);
export const ISSUER = "https://issuer.example";

export function tokenOf(more: Partial<Token> = {}): Token {
  return {
    issuer: ISSUER,
    issuerName: "main",
    subject: "alice",
    audience: ["api"],
    id: "t1",
    issuedAt: NOW - 60,
    expiresAt: NOW + 3_600,
    scopes: [],
    claims: {},
    digest: "d1",
    ...more,
  };
}

export function revoked(more: Partial<Revocation> = {}): Revocation {
  const times = { atMs: NOW_MS, untilMs: NOW_MS + 3_600_000 };
  return { kind: "jti", issuer: ISSUER, value: "t1", reason: "", author: "cli", ...times, ...more };
}

export type Event = { readonly level: string; readonly event: string; readonly fields?: object };

/** Stores in one folder, any of which can be the one that gates see, or none. */
export async function storesForTests() {
  const folder: TempFolder = await tempFolder();
  const opened: Store[] = [];
  const clock = { nowMs: NOW_MS, uptimeMs: 1_000 };
  const events: Event[] = [];

  async function openStore(name = "claimgate.db"): Promise<Store> {
    const store = await openSqliteStore(join(folder.path, name), { now: () => clock.nowMs });
    opened.push(store);
    return store;
  }

  /** What a gate sees: `current` may be changed or be away. */
  function seen(first: Store) {
    const state: { current: Store | undefined; refused: number } = { current: first, refused: 0 };
    const use = async <T>(act: (store: Store) => Promise<T>): Promise<T> => {
      if (state.current !== undefined) return act(state.current);
      state.refused += 1;
      throw new GateError("store_unavailable", "it is away");
    };
    const store: RevocationDependencies["store"] = {
      revoke: (revocation) => use((one) => one.revoke(revocation)),
      unrevoke: (kind, issuer, value) => use((one) => one.unrevoke(kind, issuer, value)),
      revocations: (nowMs) => use((one) => one.revocations(nowMs)),
      revision: () => use((one) => one.revision()),
      onRevocation: (listener) => first.onRevocation(listener),
    };
    return { state, store };
  }

  const tokenHash = await openTokenHash(
    {},
    { kind: "sqlite", file: join(folder.path, "claimgate.db") },
  );
  return {
    folder,
    openStore,
    seen,
    clock,
    events,
    /** What `openRevocations` wants. */
    deps: (store: RevocationDependencies["store"]): RevocationDependencies => ({
      store,
      tokenHash,
      now: () => clock.nowMs,
      uptimeMs: () => clock.uptimeMs,
      maxStalenessMs: () => 30_000,
      log: {
        event: (level, event, _, fields) =>
          void events.push({ level, event, ...(fields && { fields }) }),
      },
    }),
    tokenHash,
    async [Symbol.asyncDispose]() {
      await Promise.all(opened.map((store) => store.close()));
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Waits for what happens in the background, for at most five seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 5_000;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error("it did not come to that within 5 s");
    await Bun.sleep(2);
  }
}
