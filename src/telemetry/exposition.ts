/**
 * Counts as Prometheus reads them: text format 0.0.4, made anew for each that asks.
 *
 * @module
 */
import { type Metric, Registry } from "prom-client";
import { BOUNDS_MS, type Counts, type Durations } from "./metrics.ts";
import type { Standing } from "./standing.ts";

export const EXPOSITION_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

type Sample = {
  readonly value: number;
  readonly labels?: Readonly<Record<string, string>>;
  /** Where it is not the family's own: `…_bucket`. */
  readonly metricName?: string;
};

type Kind = "counter" | "gauge" | "histogram" | "summary";

/** @param nowMs Since 1970. */
export async function exposition(
  counts: Counts,
  standing: Standing,
  nowMs: number,
): Promise<string> {
  const registry = new Registry();
  const add = (name: string, kind: Kind, help: string, values: readonly Sample[]) => {
    // A registry takes whatever tells its own values; the types know the classes alone.
    const family = { name, help, type: kind, values };
    registry.registerMetric({ name, get: async () => family } as unknown as Metric);
  };
  addCounts(add, counts);
  addStanding(add, standing, nowMs);
  addProcess(add, standing);
  return registry.metrics();
}

type Add = (name: string, kind: Kind, help: string, values: readonly Sample[]) => void;

function addCounts(add: Add, { routes, policies, reloads }: Counts): void {
  const decisions: Sample[] = [];
  const decision: Sample[] = [];
  const upstream: Sample[] = [];
  for (const [route, counts] of routes) {
    for (const [first, value] of counts.forwarded.entries()) {
      const status = first === 0 ? "" : `${first}xx`;
      if (value > 0)
        decisions.push({ value, labels: { route, decision: "forward", code: "", status } });
    }
    for (const [code, { count: value }] of counts.denied) {
      decisions.push({ value, labels: { route, decision: "deny", code, status: "" } });
    }
    decision.push(...histogram("claimgate_decision_duration_seconds", route, counts.decision));
    if (counts.upstream.count === 0) continue;
    upstream.push(...histogram("claimgate_upstream_duration_seconds", route, counts.upstream));
  }
  const decisionsHelp =
    "Decisions by route, outcome and code; status is the class of a forwarded answer's";
  add("claimgate_decisions_total", "counter", decisionsHelp, decisions);
  const decisionHelp = "From a request's arrival until its answer began";
  add("claimgate_decision_duration_seconds", "histogram", decisionHelp, decision);
  const upstreamHelp = "From sending a request to its upstream until the answer began";
  add("claimgate_upstream_duration_seconds", "histogram", upstreamHelp, upstream);

  const verdicts: Sample[] = [];
  const asked: Sample[] = [];
  for (const [policy, counts] of policies) {
    for (const shadow of ["false", "true"] as const) {
      const group = shadow === "true" ? counts.shadowVerdicts : counts.verdicts;
      for (const [verdict, value] of Object.entries(group)) {
        if (value > 0) verdicts.push({ value, labels: { policy, verdict, shadow } });
      }
    }
    const name = "claimgate_policy_duration_seconds";
    const labels = { policy };
    asked.push({ metricName: `${name}_sum`, value: counts.totalMs / 1_000, labels });
    asked.push({ metricName: `${name}_count`, value: counts.asked, labels });
  }
  add("claimgate_policy_verdicts_total", "counter", "Verdicts by policy", verdicts);
  add("claimgate_policy_duration_seconds", "summary", "Time that policies took", asked);
  add("claimgate_reloads_total", "counter", "Reloads by how they ended", [
    { value: reloads.in_force, labels: { outcome: "in_force" } },
    { value: reloads.refused, labels: { outcome: "refused" } },
  ]);
}

function histogram(name: string, route: string, durations: Durations): Sample[] {
  const samples: Sample[] = [];
  let total = 0;
  for (const [place, count] of durations.buckets.entries()) {
    total += count;
    const bound = BOUNDS_MS[place];
    const le = bound === undefined ? "+Inf" : String(bound / 1_000);
    samples.push({ metricName: `${name}_bucket`, value: total, labels: { route, le } });
  }
  const labels = { route };
  samples.push({ metricName: `${name}_sum`, value: durations.totalMs / 1_000, labels });
  samples.push({ metricName: `${name}_count`, value: durations.count, labels });
  return samples;
}

function addStanding(add: Add, standing: Standing, nowMs: number): void {
  const gauge = (name: string, help: string, value: number | boolean) =>
    add(name, "gauge", help, [{ value: Number(value) }]);
  const version = [{ value: 1, labels: { version: standing.version } }];
  add("claimgate_build_info", "gauge", "The version that runs", version);
  gauge(
    "claimgate_tokens_tracked",
    "Tokens and sessions in this process's memory",
    standing.tokensTracked,
  );
  gauge("claimgate_revocations", "Revocations in force", standing.revocations);
  gauge("claimgate_streams_open", "Streams that are watched", standing.streamsOpen);
  gauge(
    "claimgate_audit_backlog",
    "Audit records that are not in the store yet",
    standing.auditBacklog,
  );
  gauge("claimgate_followers", "Clients of the stream of decisions", standing.followers);
  const freshHelp =
    "1 while the store was heard of within revocation.maxStaleness; 0 when it is lost";
  gauge("claimgate_store_fresh", freshHelp, standing.isStoreFresh);
  gauge("claimgate_draining", "1 while the gate ends", standing.isDraining);

  const { issuers, lastReload, workers } = standing;
  if (workers !== undefined) {
    gauge("claimgate_workers", "Processes that serve", workers.serving);
    const replaced = [{ value: workers.replaced }];
    const help = "Workers that had ended or hung, and were started anew";
    add("claimgate_workers_replaced_total", "counter", help, replaced);
  }
  const keys = issuers.map(({ name, keys: value }) => ({ value, labels: { issuer: name } }));
  add("claimgate_issuer_keys", "gauge", "Keys that can check signatures", keys);
  const states = issuers.map(({ name, state }) => ({
    value: Number(state === "fresh"),
    labels: { issuer: name },
  }));
  add("claimgate_issuer_keys_fresh", "gauge", "1 while an issuer's keys are fresh", states);
  const ages = issuers.flatMap(({ name, fetchedMs }) => {
    if (fetchedMs === undefined) return [];
    return [{ value: Math.max(0, nowMs - fetchedMs) / 1_000, labels: { issuer: name } }];
  });
  add("claimgate_issuer_keys_age_seconds", "gauge", "Since an issuer's keys were read", ages);
  if (lastReload === undefined) return;
  gauge("claimgate_last_reload_in_force", "1 if the last reload is in force", lastReload.inForce);
  gauge(
    "claimgate_last_reload_timestamp_seconds",
    "When it was, since 1970",
    lastReload.atMs / 1_000,
  );
}

/** Under the names that every Prometheus client uses; of several processes, their sums. */
function addProcess(add: Add, { process, startedMs }: Standing): void {
  const cpu = [{ value: process.cpuSeconds }];
  add("process_cpu_seconds_total", "counter", "CPU time spent", cpu);
  const resident = [{ value: process.residentBytes }];
  add("process_resident_memory_bytes", "gauge", "Memory of the process", resident);
  const heap = [{ value: process.heapBytes }];
  add("process_heap_bytes", "gauge", "Memory of JavaScript objects", heap);
  const start = [{ value: startedMs / 1_000 }];
  add("process_start_time_seconds", "gauge", "When the process started, since 1970", start);
}
