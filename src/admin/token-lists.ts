/**
 * What is found of tokens, sessions and revocations for who asks: the admin API of a running
 * gate, or the command line with the store alone.
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { type ListedLint, listLint } from "../ledger/lint-list.ts";
import { type ListedToken, listTokens } from "../ledger/token-list.ts";
import type { Revocation, Sighting, SightingQuery } from "../store/store.ts";
import { type ListedRevocation, listRevocations } from "./revocation-list.ts";
import { issuerNamed } from "./revocation-target.ts";

export type Known = {
  readonly sightings: (query: SightingQuery) => Promise<readonly Sighting[]>;
  /** In force. */
  readonly revocations: () => Promise<readonly Revocation[]>;
  readonly issuers: readonly IssuerConfig[];
  readonly nowMs: number;
  /** Tokens, where not all that is found is shown. */
  readonly mostLookedAt: number;
};

export type TokenQuestion = {
  readonly kind?: Sighting["kind"] | undefined;
  readonly subject?: string | undefined;
  /** Its name, or its `iss`. */
  readonly issuer?: string | undefined;
  readonly active?: boolean | undefined;
  readonly unusual?: boolean | undefined;
  readonly lint?: boolean | undefined;
  readonly limit: number;
};

/** @returns The latest seen first. @throws GateError `usage_wrong` for an unknown issuer. */
export async function findTokens(
  known: Known,
  question: TokenQuestion,
): Promise<{ readonly tokens: readonly ListedToken[]; readonly more: boolean }> {
  const { active, unusual, lint, limit } = question;
  const query = queryOf(known, question);
  const revocations = await known.revocations();
  const having = unusual ? ("unusual" as const) : lint ? ("lint" as const) : undefined;
  const { issuers, nowMs, mostLookedAt } = known;
  // The store does not know which of them are revoked, and asks for one thing at a time: mostly
  // few are left out, so that little more than what is shown is looked at.
  for (let most = limit + 1; ; most *= 4) {
    const looked = Math.min(most, Math.max(mostLookedAt, limit + 1));
    const seen = await known.sightings({
      ...query,
      ...(having !== undefined && { having }),
      limit: looked,
    });
    const fitting = unusual && lint ? seen.filter((one) => one.lint.length > 0) : seen;
    const all = listTokens(fitting, { revocations, issuers, nowMs });
    const wanted = active ? all.filter((one) => one.active) : all;
    const isAll = seen.length < looked;
    if (isAll || wanted.length > limit || looked < most) {
      return { tokens: wanted.slice(0, limit), more: wanted.length > limit || !isAll };
    }
  }
}

/** @returns By issuer, client and code. @throws GateError `usage_wrong` for an unknown issuer. */
export async function findLint(known: Known, question: TokenQuestion): Promise<FoundLint> {
  const limit = known.mostLookedAt;
  const query = { ...queryOf(known, question), having: "lint" as const, limit };
  const seen = await known.sightings(query);
  const all = listLint(seen, known.issuers);
  return { lint: all.slice(0, question.limit), total: all.length, tokens: seen.length };
}

type FoundLint = {
  readonly lint: readonly ListedLint[];
  readonly total: number;
  /** In which it was found. */
  readonly tokens: number;
};

/** @returns Newest first. @throws GateError `usage_wrong` for an unknown issuer. */
export async function findRevocations(
  known: Known,
  { subject, issuer, limit }: Pick<TokenQuestion, "subject" | "issuer" | "limit">,
): Promise<{ readonly revocations: readonly ListedRevocation[]; readonly total: number }> {
  const iss = issuer === undefined ? undefined : issuerNamed(issuer, known.issuers);
  const isMeant = (one: Revocation) =>
    (iss === undefined || one.issuer === iss) &&
    (subject === undefined || (one.kind === "subject" && one.value === subject));
  const all = (await known.revocations()).filter(isMeant);
  const revocations = listRevocations(all, known.issuers).slice(0, limit);
  return { revocations, total: all.length };
}

function queryOf(
  { issuers, nowMs }: Known,
  { kind, subject, issuer, active }: TokenQuestion,
): Omit<SightingQuery, "limit"> {
  return {
    ...(kind !== undefined && { kind }),
    ...(issuer !== undefined && { issuer: issuerNamed(issuer, issuers) }),
    ...(subject !== undefined && { subject }),
    ...(active && { activeAtMs: nowMs }),
  };
}
