/**
 * Tokens and sessions for people: a table, or two lines each where the terminal is narrow.
 *
 * @module
 */
import type { ListedToken } from "../../ledger/token-list.ts";
import { type Paint, type Tint, visible } from "../paint.ts";

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
type Options = {
  readonly paint: Paint;
  readonly nowMs: number;
  /** The terminal's; `undefined` where there is none, and lines stay whole. */
  readonly columns?: number | undefined;
};

/** Columns with more than this are cut: the JSON has all. */
const WIDEST = 32;
const NUMBERS: ReadonlySet<(typeof HEADINGS)[number]> = new Set(["requests", "denied"]);

/** @returns Whole lines; nothing where there is nothing. */
export function tokenLines(shown: readonly ListedToken[], options: Options): string {
  if (shown.length === 0) return "";
  const { paint, nowMs, columns = Number.POSITIVE_INFINITY } = options;
  const rows = shown.map((one) => rowOf(one, nowMs));
  const all = [HEADINGS, ...rows.map(({ cells }) => cells)];
  const widths = HEADINGS.map((_, at) => Math.max(...all.map((cells) => (cells[at] ?? "").length)));
  const tinted = (text: string, { tint }: Row) => (tint === undefined ? text : paint(text, tint));
  const isWide = all.every((cells) => inColumns(cells, widths).length <= columns);
  const lines = isWide
    ? rows.map((row) => tinted(inColumns(row.cells, widths), row))
    : rows.flatMap((row) => twoLines(row, (text) => tinted(text, row)));
  const heading = isWide ? [paint(inColumns(HEADINGS, widths), "dim")] : [];
  return [...heading, ...lines].map((text) => `${text}\n`).join("");
}

function inColumns(cells: Cells, widths: readonly number[]): string {
  const padded = cells.map((cell, at) => {
    const heading = HEADINGS[at];
    const width = widths[at] ?? 0;
    const isNumber = heading !== undefined && NUMBERS.has(heading);
    return isNumber ? cell.padStart(width) : cell.padEnd(width);
  });
  return padded.join("  ").trimEnd();
}

function twoLines({ cells }: Row, paintHead: (text: string) => string): readonly string[] {
  const [id = "", subject = "", client = "", first = "", last = "", requests, denied] = cells;
  const [addresses = "", countries = "", devices = "", flags = ""] = cells.slice(7);
  const named = [id, subject, client].filter((one) => one !== "").join("  ");
  const head = flags === "" ? named : `${named}  ${flags}`;
  const counts = `${requests} requests, ${denied} denied`;
  const where = [addresses, countries, devices].filter((one) => one !== "").join(", ");
  return [paintHead(head), `    ${first} to ${last}  ${counts}${where === "" ? "" : `  ${where}`}`];
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
  ].map(cut);
  const flags = visible(flagsOf(token).join(", "));
  return { cells: [...cells, flags], tint: tintOf(token) };
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
