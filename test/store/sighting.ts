/**
 * Sightings to try a store on.
 *
 * @module
 */
import type { Sighting } from "../../src/store/store.ts";
import type { Trace } from "../../src/types.ts";

export function trace(name: string, parts: Partial<Trace> = {}): Trace {
  return { name, firstMs: 1_000, lastMs: 1_000, requests: 1, ...parts };
}

/** Of one request that passed, at 1,000 ms, unless `parts` say otherwise. */
export function sighting(id: string, parts: Partial<Sighting> = {}): Sighting {
  return {
    id,
    kind: "token",
    issuer: "https://okta.example",
    subject: "alice",
    expiresAtMs: 60_000,
    firstMs: 1_000,
    lastMs: 1_000,
    requests: 1,
    denials: 0,
    deniedInRow: 0,
    minute: 0,
    minuteRequests: 1,
    busiestMinute: 0,
    addresses: [trace("10.0.0.7")],
    devices: [trace("firefox on linux")],
    routes: [trace("orders")],
    lint: [],
    unusual: [],
    ...parts,
  };
}
