import { describe, expect, test } from "bun:test";
import { exposition } from "../../src/telemetry/exposition.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import type { Standing } from "../../src/telemetry/standing.ts";

const STANDING: Standing = {
  version: "1.2.3",
  startedMs: 1_000_000,
  tokensTracked: 7,
  revocations: 3,
  streamsOpen: 2,
  auditBacklog: 11,
  followers: 1,
  isStoreFresh: false,
  isDraining: false,
  lastReload: { inForce: false, atMs: 2_000_000 },
  issuers: [
    { name: "okta", state: "stale", keys: 2, fetchedMs: 1_990_000 },
    { name: "dead", state: "missing", keys: 0 },
  ],
  process: { cpuSeconds: 2.5, residentBytes: 3_000_000, heapBytes: 2_000_000 },
};

async function linesOf(metrics = createMetrics(), standing = STANDING): Promise<string[]> {
  const text = await exposition(metrics.counts, standing, 2_000_000);
  return text.split("\n").filter((line) => line !== "");
}

describe("counts", () => {
  test("of decisions by route, outcome and code", async () => {
    const metrics = createMetrics();
    metrics.decided("orders", undefined, 200, 1);
    metrics.decided("orders", undefined, 204, 1);
    metrics.decided("orders", undefined, 302, 1);
    metrics.decided("orders", "policy_denied", 403, 1);
    metrics.decided(undefined, "route_not_found", 404, 1);
    const lines = (await linesOf(metrics)).filter((line) =>
      line.startsWith("claimgate_decisions_total{"),
    );
    expect(lines).toEqual([
      'claimgate_decisions_total{route="orders",decision="forward",code="",status="2xx"} 2',
      'claimgate_decisions_total{route="orders",decision="forward",code="",status="3xx"} 1',
      'claimgate_decisions_total{route="orders",decision="deny",code="policy_denied",status=""} 1',
      'claimgate_decisions_total{route="",decision="deny",code="route_not_found",status=""} 1',
    ]);
  });

  test("of durations, each bucket with all that are shorter", async () => {
    const metrics = createMetrics();
    for (const ms of [0.5, 0.6, 30, 99_999]) metrics.decided("orders", undefined, 200, ms);
    metrics.answered("orders", 20);
    const lines = await linesOf(metrics);
    const bucket = (le: string) =>
      lines.find((line) =>
        line.startsWith(`claimgate_decision_duration_seconds_bucket{route="orders",le="${le}"}`),
      );
    expect(["0.0005", "0.001", "0.025", "0.05", "30", "+Inf"].map(bucket)).toEqual([
      'claimgate_decision_duration_seconds_bucket{route="orders",le="0.0005"} 1',
      'claimgate_decision_duration_seconds_bucket{route="orders",le="0.001"} 2',
      'claimgate_decision_duration_seconds_bucket{route="orders",le="0.025"} 2',
      'claimgate_decision_duration_seconds_bucket{route="orders",le="0.05"} 3',
      'claimgate_decision_duration_seconds_bucket{route="orders",le="30"} 3',
      'claimgate_decision_duration_seconds_bucket{route="orders",le="+Inf"} 4',
    ]);
    expect(lines).toContain('claimgate_decision_duration_seconds_count{route="orders"} 4');
    expect(lines).toContain('claimgate_upstream_duration_seconds_sum{route="orders"} 0.02');
  });

  test("of policies, those under shadow apart", async () => {
    const metrics = createMetrics();
    metrics.judged([
      { name: "staff", verdict: "allow", ms: 2, shadow: false },
      { name: "staff", verdict: "deny", ms: 3, shadow: true },
      { name: "hours", verdict: "fault", code: "threw", ms: 1, shadow: false },
    ]);
    const lines = await linesOf(metrics);
    for (const line of [
      'claimgate_policy_verdicts_total{policy="staff",verdict="allow",shadow="false"} 1',
      'claimgate_policy_verdicts_total{policy="staff",verdict="deny",shadow="true"} 1',
      'claimgate_policy_verdicts_total{policy="hours",verdict="fault",shadow="false"} 1',
      'claimgate_policy_duration_seconds_sum{policy="staff"} 0.005',
      'claimgate_policy_duration_seconds_count{policy="staff"} 2',
    ]) {
      expect(lines).toContain(line);
    }
  });

  test("are bounded, whatever names come", () => {
    const metrics = createMetrics();
    for (let count = 0; count < 6_000; count += 1) {
      metrics.decided(`route-${count}`, undefined, 200, 1);
    }
    expect(metrics.counts.routes.size).toBeLessThanOrEqual(5_001);
    expect(metrics.counts.routes.get("(others)")?.decision.count).toBe(1_000);
  });

  test("survive a status that is none", async () => {
    const metrics = createMetrics();
    for (const status of [0, -1, 999, Number.NaN]) metrics.decided("r", undefined, status, 1);
    expect(await linesOf(metrics)).toContain(
      'claimgate_decisions_total{route="r",decision="forward",code="",status=""} 4',
    );
  });
});

describe("exposition()", () => {
  test("says how the gate stands", async () => {
    const lines = await linesOf();
    for (const line of [
      'claimgate_build_info{version="1.2.3"} 1',
      "claimgate_tokens_tracked 7",
      "claimgate_revocations 3",
      "claimgate_streams_open 2",
      "claimgate_audit_backlog 11",
      "claimgate_store_fresh 0",
      'claimgate_issuer_keys{issuer="okta"} 2',
      'claimgate_issuer_keys_fresh{issuer="okta"} 0',
      'claimgate_issuer_keys_age_seconds{issuer="okta"} 10',
      'claimgate_issuer_keys{issuer="dead"} 0',
      "claimgate_last_reload_in_force 0",
      "claimgate_last_reload_timestamp_seconds 2000",
      "process_start_time_seconds 1000",
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines).toContain("process_resident_memory_bytes 3000000");
    expect(lines).toContain("process_cpu_seconds_total 2.5");
    expect(lines.join("\n")).not.toContain("claimgate_workers");
  });

  test("of several workers, how many serve and have been replaced", async () => {
    const standing = { ...STANDING, workers: { serving: 2, replaced: 5 } };
    const lines = await linesOf(createMetrics(), standing);
    expect(lines).toContain("claimgate_workers 2");
    expect(lines).toContain("claimgate_workers_replaced_total 5");
  });

  test("is well-formed: each family told once, names and labels escaped", async () => {
    const metrics = createMetrics();
    metrics.decided('a"b\\c\nd', undefined, 200, 1);
    const lines = await linesOf(metrics);
    const families = lines.filter((line) => line.startsWith("# TYPE")).map((l) => l.split(" ")[2]);
    expect(new Set(families).size).toBe(families.length);
    const sample =
      /^[a-z_]+(?:\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z]+="(?:[^"\\\n]|\\["\\n])*")*\})? [\d.e+-]+$/;
    expect(lines.filter((line) => !line.startsWith("#") && !sample.test(line))).toEqual([]);
    expect(lines.join("\n")).toContain('route="a\\"b\\\\c\\nd"');
  });
});
