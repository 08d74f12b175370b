/**
 * Records for people: a line each, or two where the terminal is narrow.
 *
 * @module
 */
import { type AuditEntry, isoTime } from "../../audit/entry.ts";
import { readEntry } from "../../audit/scan.ts";
import { shadowDenial } from "../../audit/search.ts";
import type { ChainedRecord } from "../../store/store.ts";
import { type Paint, plain, type Tint, visible } from "../paint.ts";

/** Between two columns. */
const GAP = "  ";
const INDENT = "    ";
/** A narrower column tells nothing. */
const LEAST_WIDTH = 12;
/** Below this, what does not fit as it is gets a second line for the request id and the reason. */
const ONE_LINE_COLUMNS = 140;

const HEADINGS: Cells = {
  time: "time UTC",
  status: "",
  request: "request",
  subject: "subject",
  why: "why",
  policy: "policy",
  id: "request id",
};

type Cells = Readonly<
  Record<"time" | "status" | "request" | "subject" | "why" | "policy" | "id", string>
>;
type Row = { readonly cells: Cells; readonly tint: Tint };
/** The columns whose widths give way. */
type Flexible = "request" | "subject" | "why" | "policy";

type Table = {
  readonly headings: string;
  /** @returns Whole lines. */
  format(records: readonly ChainedRecord[]): string;
};

type TableOptions = {
  /** What the columns' widths are made for. */
  readonly sample: readonly ChainedRecord[];
  /** Whether more will come that nobody has seen yet. */
  readonly isFollowing: boolean;
  readonly paint: Paint;
  /** The terminal's; `undefined` where there is none, and lines stay whole. */
  readonly columns: number | undefined;
  readonly nowMs: number;
};

/** What most records need, for those that will come. */
const USUAL_WIDTHS: Partial<Record<keyof Cells, number>> = {
  request: 40,
  subject: 16,
  why: 34,
  policy: 16,
  id: 36,
};

export function openTable({ sample, isFollowing, paint, columns, nowMs }: TableOptions): Table {
  const today = new Date(nowMs).toISOString().slice(0, 10);
  const isToday = sample.every(({ atMs }) => isoTime(atMs).startsWith(today));
  const rows = [HEADINGS, ...sample.map((record) => rowOf(record, isToday).cells)];
  const natural = (name: keyof Cells) =>
    rows.reduce(
      (most, cells) => Math.max(most, widthOf(cells[name])),
      (isFollowing && USUAL_WIDTHS[name]) || 0,
    );
  const timeWidth = natural("time");
  const padded = columns === undefined ? padEnd : fittedColumn;

  function oneLine({ cells, tint }: Row, paintCell: Paint): string {
    const parts = [
      padded(cells.time, timeWidth),
      paintCell(padded(cells.status, STATUS_WIDTH), tint),
      padded(cells.request, widths.request),
      padded(cells.subject, widths.subject),
      paintCell(padded(cells.why, widths.why), tint),
      padded(cells.policy, widths.policy),
      paintCell(cells.id, "dim"),
    ];
    return `${parts.join(GAP).trimEnd()}\n`;
  }

  function twoLines({ cells, tint }: Row, paintCell: Paint): string {
    const width = columns ?? ONE_LINE_COLUMNS;
    const first = [
      padded(cells.time, timeWidth),
      paintCell(padded(cells.status, STATUS_WIDTH), tint),
      padded(cells.request, narrow.request),
      fitted(cells.subject, narrow.subject),
    ];
    const rest = width - INDENT.length - widthOf(cells.id) - GAP.length;
    const policy = cells.policy === "" ? "" : ` · ${cells.policy}`;
    const why = cells.why === "" ? "" : paintCell(fitted(cells.why + policy, rest), tint);
    const second = [cells.id === "" ? "" : paintCell(cells.id, "dim"), why];
    const below = second.filter((part) => part !== "").join(GAP);
    return `${first.join(GAP).trimEnd()}\n${below === "" ? "" : `${INDENT}${below}\n`}`;
  }

  const fixed = timeWidth + STATUS_WIDTH + natural("id") + GAP.length * 6;
  const whole = {
    request: natural("request"),
    subject: natural("subject"),
    why: natural("why"),
    policy: natural("policy"),
  };
  const room = (columns ?? Number.POSITIVE_INFINITY) - fixed;
  const widths = shrunk(whole, room);
  const narrow = shrunk(
    { ...whole, why: 0, policy: 0 },
    (columns ?? Number.POSITIVE_INFINITY) - timeWidth - STATUS_WIDTH - GAP.length * 3,
  );
  const isWide = (columns ?? ONE_LINE_COLUMNS) >= ONE_LINE_COLUMNS || sumOf(whole) <= room;
  const lineOf = isWide ? oneLine : twoLines;

  return {
    headings: paint(lineOf({ cells: HEADINGS, tint: "dim" }, plain).trimEnd(), "dim"),
    format: (records) => records.map((record) => lineOf(rowOf(record, isToday), paint)).join(""),
  };
}

