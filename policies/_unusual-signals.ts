/** The signals of `unusual-activity`: each looks at the request and at the token's past. */
import { milliseconds, type PolicyClient, type TokenHistory } from "claimgate";
import type { Action, Options } from "./_unusual-options.ts";
import { apart, familyOf, networkOf } from "./_unusual-places.ts";

export type Signal = {
  /** As the ledger notes it. */
  readonly code: string;
  readonly action: Action;
  readonly weight: number;
};

export type Moment = {
  readonly client: PolicyClient;
  readonly past: TokenHistory;
  readonly nowMs: number;
};

/** One address of the past, with its times as numbers. */
type Trail = TokenHistory["addresses"][number] & {
  readonly network: string;
  readonly firstMs: number;
  readonly lastMs: number;
};

/** What is looked at more than once. */
type Scene = Moment & {
  readonly network: string;
  readonly firstMs: number;
  readonly trails: readonly Trail[];
};

/** All signals that are seen and not off; a token that was never seen before has none. */
export function signalsOf(moment: Moment, options: Options): readonly Signal[] {
  const { past, client } = moment;
  const scene: Scene = {
    ...moment,
    network: networkOf(client.ip),
    firstMs: past.firstSeen.getTime(),
    trails: past.addresses.map((one) => ({
      ...one,
      network: networkOf(one.ip),
      firstMs: one.firstSeen.getTime(),
      lastMs: one.lastSeen.getTime(),
    })),
  };
  const ofPhones = isPhone(client) ? options.phoneFactor : 1;
  const device = newDevice(scene, options);
  const busy = burst(scene, options);
  const seen: readonly (readonly [string, Signed, boolean, number?])[] = [
    ["signed_out", options.signedOut, isSignedOut(scene, options)],
    ["new_device_elsewhere", options.newDeviceElsewhere, device === "elsewhere"],
    ["new_device", options.newDevice, device === "here"],
    ["many_networks", options.networks, isInManyNetworks(scene, options)],
    ["simultaneous_use", options.simultaneous, isSimultaneous(scene, options), ofPhones],
    ["impossible_travel", options.travel, isImpossibleTravel(scene, options), ofPhones],
    ["burst", options.burst, busy === "here"],
    [
      "burst_elsewhere",
      { ...options.burst, weight: options.burst.weightElsewhere },
      busy === "elsewhere",
    ],
    ["many_denials", options.denials, past.deniedInRow >= options.denials.inRow],
  ];
  return seen
    .filter(([, { action }, is]) => is && action !== "off")
    .map(([code, { action, weight }, , factor = 1]) => ({ code, action, weight: weight * factor }));
}

type Signed = { readonly action: Action; readonly weight: number };

function isSignedOut({ past, nowMs }: Scene, { signedOut: { grace } }: Options): boolean {
  return past.signedOut !== undefined && nowMs - past.signedOut.getTime() > milliseconds(grace);
}

/**
 * A token has the devices that it was first seen with; any other is new, for good. It is
 * `elsewhere` if it brought a network of its own with it: that is how a copy looks, while an owner
 * changes now the one, now the other.
 */
function newDevice(
  scene: Scene,
  { newDevice: { after, action }, newDeviceElsewhere, travel }: Options,
): "here" | "elsewhere" | undefined {
  const { past, client, nowMs, network, firstMs, trails } = scene;
  if (past.devices.length === 0) return undefined;
  const name = `${client.device.browser} on ${client.device.platform}`;
  const known = past.devices.find((one) => one.name === name)?.firstSeen.getTime();
  const cameMs = known ?? nowMs;
  if (cameMs - firstMs <= milliseconds(after)) return undefined;
  const here = action === "off" ? undefined : "here";
  if (newDeviceElsewhere.action === "off") return here;

  const networkMs = networkCameMs(scene);
  if (Math.abs(cameMs - networkMs) > milliseconds(newDeviceElsewhere.together)) return here;
  const before = trails.filter((one) => one.firstMs < networkMs && one.network !== network);
  if (before.some((one) => isFarAbroad(one, client, travel.furtherThanKm))) return "elsewhere";
  const isOfApp = past.devices.some(
    (one) => one.firstSeen.getTime() < cameMs && areAppAndPages(one.name, name),
  );
  return isComparable(scene, networkMs) && !isOfApp ? "elsewhere" : here;
}

/**
 * Where a home has IPv6, browsers take it and many a tool has IPv4 alone: that is another network,
 * and the same place. The other way round it is not.
 */
function isComparable({ client, network, trails }: Scene, beforeMs: number): boolean {
  const family = familyOf(client.ip);
  return trails
    .filter((one) => one.firstMs < beforeMs && one.network !== network)
    .some((one) => family === "IPv6" || familyOf(one.ip) === family);
}

/** When the network at hand was first seen; now, if it was not. */
function networkCameMs({ network, trails, nowMs }: Scene): number {
  const here = trails.filter((one) => one.network === network);
  return Math.min(nowMs, ...here.map((one) => one.firstMs));
}

