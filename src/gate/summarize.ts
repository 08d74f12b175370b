/**
 * Keeps strangers from filling the disk with records of their own refusals: whoever shows no
 * verified token costs the gate next to nothing, and may come as often as he likes. The first
 * 50,000 refusals, and a million a day after that, are recorded one by one, where one with a long
 * path counts as several; of those beyond, the audit has their number and their codes, once a
 * minute.
 *
 * @module
 */
import type { Audit } from "../audit/record.ts";
import { charge, type Level, refill, standing } from "../limits/bucket.ts";
import type { Bucket } from "../store/store.ts";
import type { DenialCode } from "../types.ts";

export type Summary = {
  /**
   * @param characters Of what the stranger has made as long as he likes: it counts by the kilobyte.
   * @returns Whether this refusal is to be recorded; if not, it is counted here.
   */
  admits(code: DenialCode, characters: number): boolean;
  /** Records what was counted since. */
  close(): void;
};

type Dependencies = {
  readonly audit: Pick<Audit, "record">;
  readonly now: () => number;
  /** A clock that nobody sets, in milliseconds. */
  readonly uptimeMs?: () => number;
  /** How many at once, refilled evenly. */
  readonly bucket?: Bucket;
};

const DAY_MS = 24 * 60 * 60_000;
const BURST = 50_000;
/** A million in a day. */
const BUCKET: Bucket = { limit: BURST, perMs: DAY_MS / 20 };
const SUMMARY_MS = 60_000;
const CHARACTERS_OF_ONE = 1_024;
/** The last that is admitted may be long: what follows waits for it. */
const OVERDRAFT = 2;

export function openSummary(dependencies: Dependencies): Summary {
  const { audit, now, uptimeMs = () => performance.now(), bucket = BUCKET } = dependencies;
  const level: Level = { debt: 0, atMs: 0 };
  const counts = new Map<DenialCode, number>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  function summarize(): void {
    clearTimeout(timer);
    timer = undefined;
    if (counts.size === 0) return;
    const parts = Array.from(counts, ([code, count]) => `${count} ${code}`).sort();
    counts.clear();
    audit.record({
      kind: "act",
      at: new Date(now()).toISOString(),
      actor: "gate",
      act: "summarize",
      target: "refusals without a verified token",
      reason: parts.join(", "),
    });
  }

  return {
    admits(code, characters) {
      refill(level, bucket, uptimeMs());
      if (standing(level.debt, bucket).allowed) {
        for (let left = characters; left >= 0; left -= CHARACTERS_OF_ONE) {
          charge(level, bucket, OVERDRAFT);
        }
        return true;
      }
      counts.set(code, (counts.get(code) ?? 0) + 1);
      timer ??= setTimeout(summarize, SUMMARY_MS);
      timer.unref();
      return false;
    },
    close: summarize,
  };
}
