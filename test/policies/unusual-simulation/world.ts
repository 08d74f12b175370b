/**
 * Where addresses are: cities, the networks in them, and a geo database that errs as real ones do.
 * Addresses of networks are made up; no packet ever goes there.
 */
import { type MmdbValue, makeMmdb } from "../../support/mmdb.ts";
import { type Random, randomOf } from "./random.ts";

export type City = {
  readonly name: string;
  readonly country: string;
  readonly latitude: number;
  readonly longitude: number;
};

const city = (name: string, country: string, latitude: number, longitude: number): City => ({
  name,
  country,
  latitude,
  longitude,
});

/** Where people live and work. The first of each country is where its carriers' gateways are. */
const HOME_CITIES: readonly City[] = [
  city("Vienna", "AT", 48.21, 16.37),
  city("Graz", "AT", 47.07, 15.44),
  city("Innsbruck", "AT", 47.27, 11.39),
  city("Frankfurt", "DE", 50.11, 8.68),
  city("Berlin", "DE", 52.52, 13.4),
  city("Munich", "DE", 48.14, 11.58),
  city("Hamburg", "DE", 53.55, 9.99),
  city("Zurich", "CH", 47.38, 8.54),
  city("Basel", "CH", 47.56, 7.59),
  city("Madrid", "ES", 40.42, -3.7),
  city("Barcelona", "ES", 41.39, 2.17),
  city("Ashburn", "US", 39.04, -77.49),
  city("Chicago", "US", 41.88, -87.63),
  city("Denver", "US", 39.74, -104.99),
  city("San Francisco", "US", 37.77, -122.42),
];

/** Where some travel to, VPNs come out, and thieves are. */
const OTHER_CITIES: readonly City[] = [
  city("London", "GB", 51.51, -0.13),
  city("Amsterdam", "NL", 52.37, 4.9),
  city("Stockholm", "SE", 59.33, 18.07),
  city("Bucharest", "RO", 44.43, 26.1),
  city("Lagos", "NG", 6.52, 3.38),
  city("Singapore", "SG", 1.35, 103.82),
  city("Sao Paulo", "BR", -23.55, -46.63),
  city("Ho Chi Minh City", "VN", 10.82, 106.63),
  city("Toronto", "CA", 43.65, -79.38),
  city("Athens", "GR", 37.98, 23.73),
];

const CITIES = [...HOME_CITIES, ...OTHER_CITIES];

/** `cable` and `fibre`: two providers of homes and offices; `mobile`: carriers, by the gateway's city. */
type NetworkKind = "cable" | "fibre" | "mobile" | "cloud" | "guest";
const KINDS: readonly NetworkKind[] = ["cable", "fibre", "mobile", "cloud", "guest"];

/** A quarter of a network lies at one place of the database. */
const QUARTERS = [0, 64, 128, 192] as const;
/** Of the quarters of homes and offices that the database has in another city of the country. */
const MISPLACED = 0.05;

export type World = {
  readonly database: Uint8Array;
  readonly homes: readonly City[];
  readonly others: readonly City[];
  /** The city whose name carriers' addresses of that country bear. */
  gatewayOf(country: string): City;
  /** An IPv4 address; the same network has it only once in a great many. */
  address(random: Random, at: City, kind: NetworkKind): string;
  /** The first 64 bits of IPv6 addresses, with their colon: `2a00:1:2:3:`. */
  prefix(random: Random, at: City, kind: NetworkKind): string;
};

/** The same world for every seed: what is chosen by chance in it is the database's errors. */
export function makeWorld(): World {
  const random = randomOf("world");
  const numbers = new Map<string, number>();
  const networks: Record<string, MmdbValue> = {};
  for (const at of CITIES) {
    for (const kind of KINDS) {
      const number = numbers.size;
      numbers.set(`${at.name} ${kind}`, number);
      for (const quarter of QUARTERS) {
        const record = recordOf(random, at, kind);
        networks[`${firstOctets(number)}.${quarter}.0/18`] = record;
        networks[`2a00:${number.toString(16)}:${(quarter << 8).toString(16)}::/34`] = record;
      }
    }
  }
  const numberOf = (at: City, kind: NetworkKind) => numbers.get(`${at.name} ${kind}`) ?? 0;
  return {
    database: makeMmdb(networks),
    homes: HOME_CITIES,
    others: OTHER_CITIES,
    gatewayOf: (country) => CITIES.find((one) => one.country === country) ?? random.pick(CITIES),
    address: (chance, at, kind) =>
      `${firstOctets(numberOf(at, kind))}.${chance.whole(0, 255)}.${chance.whole(1, 254)}`,
    prefix(chance, at, kind) {
      const group = () => chance.whole(1, 65_535).toString(16);
      return `2a00:${numberOf(at, kind).toString(16)}:${group()}:${group()}:`;
    },
  };
}

/** From 20.0 up. */
function firstOctets(number: number): string {
  return `${20 + (number >> 8)}.${number & 255}`;
}

function recordOf(random: Random, at: City, kind: NetworkKind): MmdbValue {
  const inCountry = CITIES.filter(({ country }) => country === at.country);
  const isFixed = kind === "cable" || kind === "fibre";
  const placed = isFixed && random.chance(MISPLACED) ? random.pick(inCountry) : at;
  return {
    country: { iso_code: placed.country },
    location: {
      // Up to about 50 km off.
      latitude: placed.latitude + random.between(-0.4, 0.4),
      longitude: placed.longitude + random.between(-0.5, 0.5),
      accuracy_radius: 50,
    },
  };
}

/** User agents as they are sent: the version of this week, and that of the next. */
export const AGENTS = {
  chromeWindows: chrome("Windows NT 10.0; Win64; x64"),
  edgeWindows: (version: number) =>
    `${chrome("Windows NT 10.0; Win64; x64")(version)} Edg/${version}.0.0.0`,
  chromeMac: chrome("Macintosh; Intel Mac OS X 10_15_7"),
  safariMac: (version: number) =>
    `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${version - 120}.1 Safari/605.1.15`,
  firefoxWindows: firefox("Windows NT 10.0; Win64; x64"),
  firefoxLinux: firefox("X11; Linux x86_64"),
  chromeLinux: chrome("X11; Linux x86_64"),
  safariPhone: (version: number) =>
    `Mozilla/5.0 (iPhone; CPU iPhone OS ${version - 120}_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${version - 120}.1 Mobile/15E148 Safari/604.1`,
  chromePhone: (version: number) =>
    `Mozilla/5.0 (Linux; Android 15; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Mobile Safari/537.36`,
  appPhone: (version: number) => `AcmeApp/${version} CFNetwork/1568 Darwin/24.0.0`,
  okhttpPhone: () => "okhttp/4.12.0",
  curl: () => "curl/8.14.1",
  python: () => "python-requests/2.32.3",
  go: () => "Go-http-client/2.0",
} as const;
export type Agent = keyof typeof AGENTS;

function chrome(system: string): (version: number) => string {
  return (version) =>
    `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
}

function firefox(system: string): (version: number) => string {
  return (version) =>
    `Mozilla/5.0 (${system}; rv:${version}.0) Gecko/20100101 Firefox/${version}.0`;
}