/** What apps of phones send themselves says nothing of the phone; the pages they show do. */
function areAppAndPages(one: string, other: string): boolean {
  return (isApp(one) && isPhoneBrowser(other)) || (isApp(other) && isPhoneBrowser(one));
}

function isApp(name: string): boolean {
  return name === "unknown on unknown" || name === "java on unknown"; // the latter is Android's
}

function isPhoneBrowser(name: string): boolean {
  return name.endsWith(" on ios") || name.endsWith(" on android");
}

function isInManyNetworks(
  { client, nowMs, network, trails }: Scene,
  { networks: { most, mostAddresses, within } }: Options,
): boolean {
  const recent = trails.filter((one) => nowMs - one.lastMs <= milliseconds(within));
  const networks = new Set([network, ...recent.map((one) => one.network)]);
  const addresses = new Set([client.ip, ...recent.map(({ ip }) => ip)].map(withoutPrivacy));
  return networks.size > most || addresses.size > mostAddresses;
}

/** Within its network of 64 bits a device takes a new IPv6 address whenever it likes. */
function withoutPrivacy(ip: string): string {
  return familyOf(ip) === "IPv6" ? networkOf(ip) : ip;
}

function isImpossibleTravel(scene: Scene, { travel }: Options): boolean {
  const { client, nowMs, network, trails } = scene;
  const abroadWithinMs = milliseconds(travel.abroadWithin);
  return trails.some((one) => {
    if (one.network === network || isSameCarrier(scene, one)) return false;
    const elapsedMs = Math.max(0, nowMs - one.lastMs);
    const distance = apart(one, client);
    if (distance === "abroad") return elapsedMs <= abroadWithinMs;
    if (!isApart(distance, travel.furtherThanKm)) return false;
    return Number(distance) > (travel.fasterThanKmh * elapsedMs) / HOUR_MS;
  });
}

/**
 * Two places apart take turns faster than anything that switches between two networks, and have
 * done so for a while. At the request that makes a turn: here, there, and here again.
 */
function isSimultaneous(scene: Scene, { simultaneous, travel }: Options): boolean {
  const { client, nowMs, network, trails } = scene;
  const here = trails.filter((one) => one.network === network);
  const firstHereMs = Math.min(...here.map((one) => one.firstMs));
  const lastHereMs = Math.max(...here.map((one) => one.lastMs));
  if (here.length === 0 || nowMs - lastHereMs > milliseconds(simultaneous.within)) return false;
  return trails.some((there) => {
    const isTurn = there.lastMs > lastHereMs && there.firstMs < lastHereMs;
    const bothMs = lastHereMs - Math.max(firstHereMs, there.firstMs);
    if (!isTurn || bothMs < milliseconds(simultaneous.lasting)) return false;
    return isFarAbroad(there, client, travel.furtherThanKm);
  });
}

/**
 * Within a country two networks of one office, or a phone's two, are often enough placed apart:
 * databases know countries much better than places.
 */
function isFarAbroad(there: Trail, client: PolicyClient, furtherThanKm: number): boolean {
  const { country } = client;
  const isSame = country !== undefined && country === there.country;
  return !isSame && isApart(apart(there, client), furtherThanKm);
}

/** An app's own requests mostly do not say what they come from. */
function isPhone({ device }: PolicyClient): boolean {
  return device.mobile || device.platform === "unknown";
}

/** A phone is at home and, by its carrier's address, in the carrier's city, all the time. */
function isSameCarrier({ client }: Scene, there: Trail): boolean {
  return isPhone(client) && client.country !== undefined && client.country === there.country;
}

function isApart(distance: number | "abroad" | undefined, furtherThanKm: number): boolean {
  return distance === "abroad" || (distance !== undefined && distance > furtherThanKm);
}

/** The work of a service comes all at once, from any of its addresses; that of people does not. */
function burst(scene: Scene, { burst }: Options): "here" | "elsewhere" | undefined {
  const { past, nowMs, firstMs, client } = scene;
  const afterMs = milliseconds(burst.after);
  if (nowMs - firstMs < afterMs) return undefined;
  const isSameMinute = minuteOf(past.lastSeen.getTime()) === minuteOf(nowMs);
  const inThisMinute = isSameMinute ? past.lastMinute + 1 : 1;
  const busiest = isSameMinute ? past.busiestMinute : Math.max(past.busiestMinute, past.lastMinute);
  if (inThisMinute < burst.atLeast || inThisMinute < burst.times * busiest) return undefined;
  const cameMs = networkCameMs(scene);
  const isElsewhere = nowMs - cameMs < afterMs && isComparable(scene, cameMs);
  return isElsewhere && client.device.platform !== "unknown" ? "elsewhere" : "here";
}

function minuteOf(ms: number): number {
  return Math.floor(ms / MINUTE_MS);
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
