/**
 * What is known of a token once more was seen of it: the one rule for memory and for every store.
 *
 * Counts are added up, times and maxima widened, and of each list the latest kept. All that does
 * not depend on the order in which parts come; where it matters which of two is the later (the
 * row of denials, the minute at hand), it is the one last seen.
 *
 * @module
 */
import type { Trace } from "../types.ts";
import type { Sighting, Unusual } from "./store.ts";

/** What is kept of each list, at most. */
export const SIGHTING_LIMITS = { addresses: 32, devices: 16, routes: 32, lint: 16, unusual: 16 };

/** What grows with each request; the rest says which token it is. */
export type Counts = Pick<
  Sighting,
  | "firstMs"
  | "lastMs"
  | "requests"
  | "denials"
  | "deniedInRow"
  | "minute"
  | "minuteRequests"
  | "busiestMinute"
  | "addresses"
  | "devices"
  | "routes"
  | "unusual"
>;

/** @param added Later than `there`, or as late: of the same token. */
export function mergeSightings(there: Sighting, added: Sighting): Sighting {
  const [early, late] = inOrder(there, added);
  return {
    ...early,
    ...late,
    ...mergeCounts(there, added),
    expiresAtMs: Math.max(early.expiresAtMs, late.expiresAtMs),
    lint: mergeLint(early.lint, late.lint),
  };
}

export function mergeCounts(there: Counts, added: Counts): Counts {
  const [early, late] = inOrder(there, added);
  return {
    firstMs: Math.min(early.firstMs, late.firstMs),
    lastMs: late.lastMs,
    requests: early.requests + late.requests,
    denials: early.denials + late.denials,
    deniedInRow:
      late.requests > late.denials ? late.deniedInRow : early.deniedInRow + late.deniedInRow,
    ...mergeMinutes(there, added),
    addresses: mergeTraces(early.addresses, late.addresses, SIGHTING_LIMITS.addresses),
    devices: mergeTraces(early.devices, late.devices, SIGHTING_LIMITS.devices),
    routes: mergeTraces(early.routes, late.routes, SIGHTING_LIMITS.routes),
    unusual: mergeUnusual(early.unusual, late.unusual),
  };
}

function inOrder<T extends Counts>(there: T, added: T): readonly [early: T, late: T] {
  return added.lastMs < there.lastMs ? [added, there] : [there, added];
}

type Minutes = Pick<Counts, "minute" | "minuteRequests" | "busiestMinute">;

function mergeMinutes(a: Minutes, b: Minutes): Minutes {
  const busiest = Math.max(a.busiestMinute, b.busiestMinute);
  if (a.minute === b.minute) {
    const minuteRequests = a.minuteRequests + b.minuteRequests;
    return { minute: a.minute, minuteRequests, busiestMinute: busiest };
  }
  const [early, late] = a.minute < b.minute ? [a, b] : [b, a];
  const { minute, minuteRequests } = late;
  return { minute, minuteRequests, busiestMinute: Math.max(busiest, early.minuteRequests) };
}

/** @param late Whose country and place count where both have the name. */
function mergeTraces(
  early: readonly Trace[],
  late: readonly Trace[],
  most: number,
): readonly Trace[] {
  if (early.length === 0) return late;
  if (late.length === 0) return early;
  const byName = new Map(early.map((one) => [one.name, one]));
  for (const one of late) {
    const there = byName.get(one.name);
    byName.set(one.name, there === undefined ? one : mergeTrace(there, one));
  }
  return [...byName.values()].sort(byLatest).slice(0, most);
}

function mergeTrace(there: Trace, added: Trace): Trace {
  return {
    ...there,
    ...added,
    firstMs: Math.min(there.firstMs, added.firstMs),
    lastMs: Math.max(there.lastMs, added.lastMs),
    requests: there.requests + added.requests,
  };
}

/** By name where two are as late: which of them stays must not depend on who came first. */
function byLatest(a: Trace, b: Trace): number {
  return b.lastMs - a.lastMs || (a.name < b.name ? -1 : 1);
}

function mergeLint(a: readonly string[], b: readonly string[]): readonly string[] {
  if (b.length === 0) return a;
  return [...new Set([...a, ...b])].sort().slice(0, SIGHTING_LIMITS.lint);
}

/** Each signal of a policy once, with its latest time. */
function mergeUnusual(a: readonly Unusual[], b: readonly Unusual[]): readonly Unusual[] {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  const latest = new Map<string, Unusual>();
  for (const one of [...a, ...b]) {
    const key = `${one.policy}\n${one.signal}`;
    const there = latest.get(key);
    if (there === undefined || there.atMs < one.atMs) latest.set(key, one);
  }
  const order = (one: Unusual) => `${one.policy}\n${one.signal}`;
  return [...latest.values()]
    .sort((x, y) => y.atMs - x.atMs || (order(x) < order(y) ? -1 : 1))
    .slice(0, SIGHTING_LIMITS.unusual);
}
