/**
 * What was seen of tokens and sessions, in Redis.
 *
 * @module
 */
import type { Script } from "./redis-scripts.ts";
import {
  FIND_SIGHTINGS,
  GET_SIGHTING,
  NOTE_SIGHTINGS,
  SWEEP_SIGHTINGS,
} from "./redis-sighting-scripts.ts";
import { fitsSighting } from "./sighting-query.ts";
import { MOST_SIGHTINGS, type Sighting, type SightingQuery, type Store } from "./store.ts";

/** Runs a script on the store's keys. */
export type RunScript = (script: Script, ...args: (string | number)[]) => Promise<unknown>;

type SightingStore = Pick<Store, "noteSightings" | "sightings" | "sweepSightings">;

/** Read in one go: each is some kilobytes. */
const PAGE = 200;
/** Removed in one go. */
const SWEPT_AT_ONCE = 500;
/** Entries that one query looks at before it ends with what it has found. */
const MOST_LOOKED_AT = 1_000_000;

/** @param most How many the store holds. */
export function openRedisSightings(
  run: RunScript,
  now: () => number,
  most: number = MOST_SIGHTINGS,
): SightingStore {
  async function findAll(query: SightingQuery): Promise<readonly Sighting[]> {
    const index = narrowestIndex(query);
    const found = new Map<string, Sighting>(); // one may move to the next page meanwhile
    for (let from = 0; from < MOST_LOOKED_AT; from += PAGE) {
      const page = (await run(FIND_SIGHTINGS, index, from, PAGE)) as readonly (string | null)[];
      for (const json of page) {
        const sighting = json === null ? undefined : sightingOf(json); // null: its time was up
        if (sighting === undefined || !fitsSighting(sighting, query)) continue;
        found.set(sighting.id, sighting);
      }
      if (found.size >= query.limit || page.length < PAGE) break;
    }
    return [...found.values()].sort((a, b) => b.lastMs - a.lastMs).slice(0, query.limit);
  }

  return {
    async noteSightings(batch) {
      if (batch.length > 0) await run(NOTE_SIGHTINGS, now(), most, ...batch.map(toJson));
    },

    async sightings(query) {
      if (query.id === undefined) return findAll(query);
      const json = await run(GET_SIGHTING, query.id);
      const sighting = typeof json === "string" ? sightingOf(json) : undefined;
      if (sighting === undefined || query.limit < 1) return [];
      return fitsSighting(sighting, query) ? [sighting] : [];
    },

    async sweepSightings(beforeMs) {
      let swept = 0;
      for (let part = SWEPT_AT_ONCE; part === SWEPT_AT_ONCE; swept += part) {
        part = Number(await run(SWEEP_SIGHTINGS, beforeMs, now(), SWEPT_AT_ONCE));
      }
      return swept;
    },
  };
}

function narrowestIndex({ subject, having, kind }: SightingQuery): string {
  if (subject !== undefined) {
    return `subject:${new Bun.CryptoHasher("sha1").update(subject.toWellFormed()).digest("hex")}`;
  }
  if (having !== undefined) return having;
  return kind === "session" ? "session" : "all";
}

/** Redis' reader of JSON breaks off at half a character, such as a token may have in a claim. */
function toJson(sighting: Sighting): string {
  return JSON.stringify(sighting, (_, value: unknown) =>
    typeof value === "string" ? value.toWellFormed() : value,
  );
}

/** What Lua writes: an empty list comes out as an empty object. */
function sightingOf(json: string): Sighting {
  const read: Sighting = JSON.parse(json);
  return {
    ...read,
    addresses: listOf(read.addresses),
    devices: listOf(read.devices),
    routes: listOf(read.routes),
    lint: [...listOf(read.lint)].sort(),
    unusual: listOf(read.unusual),
  };
}

const listOf = <T>(list: readonly T[]): readonly T[] => (Array.isArray(list) ? list : []);
