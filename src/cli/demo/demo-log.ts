/**
 * The demo gate's log: kept for the table while that is made, shown afterwards.
 *
 * @module
 */
import type { DecisionRecord, Log } from "../../telemetry/log.ts";

export type DemoLog = Log & {
  /** Decisions made before `show`, in order. */
  readonly kept: readonly DecisionRecord[];
  /** From now on decisions go to the log beneath. */
  readonly show: () => void;
};

/** @param beneath Told at once of everything that is no decision: warnings, reloads. */
export function openDemoLog(beneath: Log): DemoLog {
  const kept: DecisionRecord[] = [];
  let isShown = false;
  return {
    kept,
    show: () => {
      isShown = true;
    },
    event: beneath.event,
    decision(record) {
      if (isShown) beneath.decision(record);
      else kept.push(record);
    },
    flush: beneath.flush,
  };
}
