import { describe, expect, test } from "bun:test";
import { refuse } from "../../src/identity/refusal.ts";
import { createTokenCache, type VerifiedToken } from "../../src/identity/token-cache.ts";

const TOKEN = { times: { expiresAt: 1 } } as VerifiedToken;
const REFUSED = refuse("json_refused");

const limits = (verifiedBytes: number, failureBytes: number) => ({
  verified: { entries: 3, bytes: verifiedBytes },
  failures: { entries: 3, bytes: failureBytes, ms: 100 },
});

describe("createTokenCache()", () => {
  test("is bounded by entries, the longest unused first", () => {
    const cache = createTokenCache(limits(1e6, 1e6));
    for (const name of ["a", "b", "c"]) cache.keepVerified(name, TOKEN);
    cache.verified("a");
    cache.keepVerified("d", TOKEN);
    expect(["a", "b", "c", "d"].filter((name) => cache.verified(name) !== undefined)).toEqual([
      "a",
      "c",
      "d",
    ]);
  });

  test("is bounded by bytes", () => {
    const cache = createTokenCache(limits(10_000, 2_000));
    cache.keepVerified("a".repeat(2_000), TOKEN);
    cache.keepVerified("b", TOKEN);
    expect(cache.verified("b")).toBe(TOKEN);
    expect(cache.verified("a".repeat(2_000))).toBeUndefined();
    cache.keepFailure("c".repeat(3_000), REFUSED, 0);
    expect(cache.failure("c".repeat(3_000), 0)).toBeUndefined();
  });

  test("forgets failures soon, by the clock it is given", () => {
    const cache = createTokenCache(limits(1e6, 1e6));
    cache.keepFailure("a", REFUSED, 1_000);
    expect(cache.failure("a", 1_099)).toBe(REFUSED);
    expect(cache.failure("a", 1_100)).toBeUndefined();
    expect(cache.failure("a", 999)).toBeUndefined();
    expect(cache.failure("b", 1_000)).toBeUndefined();
  });

  test("keeps failures apart from what is good", () => {
    const cache = createTokenCache(limits(1e6, 1e6));
    cache.keepVerified("a", TOKEN);
    for (let index = 0; index < 100; index++) cache.keepFailure(`bad ${index}`, REFUSED, 0);
    expect(cache.verified("a")).toBe(TOKEN);
    expect(cache.failure("a", 0)).toBeUndefined();
    expect(cache.failure("bad 0", 0)).toBeUndefined();
    expect(cache.failure("bad 99", 0)).toBe(REFUSED);
  });
});
