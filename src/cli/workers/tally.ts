/**
 * One page of metrics for all workers. What a worker had counted stays when it has gone, as far
 * as it was heard: a sum that went down would look like a gate that was started anew.
 *
 * @module
 */
import type { Counted } from "../../admin/admin.ts";
import { addCounts } from "../../telemetry/add-counts.ts";
import { createMetrics } from "../../telemetry/metrics.ts";
import { addStanding, addUse, processUse, type Standing } from "../../telemetry/standing.ts";
import type { Seat } from "./seat.ts";

export type Tally = {
  /** How a reload of all has ended. */
  reloaded(inForce: boolean): void;
  /** Before who had the place is replaced. */
  gone(seat: Seat): void;
  /** Asks all that serve. @returns `undefined` when none answers. */
  sum(seats: readonly Seat[]): Promise<Counted | undefined>;
};

/** One that does not answer in time is shown as it was last heard. */
const ANSWER_WITHIN_MS = 500;

export function openTally(now: () => number): Tally {
  const startedMs = now();
  const own = createMetrics();
  let counts = own.counts;
  let goneCpuSeconds = 0;
  let replaced = 0;
  let lastReload: Standing["lastReload"];

  return {
    reloaded(inForce) {
      own.reloaded(inForce ? "in_force" : "refused");
      lastReload = { inForce, atMs: now() };
    },
    gone({ last }) {
      replaced += 1;
      if (last === undefined) return;
      counts = addCounts(counts, last.counts);
      goneCpuSeconds += last.standing.process.cpuSeconds;
    },
    async sum(seats) {
      const asked = seats.map(async (seat) => {
        const { child } = seat;
        const answer = await child?.line.ask("count", null, ANSWER_WITHIN_MS);
        if (answer !== undefined && seat.child === child) seat.last = answer;
      });
      await Promise.all(asked);
      const heard = seats.flatMap(({ last }) => (last === undefined ? [] : [last]));
      const [first, ...others] = heard.map(({ standing }) => standing);
      if (first === undefined) return undefined;
      const standing = others.reduce(addStanding, first);
      const use = addUse(standing.process, processUse());
      return {
        counts: heard.reduce((sum, one) => addCounts(sum, one.counts), counts),
        standing: {
          ...standing,
          startedMs,
          lastReload,
          process: { ...use, cpuSeconds: use.cpuSeconds + goneCpuSeconds },
          workers: { serving: seats.filter(({ facts }) => facts !== undefined).length, replaced },
        },
      };
    },
  };
}
