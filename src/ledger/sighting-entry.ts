/**
 * What this process holds of one token or session: what it has seen since the last batch, and,
 * where somebody asks for its history, what the store knew before.
 *
 * @module
 */
import { mergeSightings } from "../store/merge-sighting.ts";
import type { Sighting, Unusual } from "../store/store.ts";
import type { Client, History, Token, Trace } from "../types.ts";
import type { KeyUse } from "./key-use.ts";
import { addLint } from "./lint.ts";
import { type PackedHistory, packHistory, unpackHistory } from "./packed-history.ts";

/** One request, decided. */
export type Seen = {
  readonly token: Token;
  readonly client: Client;
  /** The route's name. */
  readonly route: string;
  readonly denied: boolean;
  /** What policies found unusual in it. */
  readonly unusual?: readonly Pick<Unusual, "policy" | "signal">[];
};

/** Few members, for there are many entries: what a token says of itself comes with each request. */
export type Entry = {
  readonly id: string;
  lint: readonly string[];
  /** The key that has signed it. */
  readonly key: KeyUse | undefined;
  expiresAtMs: number;
  /** Since the last batch. */
  fresh: Draft | undefined;
  /** In the batch that is on its way. */
  sending: Draft | undefined;
  /** What the store is known to have; `undefined` if nothing, or if nobody asked. */
  known: PackedHistory | undefined;
  /** By the clock that nobody sets; `undefined` while nobody has asked for its history. */
  readAtMs: number | undefined;
  /** Under way. */
  reading: Promise<void> | undefined;
  /** The minute of the last batch, and what of that minute is stored. */
  storedMinute: number;
  storedInMinute: number;
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Counted up in place, and never touched again once it is `known`. */
type Draft = Mutable<Omit<Sighting, "addresses" | "devices" | "routes" | "unusual">> & {
  readonly addresses: Mutable<Trace>[];
  readonly devices: Mutable<Trace>[];
  readonly routes: Mutable<Trace>[];
  readonly unusual: Unusual[];
};

const MOST = { addresses: 32, devices: 16, routes: 32, unusual: 16 };
const MINUTE_MS = 60_000;
/** Longer ones are no names, and each token may bring another. */
const LONGEST = { subject: 1_024, jti: 1_024, client: 256 };

type Facts = {
  readonly id: string;
  readonly token: Token;
  readonly lint: readonly string[];
  readonly key: KeyUse | undefined;
};

export function newEntry({ id, token, lint, key }: Facts): Entry {
  return {
    id,
    lint,
    key,
    expiresAtMs: expiryOf(token),
    fresh: undefined,
    sending: undefined,
    known: undefined,
    readAtMs: undefined,
    reading: undefined,
    storedMinute: 0,
    storedInMinute: 0,
  };
}

/** Some issuers write fractions of seconds, and a store takes whole milliseconds alone. */
function expiryOf({ expiresAt }: Token): number {
  return Math.ceil(expiresAt * 1_000);
}

/** On the way of every request: a few comparisons, and nothing made but what is new. */
export function noteRequest(entry: Entry, seen: Seen, nowMs: number): void {
  const expiresAtMs = expiryOf(seen.token);
  if (expiresAtMs > entry.expiresAtMs) entry.expiresAtMs = expiresAtMs; // a session was renewed
  entry.fresh ??= newDraft(entry, seen.token, nowMs);
  const { fresh } = entry;
  fresh.requests += 1;
  if (nowMs > fresh.lastMs) fresh.lastMs = nowMs;
  if (seen.denied) {
    fresh.denials += 1;
    fresh.deniedInRow += 1;
  } else fresh.deniedInRow = 0;
  countMinute(entry, fresh, Math.floor(nowMs / MINUTE_MS));
  const { client } = seen;
  if (!touch(fresh.addresses, client.ip, nowMs)) {
    add(fresh.addresses, addressOf(client, nowMs), MOST.addresses);
  }
  const device = deviceName(client);
  if (!touch(fresh.devices, device, nowMs)) {
    add(fresh.devices, traceOf(device, nowMs), MOST.devices);
  }
  if (!touch(fresh.routes, seen.route, nowMs)) {
    add(fresh.routes, traceOf(seen.route, nowMs), MOST.routes);
  }
  if (seen.unusual !== undefined) noteUnusual(fresh, seen.unusual, nowMs);
}

function newDraft({ id, expiresAtMs, lint }: Entry, token: Token, nowMs: number): Draft {
  const { session, subject, issuedAt } = token;
  const client = clientOf(token);
  const jti = session === undefined && isName(token.id) ? token.id : undefined;
  return {
    id,
    kind: session === undefined ? "token" : "session",
    issuer: token.issuer,
    subject: subject.length > LONGEST.subject ? subject.slice(0, LONGEST.subject) : subject,
    ...(client !== undefined && { client }),
    ...(jti !== undefined && { jti }),
    ...(issuedAt !== undefined && { issuedAtMs: Math.floor(issuedAt * 1_000) }),
    expiresAtMs,
    firstMs: nowMs,
    lastMs: nowMs,
    requests: 0,
    denials: 0,
    deniedInRow: 0,
    minute: Math.floor(nowMs / MINUTE_MS),
    minuteRequests: 0,
    busiestMinute: 0,
    addresses: [],
    devices: [],
    routes: [],
    lint,
    unusual: [],
  };
}

function isName(jti: string | undefined): boolean {
  return jti !== undefined && jti !== "" && jti.length <= LONGEST.jti;
}

function clientOf({ claims }: Token): string | undefined {
  const { azp, client_id: clientId } = claims;
  const client = typeof azp === "string" ? azp : clientId;
  return typeof client === "string" ? nameOf(client.slice(0, LONGEST.client)) : undefined;
}

/** A clock that was set back counts into the minute at hand. */
function countMinute(entry: Entry, draft: Draft, minute: number): void {
  if (minute > draft.minute) {
    // A minute that ends here may have begun in a batch before.
    const { sending } = entry;
    const stored = entry.storedMinute === draft.minute ? entry.storedInMinute : 0;
    const sent = sending?.minute === draft.minute ? sending.minuteRequests : 0;
    const whole = stored + sent + draft.minuteRequests;
    draft.busiestMinute = Math.max(draft.busiestMinute, whole);
    draft.minute = minute;
    draft.minuteRequests = 0;
  }
  draft.minuteRequests += 1;
}

/** The last one found stands first, for it is the likeliest to come again. */
function touch(traces: Mutable<Trace>[], name: string, nowMs: number): boolean {
  for (let at = 0; at < traces.length; at += 1) {
    const one = traces[at];
    if (one?.name !== name) continue;
    one.requests += 1;
    if (nowMs > one.lastMs) one.lastMs = nowMs;
    const first = traces[0];
    if (at > 0 && first !== undefined) {
      traces[at] = first;
      traces[0] = one;
    }
    return true;
  }
  return false;
}

/** In the place of the one that was not seen for the longest time. */
function add(traces: Mutable<Trace>[], trace: Mutable<Trace>, most: number): void {
  if (traces.length < most) {
    traces.unshift(trace);
    return;
  }
  let oldest = 0;
  for (let at = 1; at < traces.length; at += 1) {
    if ((traces[at]?.lastMs ?? 0) < (traces[oldest]?.lastMs ?? 0)) oldest = at;
  }
  traces[oldest] = trace;
}

function traceOf(name: string, nowMs: number): Mutable<Trace> {
  return { name, firstMs: nowMs, lastMs: nowMs, requests: 1 };
}

function addressOf({ ip, country, location }: Client, nowMs: number): Mutable<Trace> {
  // A copy: the address may be a piece of a header, which would be kept whole for its sake.
  const name: string = JSON.parse(JSON.stringify(ip));
  return {
    ...traceOf(name, nowMs),
    ...(country !== undefined && { country }),
    ...(location !== undefined && { location }),
  };
}

/** Browsers and platforms are few: each pair is one text. */
const deviceNames = new Map<string, Map<string, string>>();

function deviceName({ device: { browser, platform } }: Client): string {
  const before = deviceNames.get(browser)?.get(platform);
  if (before !== undefined) return before;
  const name = `${browser} on ${platform}`;
  const ofBrowser = deviceNames.get(browser) ?? new Map<string, string>();
  if (ofBrowser.size < 100 && deviceNames.size < 100) {
    deviceNames.set(browser, ofBrowser.set(platform, name));
  }
  return name;
}

/** Clients are few, too, but a faulty issuer could name one for each token. */
const MOST_NAMES = 1_000;
const names = new Map<string, string>();

function nameOf(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size < MOST_NAMES) names.set(text, text);
  return text;
}

