/**
 * What is not counted but simply is, at the moment of asking.
 *
 * @module
 */
export type Standing = {
  readonly version: string;
  readonly startedMs: number;
  readonly tokensTracked: number;
  readonly revocations: number;
  readonly streamsOpen: number;
  /** Records that are not in the store yet. */
  readonly auditBacklog: number;
  /** Clients of the live stream of decisions. */
  readonly followers: number;
  readonly isStoreFresh: boolean;
  readonly isDraining: boolean;
  readonly lastReload?: { readonly inForce: boolean; readonly atMs: number } | undefined;
  readonly issuers: readonly IssuerStanding[];
  readonly process: ProcessUse;
  /** Of a gate of several processes. */
  readonly workers?: { readonly serving: number; readonly replaced: number } | undefined;
};

type IssuerStanding = {
  readonly name: string;
  readonly state: "fresh" | "stale" | "missing";
  readonly keys: number;
  readonly fetchedMs?: number | undefined;
};

type ProcessUse = {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
};

/** Of this process. */
export function processUse(): ProcessUse {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, residentBytes: rss, heapBytes: heapUsed };
}

export function addUse(one: ProcessUse, other: ProcessUse): ProcessUse {
  return {
    cpuSeconds: one.cpuSeconds + other.cpuSeconds,
    residentBytes: one.residentBytes + other.residentBytes,
    heapBytes: one.heapBytes + other.heapBytes,
  };
}

/**
 * Of two processes that serve together: sums of what each has, and where both have the same, the
 * one that is worse off.
 */
export function addStanding(one: Standing, other: Standing): Standing {
  return {
    ...one,
    startedMs: Math.min(one.startedMs, other.startedMs),
    tokensTracked: one.tokensTracked + other.tokensTracked,
    revocations: Math.max(one.revocations, other.revocations),
    streamsOpen: one.streamsOpen + other.streamsOpen,
    auditBacklog: one.auditBacklog + other.auditBacklog,
    followers: one.followers + other.followers,
    isStoreFresh: one.isStoreFresh && other.isStoreFresh,
    isDraining: one.isDraining || other.isDraining,
    issuers: one.issuers.map((issuer) => {
      const same = other.issuers.find(({ name }) => name === issuer.name);
      return same === undefined ? issuer : worse(issuer, same);
    }),
    process: addUse(one.process, other.process),
  };
}

const RANK = { fresh: 0, stale: 1, missing: 2 } as const;

function worse(one: IssuerStanding, other: IssuerStanding): IssuerStanding {
  if (RANK[one.state] !== RANK[other.state]) {
    return RANK[one.state] > RANK[other.state] ? one : other;
  }
  return (one.fetchedMs ?? 0) <= (other.fetchedMs ?? 0) ? one : other;
}
