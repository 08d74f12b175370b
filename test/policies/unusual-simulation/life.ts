/** What happens to one token: the requests that matter, in order of time. */
import type { Random } from "./random.ts";
import type { Agent } from "./world.ts";

export type Happening = {
  readonly atMs: number;
  readonly ip: string;
  readonly agent: Agent;
  /** So many requests at once; default 1. */
  readonly count?: number;
  /** The application's other rules refuse it. */
  readonly denied?: true;
  readonly thief?: true;
};

export type Life = {
  /** What it is an example of: `laptop in the office`, `theft: scraper`. */
  readonly about: string;
  /** Whose it is. */
  readonly user: number;
  readonly signedOutMs?: number;
  readonly happenings: readonly Happening[];
};

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** A Monday. */
export const WEEK_BEGINS_MS = Date.parse("2026-03-02T00:00:00Z");

/** From where, with what, at that moment. */
type Hand = (atMs: number) => Pick<Happening, "ip" | "agent" | "thief">;

/**
 * Somebody at work on pages: each is a few requests within about three seconds, a page every 40
 * seconds or so.
 */
export function browse(
  random: Random,
  fromMs: number,
  untilMs: number,
  hand: Hand,
  meanGapMs = 40 * SECOND,
): Happening[] {
  const happenings: Happening[] = [];
  for (let atMs = fromMs; atMs < untilMs; atMs += SECOND + random.exponential(meanGapMs)) {
    happenings.push({ atMs, count: random.whole(1, 6), ...hand(atMs) });
    for (let more = random.whole(1, 6); more > 0; more -= 1) {
      const laterMs = atMs + random.between(100, 3_000);
      if (laterMs < untilMs) happenings.push({ atMs: laterMs, count: 2, ...hand(laterMs) });
    }
  }
  return happenings;
}

/** A first and a last request: a quiet stretch. */
export function glance(fromMs: number, untilMs: number, hand: Hand): Happening[] {
  return [fromMs, untilMs].map((atMs) => ({ atMs, ...hand(atMs) }));
}

/** One request at regular times, as of a page that asks for news. */
export function poll(
  fromMs: number,
  untilMs: number,
  everyMs: number,
  hand: Hand,
  denied?: true,
): Happening[] {
  const happenings: Happening[] = [];
  for (let atMs = fromMs; atMs < untilMs; atMs += everyMs) {
    happenings.push({ atMs, ...hand(atMs), ...(denied && { denied }) });
  }
  return happenings;
}