function noteUnusual(draft: Draft, found: NonNullable<Seen["unusual"]>, nowMs: number): void {
  for (const { policy, signal } of found) {
    // Once a batch: a signal that lasts would push out all others.
    const at = draft.unusual.findIndex((one) => one.policy === policy && one.signal === signal);
    if (at >= 0) draft.unusual.splice(at, 1);
    draft.unusual.unshift({ signal, policy, atMs: nowMs });
  }
  draft.unusual.length = Math.min(draft.unusual.length, MOST.unusual);
}

/** @returns What is to be stored; it is counted as `sending` until `sent` or `failed`. */
export function takeFresh(entry: Entry): Sighting | undefined {
  const { fresh } = entry;
  if (fresh === undefined) return undefined;
  if (entry.key?.isRetiring() === true) entry.lint = addLint(entry.lint, "key_retiring");
  fresh.lint = entry.lint;
  fresh.expiresAtMs = entry.expiresAtMs;
  entry.sending = fresh;
  entry.fresh = undefined;
  return fresh;
}

export function sent(entry: Entry): void {
  const { sending } = entry;
  entry.sending = undefined;
  if (sending === undefined) return;
  const before = entry.storedMinute === sending.minute ? entry.storedInMinute : 0;
  entry.storedMinute = sending.minute;
  entry.storedInMinute = before + sending.minuteRequests;
  // What nobody asks for is the store's alone.
  if (entry.readAtMs === undefined) return;
  entry.known = packHistory(mergeSightings(wholeOf(entry.known), sending));
}

