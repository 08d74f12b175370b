/**
 * Country of an address, from a MaxMind database of the owner's.
 *
 * @module
 */
import { type CountryResponse, open } from "maxmind";
import { GateError } from "../errors.ts";

/** Addresses whose country is kept at hand. */
const CACHED_ADDRESSES = 10_000;

/**
 * @param file An mmdb file with country records (GeoLite2-Country, DB-IP Country, …). Without
 *   one no address has a country.
 * @returns ISO 3166-1 alpha-2, or nothing for an address that the database does not know.
 * @throws GateError `state_unusable` when the file cannot be read.
 */
export async function openGeo(
  file: string | undefined,
): Promise<(ip: string) => string | undefined> {
  if (file === undefined) return () => undefined;
  try {
    const reader = await open<CountryResponse>(file, { cache: { max: CACHED_ADDRESSES } });
    return (ip) => (ip === "unix" ? undefined : reader.get(ip)?.country?.iso_code);
  } catch (cause) {
    throw new GateError("state_unusable", `cannot read the geo database ${file}`, { cause });
  }
}
