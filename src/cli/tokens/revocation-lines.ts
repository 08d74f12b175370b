/**
 * What is revoked, as it is listed.
 *
 * @module
 */
import type { IssuerConfig } from "../../config/resolved.ts";
import type { Revocation } from "../../store/store.ts";
import { visible } from "../paint.ts";
import { issuerWord } from "../revocation-target.ts";

/** A revocation as `--json` prints it. */
type Listed = {
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
): readonly Listed[] {
  return [...revocations]
    .sort((a, b) => b.atMs - a.atMs)
    .map(({ kind, issuer, value, reason, author, atMs, untilMs }) => ({
      kind,
      ...(issuer !== undefined && { issuer: issuerWord(issuer, issuers) }),
      value,
      reason,
      author,
      at: new Date(atMs).toISOString(),
      until: new Date(untilMs).toISOString(),
    }));
}

/** @returns A whole line for each. */
export function revocationLines(shown: readonly Listed[]): string {
  const lines = shown.map(({ kind, issuer, value, reason, author, at, until }) => {
    const what = [kind, value, issuer === undefined ? "" : `of ${issuer}`]
      .filter(Boolean)
      .join(" ");
    const why = reason === "" ? "" : `: ${reason}`;
    return `${visible(`${at}  ${what}  until ${until}  by ${author}${why}`)}\n`;
  });
  return lines.join("");
}
