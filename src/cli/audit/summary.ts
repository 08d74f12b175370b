/**
 * What `claimgate audit --summary` counts: who was refused and why, what was revoked, what struck
 * policies as unusual. Goes through the records page by page and keeps counts alone, of so many
 * things at most.
 *
 * @module
 */
import { type ActEntry, type DecisionEntry, isoTime } from "../../audit/entry.ts";
import { newestFirst, readEntry } from "../../audit/scan.ts";
import { isWanted, queryOf, type RecordFilter } from "../../audit/search.ts";
import type { ChainedRecord, Store } from "../../store/store.ts";

/** Those refused most, and of what was revoked the newest. */
const MOST_LISTED = 20;
const MOST_REVOKED = 1_000;
/** Of one kind. What comes new beyond is counted in the sums, and not by itself. */
const MOST_KEPT = 100_000;
/** A policy's revocations stand right before the decision that they came with. */
const TOGETHER = 8;

export type Summary = {
  /** The times of the first and the last record. */
  readonly from?: string;
  readonly to?: string;
  readonly decisions: number;
  readonly denied: number;
  readonly acts: number;
  /** No records any more: `audit verify` tells which. */
  readonly damaged: number;
  /** Without `route`: refused before there was one. */
  readonly routes: readonly {
    readonly route?: string;
    readonly decisions: number;
    readonly denied: number;
  }[];
  readonly refusals: readonly (Refusal & { readonly requests: number })[];
  /** Those refused most, and with which codes. */
  readonly subjects: readonly (Named<"issuer" | "subject"> & Codes)[];
  /** The same of requests without a verified token. */
  readonly addresses: readonly (Named<"address"> & Codes)[];
  /** The newest, oldest first. */
  readonly revoked: readonly Revoked[];
  readonly unusual: readonly (Named<"policy" | "signal"> & {
    readonly requests: number;
    readonly tokens: number;
  })[];
  /** What else administrators, providers and the gate itself did. */
  readonly others: readonly (Named<"actor" | "act"> & { readonly count: number })[];
};

type Named<Name extends string> = { readonly [name in Name]: string };

type Refusal = {
  readonly status: number;
  readonly code: string;
  readonly reason?: string;
  readonly policy?: string;
};

type Codes = { readonly requests: number; readonly codes: Readonly<Record<string, number>> };

type Revoked = {
  readonly at: string;
  readonly actor: string;
  readonly target: string;
  readonly reason?: string;
  /** Where a policy asked for it: whose token it was, and its public id. */
  readonly issuer?: string;
  readonly subject?: string;
  readonly token?: string;
  /** Requests with that token that were refused as revoked. */
  readonly refused?: number;
};

type Placed = { readonly entry: ActEntry; readonly writer: string; readonly seq: number };

/** @throws GateError `store_unavailable`, `store_damaged`; `usage_wrong` for a time. */
export async function summarize(
  store: Pick<Store, "find" | "chain">,
  filter: RecordFilter,
  nowMs: number,
): Promise<Summary> {
  const counts = new Counts();
  for await (const record of newestFirst(store, queryOf(filter, nowMs))) {
    if (isWanted(record, filter)) counts.add(record);
  }
  const revoked: Revoked[] = [];
  for (const placed of counts.revocations.reverse()) {
    revoked.push(await withToken(store, placed, counts.revokedTokens));
  }
  return { ...counts.sums(), revoked };
}

class Counts {
  /** The newest first. */
  readonly revocations: Placed[] = [];
  /** Refused as revoked, by the token's public id. */
  readonly revokedTokens = new Map<string, number>();
  #firstMs = Number.POSITIVE_INFINITY;
  #lastMs = Number.NEGATIVE_INFINITY;
  #decisions = 0;
  #denied = 0;
  #acts = 0;
  #damaged = 0;
  readonly #routes = new Map<string, { decisions: number; denied: number }>();
  readonly #refusals = new Map<string, Refusal & { requests: number }>();
  readonly #subjects = new Map<string, Refused>();
  readonly #addresses = new Map<string, Refused>();
  readonly #signals = new Map<string, { requests: number; readonly tokens: Set<string> }>();
  readonly #others = new Map<string, { count: number }>();

  add(record: ChainedRecord): void {
    const { atMs, index, body } = record;
    this.#firstMs = Math.min(this.#firstMs, atMs);
    this.#lastMs = Math.max(this.#lastMs, atMs);
    // Most records are of requests that passed and that nothing was unusual about.
    const isPlain = index.kind === "decision" && !index.denied && !body.includes('"unusual":[');
    if (isPlain) {
      this.#addDecision(index.route, "forward");
      return;
    }
    const entry = readEntry(record);
    if (entry === undefined) this.#damaged += 1;
    else if (entry.kind === "act") this.#addAct({ entry, writer: record.writer, seq: record.seq });
    else this.#addEntry(entry);
  }

  #addDecision(route: string | undefined, decision: "forward" | "deny"): void {
    const denied = decision === "deny" ? 1 : 0;
    this.#decisions += 1;
    this.#denied += denied;
    const sum = kept(this.#routes, route ?? "", () => ({ decisions: 0, denied: 0 }));
    if (sum === undefined) return;
    sum.decisions += 1;
    sum.denied += denied;
  }

