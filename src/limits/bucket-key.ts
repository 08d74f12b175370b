import type { Bucket } from "../store/store.ts";

/** Longer keys are kept as their hash: a subject may be as long as a token. */
const KEY_LIMIT = 128;
/** 192 bits. */
const HASH_CHARACTERS = 32;

/**
 * The key of a bucket: what asks for the limit, how large the bucket is, and who shares it. A
 * limit that the operator changes begins with full buckets.
 *
 * @param scope Which limit: `route orders`, `policy free-tier`.
 * @param who Of any length.
 */
export function bucketKey(scope: string, { limit, perMs }: Bucket, who: string): string {
  const key = `${scope.length}:${scope}:${limit}/${perMs}:${who}`;
  if (key.length <= KEY_LIMIT) return key;
  return new Bun.CryptoHasher("sha256").update(key).digest("base64url").slice(0, HASH_CHARACTERS);
}
