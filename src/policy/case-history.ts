/**
 * A token's past as cases and scenarios write it: what they leave out is filled in.
 *
 * @module
 */
import { canonicalAddress } from "../lib/cidr.ts";
import type { History, Trace } from "../types.ts";
import type { CaseHistory } from "./definition.ts";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/**
 * First seen an hour before `nowMs`, last a minute before, with as many requests as its addresses
 * had, unless it says otherwise.
 *
 * @throws RangeError If it names a time or an address that is none.
 */
export function historyOfCase(given: CaseHistory, nowMs: number): History {
  const lastMs = timeOf(given.lastSeen, "history.lastSeen");
  const firstMs =
    timeOf(given.firstSeen, "history.firstSeen") ?? Math.min(nowMs - HOUR_MS, lastMs ?? nowMs);
  const seen = { firstMs, lastMs: lastMs ?? Math.max(firstMs, nowMs - MINUTE_MS) };
  const addresses = (given.addresses ?? []).map((one) => {
    const { ip, country, location } = one;
    const name = ip === "unix" ? ip : canonicalAddress(ip);
    if (name === undefined) throw new RangeError("history.addresses: ip is no address");
    return {
      ...traceOf(name, one, seen),
      ...(country && { country }),
      ...(location && { location }),
    };
  });
  const devices = (given.devices ?? []).map((one) => traceOf(one.name, one, seen));
  const signedOutMs = timeOf(given.signedOut, "history.signedOut");
  return {
    ...seen,
    requests: given.requests ?? Math.max(1, sumOf(addresses), sumOf(devices)),
    denials: given.denials ?? given.deniedInRow ?? 0,
    deniedInRow: given.deniedInRow ?? 0,
    lastMinute: given.lastMinute ?? 1,
    busiestMinute: given.busiestMinute ?? 1,
    ...(signedOutMs !== undefined && { signedOutMs }),
    addresses: latestFirst(addresses),
    devices: latestFirst(devices),
  };
}

type CaseTrace = Pick<
  NonNullable<CaseHistory["devices"]>[number],
  "firstSeen" | "lastSeen" | "requests"
>;
type Seen = { readonly firstMs: number; readonly lastMs: number };

function traceOf(name: string, given: CaseTrace, seen: Seen): Trace {
  const last = timeOf(given.lastSeen, "history: lastSeen") ?? seen.lastMs;
  const first = timeOf(given.firstSeen, "history: firstSeen") ?? Math.min(seen.firstMs, last);
  return { name, firstMs: first, lastMs: last, requests: given.requests ?? 1 };
}

function sumOf(traces: readonly Trace[]): number {
  return traces.reduce((sum, { requests }) => sum + requests, 0);
}

function latestFirst<T extends Trace>(traces: readonly T[]): readonly T[] {
  return [...traces].sort((a, b) => b.lastMs - a.lastMs);
}

function timeOf(time: string | Date | undefined, what: string): number | undefined {
  if (time === undefined) return undefined;
  const ms = new Date(time).getTime();
  if (!Number.isNaN(ms)) return ms;
  throw new RangeError(`${what} is no time: write it like 2026-01-05T12:00:00Z`);
}
