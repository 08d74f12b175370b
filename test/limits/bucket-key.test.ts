import { describe, expect, test } from "bun:test";
import { bucketKey } from "../../src/limits/bucket-key.ts";

const BUCKET = { limit: 5, perMs: 1_000 };

describe("bucketKey()", () => {
  const alike = bucketKey("route a", BUCKET, "subject x");

  test.each([
    ["another scope", bucketKey("route b", BUCKET, "subject x")],
    ["another limit", bucketKey("route a", { limit: 6, perMs: 1_000 }, "subject x")],
    ["another time", bucketKey("route a", { limit: 5, perMs: 2_000 }, "subject x")],
    ["somebody else", bucketKey("route a", BUCKET, "subject y")],
    ["a scope that goes on", bucketKey("route a:5/1000", BUCKET, "subject x")],
    ["one that is long", bucketKey("route a", BUCKET, `subject x${"x".repeat(500)}`)],
  ])("differs for %s", (_what, other) => {
    expect(other).not.toBe(alike);
  });

  test("differs where scope and name run together alike", () => {
    const one = bucketKey("policy a", BUCKET, "key b:5/1000:key c");
    expect(bucketKey("policy a:5/1000:key b", BUCKET, "key c")).not.toBe(one);
  });

  test("is short, however long what it is made of", () => {
    const [a, b] = ["a", "b"].map((end) => bucketKey("route", BUCKET, "x".repeat(16_384) + end));
    expect(a).toHaveLength(32);
    expect(a).not.toBe(b);
  });
});
