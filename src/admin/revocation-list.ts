/**
 * What is revoked, as it is listed. Pure.
 *
 * @module
 */
import { isoTime } from "../audit/entry.ts";
import type { IssuerConfig } from "../config/resolved.ts";
import type { Revocation } from "../store/store.ts";
import { issuerWord } from "./revocation-target.ts";

/** A revocation as JSON has it. */
export type ListedRevocation = {
  readonly kind: Revocation["kind"];
  /** Its name in the configuration, or its `iss`: what `--issuer` takes. */
  readonly issuer?: string;
  readonly value: string;
  readonly reason: string;
  readonly author: string;
  readonly at: string;
  readonly until: string;
};

/** @returns Newest first. */
export function listRevocations(
  revocations: readonly Revocation[],
  issuers: readonly IssuerConfig[],
): readonly ListedRevocation[] {
  return [...revocations]
    .sort((a, b) => b.atMs - a.atMs)
    .map((revocation) => listedRevocation(revocation, issuers));
}

export function listedRevocation(
  { kind, issuer, value, reason, author, atMs, untilMs }: Revocation,
  issuers: readonly IssuerConfig[],
): ListedRevocation {
  return {
    kind,
    ...(issuer !== undefined && { issuer: issuerWord(issuer, issuers) }),
    value,
    reason,
    author,
    at: isoTime(atMs),
    until: isoTime(untilMs),
  };
}