/** Its fate may be unknown: then it is counted twice rather than not at all. */
export function failed(entry: Entry): void {
  const { sending, fresh } = entry;
  entry.sending = undefined;
  if (sending === undefined) return;
  entry.fresh = fresh === undefined ? sending : draftOf(mergeSightings(sending, fresh));
}

function draftOf(sighting: Sighting): Draft {
  return {
    ...sighting,
    addresses: [...sighting.addresses],
    devices: [...sighting.devices],
    routes: [...sighting.routes],
    unusual: [...sighting.unusual],
  };
}

function wholeOf(known: PackedHistory | undefined): Sighting | undefined {
  return known === undefined ? undefined : unpackHistory(known);
}

/** What was known and all that was seen since. */
export function historyOf(entry: Entry, nowMs: number): History {
  const { known, sending, fresh } = entry;
  let whole = wholeOf(known);
  if (sending !== undefined) whole = mergeSightings(whole, sending);
  if (fresh !== undefined) whole = mergeSightings(whole, fresh);
  if (whole === undefined) return neverSeen(nowMs);
  const { firstMs, lastMs, requests, denials, deniedInRow, busiestMinute } = whole;
  return {
    firstMs,
    lastMs,
    requests,
    denials,
    deniedInRow,
    lastMinute: whole.minuteRequests,
    busiestMinute,
    // Copies: those of a draft are counted up while a policy reads.
    addresses: whole.addresses.map((one) => ({ ...one })),
    devices: whole.devices.map((one) => ({ ...one })),
  };
}

export function neverSeen(nowMs: number): History {
  const none = { requests: 0, denials: 0, deniedInRow: 0, lastMinute: 0, busiestMinute: 0 };
  return { firstMs: nowMs, lastMs: nowMs, ...none, addresses: [], devices: [] };
}
