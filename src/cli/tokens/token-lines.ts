/**
 * Tokens and sessions as a table for people.
 *
 * @module
 */
import type { ListedToken } from "../../ledger/token-list.ts";
import { type Paint, plain, type Tint, visible } from "../paint.ts";

const HEADINGS = [
  "id",
  "subject",
  "client",
  "first seen",
  "last seen",
  "requests",
  "denied",
  "addresses",
  "countries",
  "devices",
  "flags",
] as const;

type Cells = readonly string[];
type Row = { readonly cells: Cells; readonly tint: Tint | undefined };
type Options = { readonly paint: Paint; readonly nowMs: number };

/** Columns with more than this are cut: the JSON has all. */
const WIDEST = 32;
const NUMBERS: ReadonlySet<(typeof HEADINGS)[number]> = new Set(["requests", "denied"]);

/** @returns Whole lines; nothing where there is nothing. */
export function tokenLines(shown: readonly ListedToken[], { paint, nowMs }: Options): string {
  if (shown.length === 0) return "";
  const rows = shown.map((one) => rowOf(one, nowMs));
  const all = [HEADINGS, ...rows.map(({ cells }) => cells)];
  const widths = HEADINGS.map((_, at) => Math.max(...all.map((cells) => (cells[at] ?? "").length)));
  const line = (cells: Cells) =>
    cells
      .map((cell, at) => {
        const width = widths[at] ?? 0;
        const heading = HEADINGS[at];
        const isNumber = heading !== undefined && NUMBERS.has(heading);
        return isNumber ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  const lines = rows.map(({ cells, tint }) => {
    const text = line(cells);
    return tint === undefined ? plain(text, "dim") : paint(text, tint);
  });
  return [paint(line(HEADINGS), "dim"), ...lines].map((text) => `${text}\n`).join("");
}

function rowOf(token: ListedToken, nowMs: number): Row {
  const { id, subject, client = "", firstSeen, lastSeen, requests, denials } = token;
  const cells = [
    id,
    subject === "" ? "(none)" : subject,
    client,
    timeOf(firstSeen, nowMs),
    timeOf(lastSeen, nowMs),
    String(requests),
    String(denials),
    fewOf(token.addresses.map(({ ip }) => ip)),
    fewOf(token.countries),
    fewOf(token.devices.map(({ name }) => name)),
    flagsOf(token).join(", "),
  ].map(cut);
  return { cells, tint: tintOf(token) };
}

function flagsOf({ kind, active, revoked, unusual, lint }: ListedToken): readonly string[] {
  return [
    ...(kind === "session" ? ["session"] : []),
    ...(revoked !== undefined ? ["revoked"] : active ? [] : ["expired"]),
    ...new Set(unusual.map(({ signal }) => signal)),
    ...lint,
  ];
}

function tintOf({ active, revoked, unusual }: ListedToken): Tint | undefined {
  if (revoked !== undefined) return "red";
  if (!active) return "dim";
  return unusual.length > 0 ? "yellow" : undefined;
}

/** The latest, and how many more. */
function fewOf(names: readonly string[]): string {
  const [first = "", ...rest] = names;
  return rest.length === 0 ? first : `${first} +${rest.length}`;
}

/** Of today, the time alone; in UTC. */
function timeOf(iso: string, nowMs: number): string {
  const today = new Date(nowMs).toISOString().slice(0, 10);
  const [day = "", time = ""] = iso.split("T");
  const clock = time.slice(0, 8);
  return day === today ? clock : `${day} ${clock}`;
}

function cut(text: string): string {
  const shown = visible(text);
  return shown.length <= WIDEST ? shown : `${shown.slice(0, WIDEST - 1)}…`;
}
