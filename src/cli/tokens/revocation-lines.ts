/**
 * What is revoked, for people.
 *
 * @module
 */
import type { ListedRevocation } from "../../admin/revocation-list.ts";
import { visible } from "../paint.ts";

/** @returns A whole line for each. */
export function revocationLines(shown: readonly ListedRevocation[]): string {
  const lines = shown.map(({ kind, issuer, value, reason, author, at, until }) => {
    const what = [kind, value, issuer === undefined ? "" : `of ${issuer}`]
      .filter(Boolean)
      .join(" ");
    const why = reason === "" ? "" : `: ${reason}`;
    return `${visible(`${at}  ${what}  until ${until}  by ${author}${why}`)}\n`;
  });
  return lines.join("");
}
