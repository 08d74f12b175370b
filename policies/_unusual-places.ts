/** Networks and places, as far as addresses tell of them. */
export type Location = { readonly latitude: number; readonly longitude: number };

/** Where somebody is: by country alone, or to a degree. */
export type Place = { readonly country?: string; readonly location?: Location };

const EARTH_RADIUS_KM = 6_371;

/** Great-circle distance by the haversine formula. */
export function distanceKm(from: Location, to: Location): number {
  const [fromLatitude, toLatitude] = [radians(from.latitude), radians(to.latitude)];
  const across = Math.sin(radians(to.longitude - from.longitude) / 2) ** 2;
  const along = Math.sin((toLatitude - fromLatitude) / 2) ** 2;
  const chord = along + Math.cos(fromLatitude) * Math.cos(toLatitude) * across;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(chord)));
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

/**
 * How far apart two places are: kilometres, `"abroad"` where only countries are known and they
 * differ, or nothing where that cannot be told.
 */
export function apart(one: Place, other: Place): number | "abroad" | undefined {
  if (one.location !== undefined && other.location !== undefined) {
    return distanceKm(one.location, other.location);
  }
  if (one.country === undefined || other.country === undefined) return undefined;
  return one.country === other.country ? undefined : "abroad";
}

/** NAT64's well-known prefix (RFC 6052), in canonical form: what follows it is an IPv4 address. */
const TRANSLATED = /^64:ff9b::(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})?)?$/;

/**
 * Whom an address belongs to, roughly: the first 24 bits of IPv4 (offices, carriers and clouds
 * hand out neighbouring ones), the first 64 of IPv6, within which a device changes its address
 * as often as it likes (RFC 8981).
 */
export function networkOf(ip: string): string {
  if (!ip.includes(":")) return ip.slice(0, Math.max(ip.lastIndexOf("."), 0)) || ip;
  const groups = expanded(ip);
  // The last two groups of a translated address, without their last 8 bits.
  if (TRANSLATED.test(ip)) {
    const [high = "0", low = "0"] = groups.slice(6);
    return `64:ff9b:${high}:${low.slice(0, -2)}`;
  }
  return groups.slice(0, 4).join(":");
}

/** Of a canonical address. */
function expanded(ip: string): readonly string[] {
  const [before = "", after = ""] = ip.split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === "" ? [] : after.split(":");
  return [
    ...head,
    ...new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0"),
    ...tail,
  ];
}

/** Homes have one network of each kind, and a browser takes now the one, now the other. */
export function familyOf(ip: string): "IPv4" | "IPv6" {
  return ip.includes(":") && !TRANSLATED.test(ip) ? "IPv6" : "IPv4";
}
