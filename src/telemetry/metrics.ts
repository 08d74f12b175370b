/**
 * What the gate counts while it works: plain numbers in objects that are there already, so that
 * a request pays a few look-ups. Nothing is formatted before somebody asks (`exposition.ts`).
 *
 * Names of routes and policies come from the configuration, codes from a fixed list; of nothing
 * that a client chooses is there a counter.
 *
 * @module
 */
import type { PolicyOutcome } from "../types.ts";

export type Metrics = {
  /**
   * @param route Its name; `undefined` where none was found.
   * @param code Of a denial; `undefined` for what was forwarded.
   * @param ms Until the answer began.
   */
  decided(route: string | undefined, code: string | undefined, status: number, ms: number): void;
  /** An upstream's answer has begun. @param ms Since the request was sent to it. */
  answered(route: string, ms: number): void;
  /** What the policies of one decision said. */
  judged(outcomes: readonly PolicyOutcome[]): void;
  reloaded(outcome: "in_force" | "refused"): void;
  /** As it is now; to be read, not kept. */
  readonly counts: Counts;
};

export type Counts = {
  readonly routes: ReadonlyMap<string, RouteCounts>;
  readonly policies: ReadonlyMap<string, PolicyCounts>;
  readonly reloads: Readonly<Record<"in_force" | "refused", number>>;
};

export type RouteCounts = {
  /** By the first digit of the status; 0 for what is none. */
  readonly forwarded: Float64Array;
  readonly denied: Map<string, Count>;
  readonly decision: Durations;
  readonly upstream: Durations;
};

export type PolicyCounts = {
  readonly verdicts: Record<PolicyOutcome["verdict"], number>;
  /** Under `shadow`: counted apart, for they decide nothing. */
  readonly shadowVerdicts: Record<PolicyOutcome["verdict"], number>;
  totalMs: number;
  asked: number;
};

type Count = { count: number };

export type Durations = {
  /** How many took at most as long as the bound of the same place, and longer than the one before. */
  readonly buckets: Float64Array;
  totalMs: number;
  count: number;
};

/** Upper bounds of a duration's buckets; beyond the last there is one more. */
export const BOUNDS_MS: readonly number[] = [
  0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
];

/** Reloads may bring ever new names; what is beyond goes together. */
const MOST_NAMES = 5_000;
const OTHERS = "(others)";

export function createMetrics(): Metrics {
  const routes = new Map<string, RouteCounts>();
  const policies = new Map<string, PolicyCounts>();
  const reloads = { in_force: 0, refused: 0 };

  function routeCounts(name: string): RouteCounts {
    return routes.get(name) ?? firstOf(routes, name, newRouteCounts);
  }

  return {
    decided(route, code, status, ms) {
      const counts = routeCounts(route ?? "");
      if (code === undefined) {
        const first = Math.trunc(status / 100);
        const place = first >= 1 && first <= 5 ? first : 0;
        counts.forwarded[place] = (counts.forwarded[place] ?? 0) + 1;
      } else {
        const known = counts.denied.get(code) ?? firstOf(counts.denied, code, newCount);
        known.count += 1;
      }
      note(counts.decision, ms);
    },
    answered(route, ms) {
      note(routeCounts(route).upstream, ms);
    },
    judged(outcomes) {
      for (const { name, verdict, shadow, ms } of outcomes) {
        const counts = policies.get(name) ?? firstOf(policies, name, newPolicyCounts);
        (shadow ? counts.shadowVerdicts : counts.verdicts)[verdict] += 1;
        counts.totalMs += ms;
        counts.asked += 1;
      }
    },
    reloaded(outcome) {
      reloads[outcome] += 1;
    },
    counts: { routes, policies, reloads },
  };
}

function note(durations: Durations, ms: number): void {
  let place = 0;
  while (place < BOUNDS_MS.length && ms > (BOUNDS_MS[place] ?? 0)) place += 1;
  durations.buckets[place] = (durations.buckets[place] ?? 0) + 1;
  durations.totalMs += ms;
  durations.count += 1;
}

function firstOf<T>(known: Map<string, T>, name: string, make: () => T): T {
  const room = known.size < MOST_NAMES ? name : OTHERS;
  const counts = known.get(room) ?? make();
  known.set(room, counts);
  return counts;
}

const newCount = (): Count => ({ count: 0 });

const newDurations = (): Durations => ({
  buckets: new Float64Array(BOUNDS_MS.length + 1),
  totalMs: 0,
  count: 0,
});

const newRouteCounts = (): RouteCounts => ({
  forwarded: new Float64Array(6),
  denied: new Map(),
  decision: newDurations(),
  upstream: newDurations(),
});

const newPolicyCounts = (): PolicyCounts => ({
  verdicts: { allow: 0, deny: 0, challenge: 0, fault: 0 },
  shadowVerdicts: { allow: 0, deny: 0, challenge: 0, fault: 0 },
  totalMs: 0,
  asked: 0,
});
