/**
 * What several processes have counted, as if one had.
 *
 * @module
 */
import type { Counts, Durations, PolicyCounts, RouteCounts } from "./metrics.ts";

/** @returns Counts of their own, that share nothing with the parts. Reloads are the first's. */
export function addCounts(one: Counts, other: Counts): Counts {
  return {
    routes: addMaps(one.routes, other.routes, addRoutes),
    policies: addMaps(one.policies, other.policies, addPolicies),
    reloads: one.reloads,
  };
}

function addMaps<T>(
  one: ReadonlyMap<string, T>,
  other: ReadonlyMap<string, T>,
  add: (one: T, other: T) => T,
): Map<string, T> {
  const sum = new Map(one);
  for (const [name, value] of other) {
    const known = sum.get(name);
    sum.set(name, known === undefined ? value : add(known, value));
  }
  return sum;
}

function addRoutes(one: RouteCounts, other: RouteCounts): RouteCounts {
  return {
    forwarded: addNumbers(one.forwarded, other.forwarded),
    denied: addMaps(one.denied, other.denied, (a, b) => ({ count: a.count + b.count })),
    decision: addDurations(one.decision, other.decision),
    upstream: addDurations(one.upstream, other.upstream),
  };
}

function addDurations(one: Durations, other: Durations): Durations {
  return {
    buckets: addNumbers(one.buckets, other.buckets),
    totalMs: one.totalMs + other.totalMs,
    count: one.count + other.count,
  };
}

function addNumbers(one: Float64Array, other: Float64Array): Float64Array {
  return one.map((value, place) => value + (other[place] ?? 0));
}

function addPolicies(one: PolicyCounts, other: PolicyCounts): PolicyCounts {
  return {
    verdicts: addVerdicts(one.verdicts, other.verdicts),
    shadowVerdicts: addVerdicts(one.shadowVerdicts, other.shadowVerdicts),
    totalMs: one.totalMs + other.totalMs,
    asked: one.asked + other.asked,
  };
}

type Verdicts = PolicyCounts["verdicts"];

function addVerdicts(one: Verdicts, other: Verdicts): Verdicts {
  return {
    allow: one.allow + other.allow,
    deny: one.deny + other.deny,
    challenge: one.challenge + other.challenge,
    fault: one.fault + other.fault,
  };
}
