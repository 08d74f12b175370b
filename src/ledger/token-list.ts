/**
 * What is shown of tokens and sessions, on the command line and by the admin API: what the ledger
 * knows of each, and whether it is revoked. Pure; never a token, for the ledger has none.
 *
 * @module
 */
import type { Revocation, Sighting } from "../store/store.ts";
import type { Trace } from "../types.ts";
import { keyOf, keyOfRevocation, logoutValue } from "./revocation.ts";

/** A token or session as JSON has it. Times are ISO 8601, in UTC. */
export type ListedToken = {
  readonly id: string;
  readonly kind: Sighting["kind"];
  /** Its name in the configuration, else its `iss`. */
  readonly issuer: string;
  readonly subject: string;
  /** Whom it was given to: `azp`, else `client_id`. */
  readonly client?: string;
  readonly jti?: string;
  readonly issuedAt?: string;
  readonly expiresAt: string;
  /** Neither expired nor revoked. */
  readonly active: boolean;
  readonly firstSeen: string;
  readonly lastSeen: string;
  readonly requests: number;
  readonly denials: number;
  /** Denials since the last request that passed. */
  readonly deniedInRow: number;
  readonly addresses: readonly ListedAddress[];
  /** Of its addresses, as far as a geo database knew them. */
  readonly countries: readonly string[];
  readonly devices: readonly ListedTrace[];
  readonly routes: readonly ListedTrace[];
  readonly unusual: readonly {
    readonly signal: string;
    readonly policy: string;
    readonly at: string;
  }[];
  readonly lint: readonly string[];
  readonly revoked?: {
    readonly kind: Revocation["kind"];
    readonly reason: string;
    readonly author: string;
    readonly at: string;
  };
};

type Times = { readonly firstSeen: string; readonly lastSeen: string; readonly requests: number };
type ListedTrace = Times & { readonly name: string };
type ListedAddress = Times &
  Pick<Trace, "country" | "location"> & {
    readonly ip: string;
  };

type Surroundings = {
  /** In force. */
  readonly revocations: readonly Revocation[];
  readonly issuers: readonly { readonly name: string; readonly issuer: string }[];
  readonly nowMs: number;
};

/** @returns In the order given. */
export function listTokens(
  sightings: readonly Sighting[],
  { revocations, issuers, nowMs }: Surroundings,
): readonly ListedToken[] {
  const byKey = new Map(revocations.map((one) => [keyOfRevocation(one), one]));
  const nameOf = new Map(issuers.map(({ issuer, name }) => [issuer, name]));
  return sightings.map((one) => {
    const revoked = revocationFor(one, byKey);
    return listed(one, nameOf.get(one.issuer) ?? one.issuer, revoked, nowMs);
  });
}

function listed(
  sighting: Sighting,
  issuer: string,
  revoked: Revocation | undefined,
  nowMs: number,
): ListedToken {
  const { id, kind, subject, client, jti, issuedAtMs, expiresAtMs, addresses } = sighting;
  const { requests, denials, deniedInRow, lint } = sighting;
  const countries = addresses.map(({ country }) => country).filter((one) => one !== undefined);
  return {
    id,
    kind,
    issuer,
    subject,
    ...(client !== undefined && { client }),
    ...(jti !== undefined && { jti }),
    ...(issuedAtMs !== undefined && { issuedAt: isoTime(issuedAtMs) }),
    expiresAt: isoTime(expiresAtMs),
    active: revoked === undefined && expiresAtMs > nowMs,
    firstSeen: isoTime(sighting.firstMs),
    lastSeen: isoTime(sighting.lastMs),
    requests,
    denials,
    deniedInRow,
    addresses: addresses.map(({ name, country, location, ...times }) => ({
      ip: name,
      ...(country !== undefined && { country }),
      ...(location !== undefined && { location }),
      ...timesOf(times),
    })),
    countries: [...new Set(countries)],
    devices: sighting.devices.map(listedTrace),
    routes: sighting.routes.map(listedTrace),
    unusual: sighting.unusual.map(({ signal, policy, atMs }) => ({
      signal,
      policy,
      at: isoTime(atMs),
    })),
    lint,
    ...(revoked !== undefined && {
      revoked: {
        kind: revoked.kind,
        reason: revoked.reason,
        author: revoked.author,
        at: isoTime(revoked.atMs),
      },
    }),
  };
}

function listedTrace({ name, ...times }: Trace): ListedTrace {
  return { name, ...timesOf(times) };
}

function timesOf({ firstMs, lastMs, requests }: Omit<Trace, "name">): Times {
  return { firstSeen: isoTime(firstMs), lastSeen: isoTime(lastMs), requests };
}

/** A provider's session is not told from here by its `sid`: the gate ends such sessions itself. */
function revocationFor(
  { id, kind, issuer, subject, jti, issuedAtMs }: Sighting,
  byKey: ReadonlyMap<string, Revocation>,
): Revocation | undefined {
  const itself = byKey.get(keyOf(kind, "", id));
  if (itself !== undefined) return itself;
  const byId = jti === undefined ? undefined : byKey.get(keyOf("jti", issuer, jti));
  if (byId !== undefined) return byId;
  const whole = [
    subject === "" ? undefined : byKey.get(keyOf("subject", issuer, subject)),
    byKey.get(keyOf("issuer", issuer, "")),
    kind === "session" && subject !== ""
      ? byKey.get(keyOf("logout", issuer, logoutValue({ subject })))
      : undefined,
  ];
  return whole.find((one) => one !== undefined && isIssuedBy(issuedAtMs, one.atMs));
}

/** In or before the second of that moment; without a time it counts as old. */
function isIssuedBy(issuedAtMs: number | undefined, atMs: number): boolean {
  return issuedAtMs === undefined || Math.floor(issuedAtMs / 1_000) <= Math.floor(atMs / 1_000);
}

/** A token may name a year that no calendar has. */
const LAST_MS = 8.64e15;

function isoTime(ms: number): string {
  return new Date(Math.max(-LAST_MS, Math.min(ms, LAST_MS))).toISOString();
}
