/**
 * The demo's table: one line a request, within 100 columns.
 *
 * @module
 */
import { type Paint, visible } from "../paint.ts";
import type { Outcome } from "./run-attempt.ts";

const COLUMNS = 100;
/** What the other columns leave at least. */
const WHY_COLUMNS = 34;
const INDENT = 2;
/** Between two columns. */
const GAP = 2;

const HEADINGS = ["", "", "request", "status", "code", "why"] as const;
type Cells = readonly [string, string, string, string, string, string];

/** @returns Whole lines: headings, then a row for each outcome. */
export function formatTable(outcomes: readonly Outcome[], paint: Paint): string {
  const rows = outcomes.map(cellsOf);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(...[heading, ...rows.map((cells) => cells[column] ?? "")].map(widthOf)),
  );
  const used = widths.slice(0, -1).reduce((sum, width) => sum + width + GAP, INDENT);
  const lineOf = (cells: readonly string[], tintOf: (column: number) => Parameters<Paint>[1]) =>
    cells
      .map((cell, column) => {
        const isLast = column === cells.length - 1;
        const text = isLast ? fitted(cell, COLUMNS - used) : cell;
        const padding = isLast ? "" : " ".repeat((widths[column] ?? 0) - widthOf(text) + GAP);
        return (text === "" ? "" : paint(text, tintOf(column))) + padding;
      })
      .join("")
      .trimEnd();

  const lines = [lineOf(HEADINGS, () => "dim")];
  outcomes.forEach((outcome, index) => {
    const tints = tintsOf(outcome);
    lines.push(lineOf(rows[index] ?? [], (column) => tints[column] ?? "dim"));
  });
  return lines.map((line) => `${" ".repeat(INDENT)}${line}\n`).join("");
}

function cellsOf(outcome: Outcome): Cells {
  const { attempt, status, code, asExpected } = outcome;
  const verb = attempt.method === "WebSocket" ? "GET" : attempt.method;
  return [
    asExpected ? "✓" : "✗",
    attempt.label,
    `${verb} ${attempt.path}`,
    status === undefined ? "none" : String(status),
    code ?? "",
    whyOf(outcome),
  ];
}

/** The whole reason where there is room; else the word for it, which says as much to those who know. */
function whyOf({ why, reason }: Outcome): string {
  const whole = visible(why);
  return reason !== undefined && widthOf(whole) > WHY_COLUMNS ? reason : whole;
}

function tintsOf({ status, asExpected }: Outcome): readonly Parameters<Paint>[1][] {
  const answered = status !== undefined && status < 400 ? "green" : "yellow";
  return [asExpected ? "green" : "red", "bold", "dim", answered, answered, "dim"];
}

const widthOf = (text: string): number => Bun.stringWidth(text);

function fitted(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  return `${[...text].slice(0, width - 1).join("")}…`;
}