  #addEntry(entry: DecisionEntry): void {
    const { route, decision, status, code = "", reason, policy, token, client } = entry;
    this.#addDecision(route, decision);
    for (const { name, unusual = [] } of entry.policies) {
      for (const signal of unusual) this.#addSignal(name, signal, token?.id);
    }
    if (decision === "forward") return;
    const refusal = {
      status,
      code,
      ...(reason !== undefined && reason !== code && { reason }),
      ...(policy !== undefined && { policy }),
    };
    const same = kept(this.#refusals, keyOf(status, code, refusal.reason, policy), () => ({
      ...refusal,
      requests: 0,
    }));
    if (same !== undefined) same.requests += 1;
    if (token === undefined) addRefused(this.#addresses, keyOf(client.ip), code);
    else addRefused(this.#subjects, keyOf(token.issuer, token.subject), code);
    if (code !== "token_revoked" || token?.id === undefined) return;
    const before = this.revokedTokens.get(token.id);
    if (before === undefined && this.revokedTokens.size >= MOST_KEPT) return;
    this.revokedTokens.set(token.id, (before ?? 0) + 1);
  }

  #addSignal(policy: string, signal: string, token = ""): void {
    const sum = kept(this.#signals, keyOf(policy, signal), () => ({
      requests: 0,
      tokens: new Set<string>(),
    }));
    if (sum === undefined) return;
    sum.requests += 1;
    if (sum.tokens.size < MOST_KEPT) sum.tokens.add(token);
  }

  #addAct(placed: Placed): void {
    this.#acts += 1;
    const { actor, act } = placed.entry;
    if (act === "revoke") {
      if (this.revocations.length < MOST_REVOKED) this.revocations.push(placed);
      return;
    }
    const sum = kept(this.#others, keyOf(actor, act), () => ({ count: 0 }));
    if (sum !== undefined) sum.count += 1;
  }

  sums(): Omit<Summary, "revoked"> {
    const isEmpty = this.#lastMs < this.#firstMs;
    return {
      ...(!isEmpty && { from: isoTime(this.#firstMs), to: isoTime(this.#lastMs) }),
      decisions: this.#decisions,
      denied: this.#denied,
      acts: this.#acts,
      damaged: this.#damaged,
      routes: [...this.#routes]
        .map(([route, sums]) => ({ ...(route !== "" && { route }), ...sums }))
        .sort((one, other) => other.decisions - one.decisions),
      refusals: [...this.#refusals.values()].sort(byRequests),
      subjects: mostRefused(this.#subjects).map(([[issuer = "", subject = ""], refused]) => ({
        issuer,
        subject,
        ...refused,
      })),
      addresses: mostRefused(this.#addresses).map(([[address = ""], refused]) => ({
        address,
        ...refused,
      })),
      unusual: [...this.#signals]
        .map(([key, { requests, tokens }]) => {
          const [policy = "", signal = ""] = partsOf(key);
          return { policy, signal, requests, tokens: tokens.size };
        })
        .sort((one, other) => other.tokens - one.tokens),
      others: [...this.#others].map(([key, { count }]) => {
        const [actor = "", act = ""] = partsOf(key);
        return { actor, act, count };
      }),
    };
  }
}

type Refused = { requests: number; readonly codes: Map<string, number> };

function addRefused(sums: Map<string, Refused>, key: string, code: string): void {
  const sum = kept(sums, key, () => ({ requests: 0, codes: new Map<string, number>() }));
  if (sum === undefined) return;
  sum.requests += 1;
  sum.codes.set(code, (sum.codes.get(code) ?? 0) + 1);
}

function mostRefused(sums: ReadonlyMap<string, Refused>) {
  return [...sums]
    .sort(([, one], [, other]) => byRequests(one, other))
    .slice(0, MOST_LISTED)
    .map(([key, { requests, codes }]) => {
      const often = [...codes].sort((one, other) => other[1] - one[1]);
      return [partsOf(key), { requests, codes: Object.fromEntries(often) }] as const;
    });
}

/** @returns `undefined` where there are too many to keep another one. */
function kept<Sum>(sums: Map<string, Sum>, key: string, make: () => Sum): Sum | undefined {
  const known = sums.get(key);
  if (known !== undefined || sums.size >= MOST_KEPT) return known;
  const made = make();
  sums.set(key, made);
  return made;
}

const keyOf = (...parts: readonly (string | number | undefined)[]) => JSON.stringify(parts);
const partsOf = (key: string): readonly string[] => JSON.parse(key);

function byRequests(one: { readonly requests: number }, other: { readonly requests: number }) {
  return other.requests - one.requests;
}

async function withToken(
  store: Pick<Store, "chain">,
  { entry, writer, seq }: Placed,
  refusals: ReadonlyMap<string, number>,
): Promise<Revoked> {
  const { at, actor, target, reason } = entry;
  const revoked = { at, actor, target, ...(reason !== undefined && { reason }) };
  if (!actor.startsWith("policy ")) return revoked;
  for (const record of await store.chain(writer, seq, TOGETHER)) {
    const next = readEntry(record);
    if (next?.kind !== "decision") continue;
    const { token, policy } = next;
    if (token === undefined || `policy ${policy}` !== actor || next.reason !== reason) break;
    const { issuer, subject, id } = token;
    const refused = id === undefined ? 0 : (refusals.get(id) ?? 0);
    return { ...revoked, issuer, subject, ...(id !== undefined && { token: id }), refused };
  }
  return revoked;
}
