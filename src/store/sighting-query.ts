/**
 * Which sightings are asked for; where a store has no index for it, this decides.
 *
 * @module
 */
import type { Sighting, SightingQuery } from "./store.ts";

export function fitsSighting(sighting: Sighting, query: SightingQuery): boolean {
  const { id, issuer, subject, kind, activeAtMs, having } = query;
  return (
    (id === undefined || sighting.id === id) &&
    (issuer === undefined || sighting.issuer === issuer) &&
    (subject === undefined || sighting.subject === subject) &&
    (kind === undefined || sighting.kind === kind) &&
    (activeAtMs === undefined || sighting.expiresAtMs > activeAtMs) &&
    (having === undefined || sighting[having].length > 0)
  );
}
