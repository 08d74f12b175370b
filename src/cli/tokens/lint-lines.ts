/**
 * What is unhealthy in tokens, for people: by issuer and client, and what to change there.
 *
 * @module
 */
import type { ListedLint } from "../../ledger/lint-list.ts";
import { counted, type Paint, visible } from "../paint.ts";

/** @param shown In order of issuer and client. @returns Whole lines. */
export function lintLines(shown: readonly ListedLint[], paint: Paint): string {
  let heading = "";
  const lines: string[] = [];
  for (const one of shown) {
    const client = one.client === undefined ? "no client named" : `client ${one.client}`;
    const next = visible(`${one.issuer}, ${client}`);
    if (next !== heading) {
      if (heading !== "") lines.push("");
      lines.push(paint(next, "bold"));
      heading = next;
    }
    const skew = one.skewSeconds === undefined ? "" : `, by up to ${one.skewSeconds} s`;
    const count = counted(one.tokens, "token");
    lines.push(`  ${paint(visible(one.code), "yellow")}  ${count}, such as ${one.example}`);
    lines.push(`    ${one.problem}${skew}`);
    if (one.fix !== "") lines.push(`    ${paint("change:", "dim")} ${one.fix}`);
  }
  return lines.map((line) => `${line}\n`).join("");
}
