/**
 * A summary of the audit, for people.
 *
 * @module
 */
import type { Verification } from "../../audit/verify.ts";
import { counted, type Paint, visible } from "../paint.ts";
import type { Summary } from "./summary.ts";
import { verificationLines } from "./verify-chains.ts";

const GAP = "  ";
/** Of those refused most; `--json` has more. */
const MOST_LISTED = 10;

type Column = { readonly name: string; readonly isNumber?: true };
type Cell = string | number | undefined;

export function summaryText(summary: Summary, chain: Verification, paint: Paint): string {
  const { routes, refusals, subjects, addresses, revoked, unusual, others } = summary;
  const sections = [
    table(
      [{ name: "route" }, number("requests"), number("refused")],
      routes.map(({ route, decisions, denied }) => [route ?? "(none)", decisions, denied]),
    ),
    table(
      [number("refused"), { name: "answer" }, { name: "why" }, { name: "policy" }],
      refusals.map(({ requests, status, code, reason, policy }) => [
        requests,
        `${status} ${code}`,
        reason,
        policy,
      ]),
    ),
    table(
      [{ name: "subject" }, { name: "issuer" }, number("refused"), { name: "with" }],
      subjects
        .slice(0, MOST_LISTED)
        .map(({ subject, issuer, requests, codes }) => [subject, issuer, requests, often(codes)]),
    ),
    table(
      [{ name: "no valid token, from" }, number("refused"), { name: "with" }],
      addresses
        .slice(0, MOST_LISTED)
        .map(({ address, requests, codes }) => [address, requests, often(codes)]),
    ),
    table(
      [
        { name: "revoked" },
        { name: "by" },
        { name: "why" },
        { name: "subject" },
        { name: "what" },
        number("refused since"),
      ],
      revoked.map(({ at, actor, reason, subject, target, token, refused }) => [
        `${at.slice(0, 10)} ${at.slice(11, 19)}`,
        actor,
        reason,
        subject,
        token === undefined ? target : `token ${token}`,
        refused,
      ]),
    ),
    table(
      [{ name: "unusual" }, { name: "policy" }, number("tokens"), number("requests")],
      unusual.map(({ signal, policy, tokens, requests }) => [signal, policy, tokens, requests]),
    ),
    table(
      [{ name: "besides" }, { name: "by" }, number("times")],
      others.map(({ act, actor, count }) => [act, actor, count]),
    ),
  ];
  const tables = sections
    .filter((lines) => lines.length > 0)
    .map(([heading = "", ...rows]) => [paint(heading, "dim"), ...rows].join("\n"));
  return `${[headOf(summary), ...tables, verificationLines(chain, paint).trimEnd()].join("\n\n")}\n`;
}

function headOf({ from, to, decisions, denied, damaged }: Summary): string {
  if (from === undefined || to === undefined) return "no record matches";
  const sums = `${written(decisions)} requests: ${written(decisions - denied)} forwarded, ${written(denied)} refused`;
  const broken = damaged === 0 ? "" : `, ${counted(damaged, "damaged record")}`;
  const minute = (at: string) => at.slice(0, 16).replace("T", " ");
  return `${minute(from)} to ${minute(to)} UTC, ${sums}${broken}`;
}

function often(codes: Readonly<Record<string, number>>): string {
  return Object.entries(codes)
    .map(([code, requests]) => `${code} ${written(requests)}`)
    .join(", ");
}

const number = (name: string): Column => ({ name, isNumber: true });

/** Nothing where there are no rows. */
function table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): readonly string[] {
  if (rows.length === 0) return [];
  const texts = [
    columns.map(({ name }) => name),
    ...rows.map((row) => row.map((cell) => visible(written(cell)))),
  ];
  const widths = columns.map((_, at) =>
    texts.reduce((most, row) => Math.max(most, Bun.stringWidth(row[at] ?? "")), 0),
  );
  return texts.map((row) =>
    row
      .map((text, at) => {
        const space = " ".repeat(Math.max(0, (widths[at] ?? 0) - Bun.stringWidth(text)));
        return columns[at]?.isNumber ? space + text : text + space;
      })
      .join(GAP)
      .trimEnd(),
  );
}

function written(cell: Cell): string {
  return typeof cell === "number" ? cell.toLocaleString("en-US") : (cell ?? "");
}
