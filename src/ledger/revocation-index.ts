/**
 * The revocations that this process knows, ready to be asked: a known token costs one look-up,
 * a new one four, and none costs more than a comparison while nothing is revoked.
 *
 * @module
 */
import { mergeRevocations } from "../store/merge.ts";
import type { Revocation } from "../store/store.ts";
import type { Token } from "../types.ts";
import { keyOf, keyOfRevocation, logoutValue } from "./revocation.ts";
import type { TokenHash } from "./token-hash.ts";

/** Revocations that are indexed before others have their turn: well under a millisecond. */
const STEP = 500;

type Verdict = { revision: number; revocation: Revocation | undefined };

export class RevocationIndex {
  #known = new Map<string, Revocation>();
  /** Kinds of which there is none need no look-up. */
  #kinds = new Set<Revocation["kind"]>();
  /** Counts changes; a verdict of another revision counts no more. */
  #revision = 0;
  readonly #verdicts = new WeakMap<Token, Verdict>();
  readonly #hash: Pick<TokenHash, "everyOf">;

  constructor(hash: Pick<TokenHash, "everyOf">) {
    this.#hash = hash;
  }

  get size(): number {
    return this.#known.size;
  }

  values(): readonly Revocation[] {
    return [...this.#known.values()];
  }

  get(key: string): Revocation | undefined {
    return this.#known.get(key);
  }

  /** @returns What is in force now: never less than before. */
  put(revocation: Revocation): Revocation {
    const key = keyOfRevocation(revocation);
    const there = this.#known.get(key);
    const merged = there === undefined ? revocation : mergeRevocations(there, revocation);
    this.#known.set(key, merged);
    this.#kinds.add(merged.kind);
    this.#revision += 1;
    return merged;
  }

  remove(key: string): boolean {
    this.#revision += 1;
    return this.#known.delete(key);
  }

  /**
   * Puts these in the place of all that is known, a step at a time: requests must not wait for it.
   *
   * @param overlay Read at the end: what has been put while it lasted stays.
   */
  async replace(revocations: readonly Revocation[], overlay: () => Iterable<Revocation>) {
    const next = new Map<string, Revocation>();
    const kinds = new Set<Revocation["kind"]>();
    for (const [at, revocation] of revocations.entries()) {
      if (at % STEP === STEP - 1) await nextTurn();
      next.set(keyOfRevocation(revocation), revocation);
      kinds.add(revocation.kind);
    }
    let isSame = next.size === this.#known.size;
    let at = 0;
    for (const [key, { atMs }] of next) {
      if (!isSame) break;
      at += 1;
      if (at % STEP === 0) await nextTurn();
      isSame = this.#known.get(key)?.atMs === atMs;
    }
    this.#known = next;
    this.#kinds = kinds;
    if (!isSame) this.#revision += 1;
    for (const revocation of overlay()) this.put(revocation);
  }

  /** The key of hashes has changed. */
  forgetVerdicts(): void {
    this.#revision += 1;
  }

  check(token: Token): Revocation | undefined {
    if (this.#known.size === 0) return undefined;
    const before = this.#verdicts.get(token);
    if (before?.revision === this.#revision) return before.revocation;
    const revocation = this.#find(token);
    if (before === undefined) this.#verdicts.set(token, { revision: this.#revision, revocation });
    else {
      before.revision = this.#revision;
      before.revocation = revocation;
    }
    return revocation;
  }

  /** Of sessions and tokens alike; it refuses sessions alone. @returns When, if ever. */
  signedOutAt(token: Token): number | undefined {
    const found = this.#logouts(token).map(({ atMs }) => atMs);
    return found.length === 0 ? undefined : Math.max(...found);
  }

  #logouts(token: Token): readonly Revocation[] {
    if (!this.#kinds.has("logout")) return [];
    const { issuer, subject, claims } = token;
    const { sid } = claims;
    const bySession =
      typeof sid === "string" ? this.#look("logout", issuer, logoutValue({ sid })) : undefined;
    const bySubject =
      subject === "" ? undefined : this.#look("logout", issuer, logoutValue({ subject }));
    const isOver = bySubject !== undefined && isIssuedBy(token, bySubject.atMs);
    return [bySession, isOver ? bySubject : undefined].filter((one) => one !== undefined);
  }

  #find(token: Token): Revocation | undefined {
    const { issuer, id, subject, digest, session } = token;
    if (session !== undefined) {
      const found = this.#look("session", "", session) ?? this.#logouts(token)[0];
      if (found !== undefined) return found;
    }
    if (id !== undefined && id !== "") {
      const found = this.#look("jti", issuer, id);
      if (found !== undefined) return found;
    }
    if (digest !== undefined && this.#kinds.has("token")) {
      for (const hash of this.#hash.everyOf(digest)) {
        const found = this.#look("token", "", hash);
        if (found !== undefined) return found;
      }
    }
    if (subject !== "") {
      const found = this.#look("subject", issuer, subject);
      if (found !== undefined && isIssuedBy(token, found.atMs)) return found;
    }
    const found = this.#look("issuer", issuer, "");
    return found !== undefined && isIssuedBy(token, found.atMs) ? found : undefined;
  }

  #look(kind: Revocation["kind"], issuer: string, value: string): Revocation | undefined {
    return this.#kinds.has(kind) ? this.#known.get(keyOf(kind, issuer, value)) : undefined;
  }
}

/** In or before the second of that moment, by the token's own word; without one it counts as old. */
function isIssuedBy({ issuedAt }: Token, atMs: number): boolean {
  return issuedAt === undefined || Math.floor(issuedAt) <= Math.floor(atMs / 1_000);
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