const STATUS_WIDTH = 3;

/** Takes from the widest, column by column, until they fit. */
function shrunk(
  natural: Readonly<Record<Flexible, number>>,
  room: number,
): Readonly<Record<Flexible, number>> {
  const widths = { ...natural };
  const names = Object.keys(widths) as Flexible[];
  for (let over = sumOf(widths) - room; over > 0; over -= 1) {
    const widest = names.reduce((a, b) => (widths[b] > widths[a] ? b : a));
    if (widths[widest] <= LEAST_WIDTH) break;
    widths[widest] -= 1;
  }
  return widths;
}

function sumOf(widths: Readonly<Record<Flexible, number>>): number {
  return Object.values(widths).reduce((sum, width) => sum + width, 0);
}

function rowOf(record: ChainedRecord, isToday: boolean): Row {
  const time = isoTime(record.atMs);
  const shownTime = isToday ? time.slice(11, 19) : `${time.slice(5, 10)} ${time.slice(11, 19)}`;
  const entry = readEntry(record);
  if (entry === undefined) {
    const why = "damaged: claimgate audit verify tells more";
    const cells = { ...EMPTY, time: shownTime, why };
    return { cells, tint: "red" };
  }
  const cells = Object.entries({ ...cellsOf(entry), time: shownTime });
  return {
    cells: { ...EMPTY, ...Object.fromEntries(cells.map(([name, text]) => [name, visible(text)])) },
    tint: tintOf(entry),
  };
}

const EMPTY: Cells = {
  time: "",
  status: "",
  request: "",
  subject: "",
  why: "",
  policy: "",
  id: "",
};

function cellsOf(entry: AuditEntry): Partial<Cells> {
  if (entry.kind === "act") {
    const { act, target, actor, reason = "" } = entry;
    return { request: `${act} ${target}`, subject: `by ${actor}`, why: reason };
  }
  const { status, method, host, path, token, code, reason, policy, requestId } = entry;
  const shadow = shadowDenial(entry);
  const known = { status: String(status), subject: token?.subject ?? "", id: requestId };
  const request = host === "" ? method : `${method} ${host}${path}`;
  if (code === undefined && shadow !== undefined) {
    const why = `shadow · ${shadow.code ?? shadow.verdict}`;
    return { ...known, request, why, policy: shadow.name };
  }
  const why = [code, reason === code ? undefined : reason].filter((part) => part !== undefined);
  return { ...known, request, why: why.join(" · "), policy: policy ?? "" };
}

function tintOf(entry: AuditEntry): Tint {
  if (entry.kind === "act") return "cyan";
  if (entry.decision === "forward") return shadowDenial(entry) === undefined ? "green" : "cyan";
  return entry.status < 500 ? "yellow" : "red";
}

const widthOf = (text: string): number => Bun.stringWidth(text);

function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

function fittedColumn(text: string, width: number): string {
  return padEnd(fitted(text, width), width);
}

function fitted(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let shown = "";
  let used = 1;
  for (const character of text) {
    used += widthOf(character);
    if (used > width) break;
    shown += character;
  }
  return `${shown}…`;
}
