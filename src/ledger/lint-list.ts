/**
 * What is unhealthy in the tokens that were seen, by issuer and client: who has to change what.
 * Pure.
 *
 * @module
 */
import type { Sighting } from "../store/store.ts";
import { adviceFor, type Provider, providerOf } from "./lint-advice.ts";

/** One thing to change, as JSON has it. */
export type ListedLint = {
  /** Its name in the configuration, else its `iss`. */
  readonly issuer: string;
  /** Absent for tokens that name none. */
  readonly client?: string;
  readonly code: string;
  /** Tokens and sessions that have it. */
  readonly tokens: number;
  /** Of code `clock_ahead`: how far, at most, the issuer's clock was ahead of ours. */
  readonly skewSeconds?: number;
  readonly provider?: Provider;
  readonly problem: string;
  /** What to change at the provider. */
  readonly fix: string;
  /** The one seen last. */
  readonly example: string;
  readonly lastSeen: string;
};

type Found = { tokens: number; skewMs: number; latest: Sighting };

/** @returns By issuer, client and code. */
export function listLint(
  sightings: readonly Sighting[],
  issuers: readonly { readonly name: string; readonly issuer: string }[],
): readonly ListedLint[] {
  const nameOf = new Map(issuers.map(({ issuer, name }) => [issuer, name]));
  const found = new Map<string, Found>();
  for (const one of sightings) {
    for (const code of one.lint) count(found, JSON.stringify([one.issuer, one.client, code]), one);
  }
  const all = [...found].map(([key, { tokens, skewMs, latest }]): ListedLint => {
    const code: string = JSON.parse(key)[2];
    const { issuer, client } = latest;
    const provider = providerOf(issuer);
    const { problem, fix } = adviceFor(code, provider) ?? { problem: code, fix: "" };
    return {
      issuer: nameOf.get(issuer) ?? issuer,
      ...(client !== undefined && { client }),
      code,
      tokens,
      ...(code === "clock_ahead" && { skewSeconds: Math.ceil(skewMs / 1_000) }),
      ...(provider !== undefined && { provider }),
      problem,
      fix,
      example: latest.id,
      lastSeen: new Date(latest.lastMs).toISOString(),
    };
  });
  const order = ({ issuer, client = "", code }: ListedLint) => [issuer, client, code].join("\n");
  return all.sort((a, b) => (order(a) < order(b) ? -1 : 1));
}

function count(found: Map<string, Found>, key: string, sighting: Sighting): void {
  const there = found.get(key);
  const { issuedAtMs = 0, firstMs, lastMs } = sighting;
  const skewMs = Math.max(there?.skewMs ?? 0, issuedAtMs - firstMs);
  const latest = there !== undefined && there.latest.lastMs >= lastMs ? there.latest : sighting;
  found.set(key, { tokens: (there?.tokens ?? 0) + 1, skewMs, latest });
}
