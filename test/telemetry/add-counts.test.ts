import { expect, test } from "bun:test";
import { addCounts } from "../../src/telemetry/add-counts.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { addStanding, type Standing } from "../../src/telemetry/standing.ts";

test("the sum of two is what one would have counted", () => {
  const [one, other, both] = [createMetrics(), createMetrics(), createMetrics()];
  const events = [
    [one, "orders", undefined, 200, 3],
    [one, "orders", "policy_denied", 403, 1],
    [other, "orders", "policy_denied", 403, 700],
    [other, "orders", "token_missing", 401, 1],
    [other, "bills", undefined, 302, 40_000],
  ] as const;
  for (const [whose, route, code, status, ms] of events) {
    for (const metrics of [whose, both]) metrics.decided(route, code, status, ms);
  }
  for (const metrics of [other, both]) {
    metrics.answered("bills", 12);
    metrics.judged([
      { name: "staff", verdict: "deny", shadow: false, ms: 2 },
      { name: "staff", verdict: "allow", shadow: true, ms: 3 },
    ]);
  }
  const sum = addCounts(one.counts, other.counts);
  expect(sum).toEqual(both.counts);
  // The parts stay as they were.
  expect(one.counts.routes.get("orders")?.denied.get("policy_denied")?.count).toBe(1);
});

test("how two stand: sums, and the worse of what both have", () => {
  const one: Standing = {
    version: "1",
    startedMs: 2_000,
    tokensTracked: 3,
    revocations: 5,
    streamsOpen: 1,
    auditBacklog: 7,
    followers: 1,
    isStoreFresh: true,
    isDraining: false,
    issuers: [
      { name: "okta", state: "fresh", keys: 2, fetchedMs: 900 },
      { name: "dev", state: "fresh", keys: 1, fetchedMs: 900 },
    ],
    process: { cpuSeconds: 1, residentBytes: 10, heapBytes: 4 },
  };
  const other: Standing = {
    ...one,
    startedMs: 1_000,
    revocations: 4,
    isStoreFresh: false,
    issuers: [
      { name: "okta", state: "stale", keys: 1, fetchedMs: 950 },
      { name: "dev", state: "fresh", keys: 1, fetchedMs: 800 },
    ],
  };
  for (const sum of [addStanding(one, other), addStanding(other, one)]) {
    expect(sum).toMatchObject({
      startedMs: 1_000,
      tokensTracked: 6,
      revocations: 5,
      streamsOpen: 2,
      auditBacklog: 14,
      followers: 2,
      isStoreFresh: false,
      isDraining: false,
      issuers: [
        { name: "okta", state: "stale", keys: 1 },
        { name: "dev", fetchedMs: 800 },
      ],
      process: { cpuSeconds: 2, residentBytes: 20, heapBytes: 8 },
    });
  }
});
