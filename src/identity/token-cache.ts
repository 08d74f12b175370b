/**
 * What is known of tokens that were seen before, by the whole token's bytes. Good ones and
 * failures are kept apart: a flood of bad tokens cannot push a good one out.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import type { Err } from "../result.ts";
import type { Refusal } from "../types.ts";
import type { AcceptedToken } from "./accept.ts";
import type { Issuer } from "./issuers.ts";
import type { KeySet } from "./key-set.ts";

/** A token that holds but for the moment, which is asked each time. */
export type VerifiedToken = AcceptedToken & {
  readonly issuer: Issuer;
  /** What it was verified with: good only while this is in force. */
  readonly keySet: KeySet;
};

type KnownFailure = { readonly refused: Err<Refusal>; readonly storedAtMs: number };

type TokenCache = {
  verified(credential: string): VerifiedToken | undefined;
  keepVerified(credential: string, token: VerifiedToken): void;
  failure(credential: string, nowMs: number): Err<Refusal> | undefined;
  keepFailure(credential: string, refused: Err<Refusal>, nowMs: number): void;
};

export type CacheLimits = {
  readonly verified: { readonly entries: number; readonly bytes: number };
  readonly failures: { readonly entries: number; readonly bytes: number; readonly ms: number };
};

const MB = 1024 * 1024;

export const CACHE_LIMITS: CacheLimits = {
  verified: { entries: 20_000, bytes: 64 * MB },
  failures: { entries: 5_000, bytes: 4 * MB, ms: 10_000 },
};

/** The objects around a parsed token, and its claims for each byte of its text; by measure. */
const ENTRY_BYTES = 1_024;
const PARSED_PER_BYTE = 3;

export function createTokenCache(limits: CacheLimits = CACHE_LIMITS): TokenCache {
  const verified = new LRUCache<string, VerifiedToken>({
    max: limits.verified.entries,
    maxSize: limits.verified.bytes,
    sizeCalculation: (_, { length }) => ENTRY_BYTES + length * (1 + PARSED_PER_BYTE),
  });
  const failures = new LRUCache<string, KnownFailure>({
    max: limits.failures.entries,
    maxSize: limits.failures.bytes,
    sizeCalculation: (_, { length }) => ENTRY_BYTES / 4 + length,
  });
  return {
    verified: (credential) => verified.get(credential),
    keepVerified(credential, token) {
      verified.set(credential, token);
    },
    failure(credential, nowMs) {
      const known = failures.get(credential);
      if (known === undefined) return undefined;
      const ageMs = nowMs - known.storedAtMs;
      return ageMs >= 0 && ageMs < limits.failures.ms ? known.refused : undefined;
    },
    keepFailure(credential, refused, nowMs) {
      failures.set(credential, { refused, storedAtMs: nowMs });
    },
  };
}
