/**
 * What was known of a token, as one short text: of many tokens somebody may ask for the history,
 * and lists of objects take several times as much memory.
 *
 * @module
 */
import type { Sighting } from "../store/store.ts";
import type { Trace } from "../types.ts";

/** JSON, its times counted from the first one. */
export type PackedHistory = string & { readonly kind?: "packed history" };

type PackedTrace = readonly [
  name: string,
  firstMs: number,
  lastMs: number,
  requests: number,
  ...place: readonly unknown[],
];

type Packed = readonly [
  counts: readonly [
    firstMs: number,
    lastMs: number,
    requests: number,
    denials: number,
    deniedInRow: number,
    minute: number,
    minuteRequests: number,
    busiestMinute: number,
  ],
  addresses: readonly PackedTrace[],
  devices: readonly PackedTrace[],
];

/** A history says nothing of these. */
const REST = {
  id: "",
  kind: "token",
  issuer: "",
  subject: "",
  expiresAtMs: 0,
  routes: [],
  lint: [],
  unusual: [],
} as const;

export function packHistory(sighting: Sighting): PackedHistory {
  const { firstMs, lastMs, requests, denials, deniedInRow, addresses, devices } = sighting;
  const { minute, minuteRequests, busiestMinute } = sighting;
  const pack = ({ name, country, location, ...one }: Trace): PackedTrace => [
    name,
    one.firstMs - firstMs,
    one.lastMs - firstMs,
    one.requests,
    ...(location !== undefined
      ? [country ?? null, location]
      : country !== undefined
        ? [country]
        : []),
  ];
  const packed: Packed = [
    [
      firstMs,
      lastMs - firstMs,
      requests,
      denials,
      deniedInRow,
      minute,
      minuteRequests,
      busiestMinute,
    ],
    addresses.map(pack),
    devices.map(pack),
  ];
  return JSON.stringify(packed);
}

/** @returns A sighting that says no more than a history does. */
export function unpackHistory(text: PackedHistory): Sighting {
  const [counts, addresses, devices]: Packed = JSON.parse(text);
  const [firstMs, lastMs, requests, denials, deniedInRow, ...minutes] = counts;
  const [minute, minuteRequests, busiestMinute] = minutes;
  const unpack = ([name, first, last, count, country, location]: PackedTrace): Trace => ({
    name,
    firstMs: first + firstMs,
    lastMs: last + firstMs,
    requests: count,
    ...(typeof country === "string" && { country }),
    ...(isLocation(location) && { location }),
  });
  return {
    ...REST,
    firstMs,
    lastMs: lastMs + firstMs,
    requests,
    denials,
    deniedInRow,
    minute,
    minuteRequests,
    busiestMinute,
    addresses: addresses.map(unpack),
    devices: devices.map(unpack),
  };
}

function isLocation(value: unknown): value is NonNullable<Trace["location"]> {
  return typeof value === "object" && value !== null && "latitude" in value;
}
