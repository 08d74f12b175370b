/**
 * Country and place of an address, from a MaxMind database of the owner's.
 *
 * @module
 */
import { type CityResponse, open } from "maxmind";
import { GateError } from "../errors.ts";
import type { Location } from "../types.ts";

/** Addresses whose place is kept at hand. */
const CACHED_ADDRESSES = 10_000;

/** A place less certain than this is the middle of a country, and no place. */
const VAGUE_KM = 500;

/** What a database knows of one address. */
export type Place = {
  /** ISO 3166-1 alpha-2. */
  readonly country?: string;
  readonly location?: Location;
};

const NOWHERE: Place = Object.freeze({});

/**
 * @param file An mmdb file with country or city records (GeoLite2, DB-IP, …). Without one no
 *   address has a place; one of countries knows no locations.
 * @returns What is known of an address, which may be nothing.
 * @throws GateError `state_unusable` when the file cannot be read.
 */
export async function openGeo(file: string | undefined): Promise<(ip: string) => Place> {
  if (file === undefined) return () => NOWHERE;
  try {
    const reader = await open<CityResponse>(file, { cache: { max: CACHED_ADDRESSES } });
    return (ip) => (ip === "unix" ? NOWHERE : placeIn(reader.get(ip)));
  } catch (cause) {
    throw new GateError("state_unusable", `cannot read the geo database ${file}`, { cause });
  }
}

/** Whose database it is, and what it holds, is the owner's choice: nothing of it is taken on trust. */
function placeIn(record: CityResponse | null): Place {
  const country = record?.country?.iso_code;
  const location = locationIn(record);
  return {
    ...(typeof country === "string" && { country }),
    ...(location !== undefined && { location }),
  };
}

function locationIn(record: CityResponse | null): Location | undefined {
  const { latitude, longitude, accuracy_radius: radiusKm } = record?.location ?? {};
  if (!isDegree(latitude, 90) || !isDegree(longitude, 180)) return undefined;
  if (typeof radiusKm === "number" && radiusKm > VAGUE_KM) return undefined;
  return { latitude, longitude };
}

function isDegree(value: unknown, most: number): value is number {
  return typeof value === "number" && Math.abs(value) <= most;
}
