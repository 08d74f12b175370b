/**
 * A token's public id: a short keyed hash that the audit shows, that `claimgate revoke --token`
 * takes, and by which a token without `jti` is revoked. Nobody can tell the token from it, nor,
 * without the key, whether a token that he has a guess at was here.
 *
 * @module
 */
import { createHmac, randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { openKeyFile } from "../config/key-file.ts";
import type { StoreConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Store } from "../store/store.ts";
import type { Token } from "../types.ts";

export type TokenHash = {
  /** Computed once for each token. `undefined` for one that was made up and has no digest. */
  of(token: Token): string | undefined;
  /** @param digest Of `identity/token-digest.ts`. */
  ofDigest(digest: string): string;
  /** Under the key in force, and under those that this process had before. */
  everyOf(digest: string): readonly string[];
  /**
   * Brings the key into line with the store's.
   *
   * @returns Whether it was another one.
   */
  settle(): Promise<boolean>;
};

const KEY_BYTES = 32;
/** 128 bits as base64url. */
const HASH_LENGTH = 22;
const SECRET = "token-hash";
/** One more whenever an emptied store was given another key before ours came back. */
const MOST_KEYS = 4;

/** Whether a text can be a token's public id; a token itself never is. */
export function isTokenHash(text: string): boolean {
  return /^[A-Za-z0-9_-]{22}$/.test(text);
}

/**
 * The key lies in `.claimgate/token-hash.key` beside an SQLite file, 0600; in Redis it is the
 * store's own, since all gates need the same.
 *
 * @param store Where it cannot be reached now, hashes are by a key of this process, until
 *   `settle` reaches it.
 * @throws GateError `state_unusable` when the key's file can be neither read nor made.
 */
export async function openTokenHash(
  store: Pick<Store, "secret">,
  config: StoreConfig,
): Promise<TokenHash> {
  if (config.kind === "sqlite") {
    const key = await openKeyFile({
      file: join(dirname(config.file), ".claimgate", "token-hash.key"),
      bytes: KEY_BYTES,
      risk: "who could tell which tokens were here",
      loss: "what was revoked by token is then to be revoked again",
    });
    return createTokenHash(key, async (ours) => ours);
  }
  const { secret } = store;
  if (secret === undefined) throw new Error("a Redis store keeps secrets");
  const hash = createTokenHash(randomBytes(KEY_BYTES), (ours) => secret.call(store, SECRET, ours));
  await hash.settle().catch((fault: unknown) => {
    if (!(fault instanceof GateError) || fault.code !== "store_unavailable") throw fault;
  });
  return hash;
}

/** @param agree Given our key, tells the one that all gates use. */
function createTokenHash(
  first: Uint8Array,
  agree: (ours: Uint8Array) => Promise<Uint8Array>,
): TokenHash {
  let keys: readonly Uint8Array[] = [first];
  let known = new WeakMap<Token, string>();

  function ofDigest(digest: string, key = keys[0] ?? first): string {
    return createHmac("sha256", key).update(digest).digest("base64url").slice(0, HASH_LENGTH);
  }

  return {
    of(token) {
      const before = known.get(token);
      if (before !== undefined || token.digest === undefined) return before;
      const hash = ofDigest(token.digest);
      known.set(token, hash);
      return hash;
    },
    ofDigest: (digest) => ofDigest(digest),
    everyOf: (digest) => keys.map((key) => ofDigest(digest, key)),
    async settle() {
      const [ours = first, ...former] = keys;
      const agreed = await agree(ours);
      if (Buffer.compare(agreed, ours) === 0) return false;
      keys = [agreed, ours, ...former].slice(0, MOST_KEYS);
      known = new WeakMap();
      return true;
    },
  };
}
