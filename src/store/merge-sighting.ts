/**
 * What is known of a token once more is heard of it. `redis-sighting-scripts.ts` says the same in
 * Lua; a test holds them together.
 *
 * @module
 */
import type { Trace } from "../types.ts";
import type { Sighting, Unusual } from "./store.ts";

const MOST_ADDRESSES = 32;
const MOST_DEVICES = 16;
const MOST_ROUTES = 32;
const MOST_LINT = 16;
const MOST_UNUSUAL = 16;

/**
 * Counts add up, bounds widen, and of what changes the later seen counts: in whatever order
 * several gates bring their parts, the counts come out alike.
 *
 * @param there What was known; `undefined` if nothing was.
 * @param added What was seen besides, none of it counted in `there`.
 */
export function mergeSightings(there: Sighting | undefined, added: Sighting): Sighting {
  if (there === undefined) return bounded(added);
  const [late, early] = added.lastMs >= there.lastMs ? [added, there] : [there, added];
  const client = late.client ?? early.client;
  const jti = late.jti ?? early.jti;
  const issuedAtMs = late.issuedAtMs ?? early.issuedAtMs;
  return bounded({
    id: there.id,
    kind: there.kind,
    issuer: there.issuer,
    subject: there.subject,
    ...(client !== undefined && { client }),
    ...(jti !== undefined && { jti }),
    ...(issuedAtMs !== undefined && { issuedAtMs }),
    expiresAtMs: Math.max(there.expiresAtMs, added.expiresAtMs),
    firstMs: Math.min(there.firstMs, added.firstMs),
    lastMs: late.lastMs,
    requests: there.requests + added.requests,
    denials: there.denials + added.denials,
    deniedInRow: deniedInRow(there, added, late),
    ...minutes(there, added),
    addresses: [...added.addresses, ...there.addresses],
    devices: [...added.devices, ...there.devices],
    routes: [...added.routes, ...there.routes],
    lint: [...there.lint, ...added.lint],
    unusual: [...added.unusual, ...there.unusual],
  });
}

function deniedInRow(there: Sighting, added: Sighting, late: Sighting): number {
  const hasPassed = added.requests > added.denials;
  return hasPassed ? late.deniedInRow : there.deniedInRow + added.deniedInRow;
}

type Minutes = Pick<Sighting, "minute" | "minuteRequests" | "busiestMinute">;

function minutes(there: Sighting, added: Sighting): Minutes {
  const busiest = Math.max(there.busiestMinute, added.busiestMinute);
  if (there.minute === added.minute) {
    const minuteRequests = there.minuteRequests + added.minuteRequests;
    return { minute: there.minute, minuteRequests, busiestMinute: busiest };
  }
  const [late, early] = added.minute > there.minute ? [added, there] : [there, added];
  const { minute, minuteRequests } = late;
  return { minute, minuteRequests, busiestMinute: Math.max(busiest, early.minuteRequests) };
}

function bounded(sighting: Sighting): Sighting {
  return {
    ...sighting,
    addresses: latest(sighting.addresses, MOST_ADDRESSES),
    devices: latest(sighting.devices, MOST_DEVICES),
    routes: latest(sighting.routes, MOST_ROUTES),
    lint: [...new Set(sighting.lint)].slice(0, MOST_LINT).sort(),
    unusual: latestUnusual(sighting.unusual),
  };
}

/** One for each name, the latest first; of one moment they stay in their order. */
function latest(traces: readonly Trace[], most: number): readonly Trace[] {
  const byName = new Map<string, Trace>();
  for (const one of traces) {
    const known = byName.get(one.name);
    byName.set(one.name, known === undefined ? one : joined(known, one));
  }
  return [...byName.values()].sort((a, b) => b.lastMs - a.lastMs).slice(0, most);
}

function joined(known: Trace, other: Trace): Trace {
  const [late, early] = other.lastMs > known.lastMs ? [other, known] : [known, other];
  const country = late.country ?? early.country;
  const location = late.location ?? early.location;
  return {
    name: known.name,
    firstMs: Math.min(known.firstMs, other.firstMs),
    lastMs: late.lastMs,
    requests: known.requests + other.requests,
    ...(country !== undefined && { country }),
    ...(location !== undefined && { location }),
  };
}

/** The same signal of one policy at one moment was brought twice. */
function latestUnusual(all: readonly Unusual[]): readonly Unusual[] {
  const different = new Map<string, Unusual>();
  for (const one of all) {
    const key = JSON.stringify([one.signal, one.policy, one.atMs]);
    if (!different.has(key)) different.set(key, one);
  }
  return [...different.values()].sort((a, b) => b.atMs - a.atMs).slice(0, MOST_UNUSUAL);
}
