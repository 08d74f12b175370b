/**
 * Findings for people: what is wrong, the line it stands in with the place marked, and the
 * way to mend it.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { type Finding, GateError } from "../errors.ts";
import { counted, type Paint, paintFor, visible } from "./paint.ts";

/** Everything that does not hold, as one error. */
export function configFault(file: string, findings: readonly Finding[]): GateError {
  const count = findings.filter((finding) => finding.severity === "error").length;
  const message = `${file} does not hold: ${count} ${count === 1 ? "error" : "errors"}`;
  return new GateError("config_invalid", message, { findings });
}

/** Writes all findings and their count on stderr; nothing when there are none. */
export function reportFindings(findings: readonly Finding[]): void {
  if (findings.length === 0) return;
  // Only a terminal has a width; elsewhere lines stay whole for those who search them.
  process.stderr.write(formatFindings(findings, paintFor(process.stderr), process.stderr.columns));
}

/**
 * @param columns Where to fold messages; never when absent.
 * @returns Whole lines. Source lines that hold a secret are left out.
 */
export function formatFindings(
  findings: readonly Finding[],
  paint: Paint,
  columns = Number.POSITIVE_INFINITY,
): string {
  const sources = new Map<string, readonly string[]>();
  const blocks = findings.map((finding) => {
    const lines = sources.get(finding.file) ?? readLines(finding.file);
    sources.set(finding.file, lines);
    return formatFinding(finding, lines, paint, columns);
  });
  return `${blocks.join("\n")}\n${summary(findings, paint)}\n`;
}

function formatFinding(
  finding: Finding,
  lines: readonly string[],
  paint: Paint,
  columns: number,
): string {
  const { file, line, column, severity, message, fix } = finding;
  const tint = severity === "error" ? "red" : "yellow";
  const place = visible(`${file}:${line}:${column}`);
  const gutter = String(line).padStart(4);
  const blank = " ".repeat(gutter.length);
  const said = folded(visible(message), `${place}  ${severity}  `.length, columns);
  let text = `${paint(place, "bold")}  ${paint(severity, tint)}  ${said}\n`;
  const excerpt = mayBeShown(finding, lines) ? excerptOf(lines, line, column) : undefined;
  if (excerpt !== undefined) {
    text += `${paint(`${gutter} |`, "dim")} ${excerpt.source}\n`;
    text += `${paint(`${blank} |`, "dim")} ${excerpt.indent}${paint(excerpt.mark, tint)}\n`;
  }
  if (fix !== undefined) {
    const label = `${blank}   fix: `;
    const todo = folded(visible(fix), label.length, columns);
    text += `${blank}   ${paint("fix:", "cyan")} ${todo}\n`;
  }
  return text;
}

/** Folds between words, each further line beginning below the first. */
function folded(text: string, indent: number, columns: number): string {
  const width = columns - indent;
  // Too narrow for words side by side: the terminal may fold as it likes.
  if (width < LEAST_WIDTH || Bun.stringWidth(text) <= width) return text;
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    const fits = last !== undefined && Bun.stringWidth(last) + 1 + Bun.stringWidth(word) <= width;
    if (fits) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join(`\n${" ".repeat(indent)}`);
}

function summary(findings: readonly Finding[], paint: Paint): string {
  const errors = findings.filter((finding) => finding.severity === "error").length;
  const warnings = findings.length - errors;
  const parts = [
    errors > 0 && paint(counted(errors, "error"), "red"),
    warnings > 0 && paint(counted(warnings, "warning"), "yellow"),
  ];
  return parts.filter((part) => part !== false).join(", ");
}

/** Columns of text below which folding makes things worse. */
const LEAST_WIDTH = 24;

/** Columns of source shown; a longer line is cut to the part around the place. */
const WIDTH = 90;
const LEAD = 60;

type Excerpt = { readonly source: string; readonly indent: string; readonly mark: string };

function excerptOf(lines: readonly string[], line: number, column: number): Excerpt | undefined {
  const whole = lines[line - 1];
  if (whole === undefined || whole.trim() === "") return undefined;
  const given = Math.min(Math.max(column - 1, 0), whole.length);
  // Who knows the line alone gives its beginning: the mark belongs under the first word.
  const at = Math.max(given, whole.length - whole.trimStart().length);
  const start = at > LEAD ? at - LEAD : 0;
  const end = whole.length > start + WIDTH ? start + WIDTH - 1 : whole.length;
  const shown = visible(whole.slice(start, end).replaceAll("\t", " "));
  const before = shown.slice(0, at - start);
  const word = /^(?:"[^"]*"|'[^']*'|[\w./*-]+)/u.exec(shown.slice(at - start))?.[0] ?? "^";
  return {
    source: end < whole.length ? `${shown}…` : shown,
    indent: " ".repeat(Bun.stringWidth(before)),
    mark: "^".repeat(Math.max(1, Bun.stringWidth(word))),
  };
}

/** A secret may be written into the file itself, and this output ends up in build logs. */
const SECRET_KEY =
  /(?:^|[\s{,-])["']?(?:\w*secret|password|token|decryptionKey|clientKey)["']?\s*:/iu;
/** User and password within an address. */
const SECRET_ADDRESS = /:\/\/[^\s/]*@/u;

function mayBeShown({ file, line }: Finding, lines: readonly string[]): boolean {
  if (SECRET_ADDRESS.test(lines[line - 1] ?? "")) return false;
  return !/\.ya?ml$/iu.test(file) || !holdsSecret(lines, line - 1);
}

function holdsSecret(lines: readonly string[], index: number): boolean {
  const text = lines[index] ?? "";
  if (SECRET_KEY.test(text)) return true;
  // An item of a list, or a line of a block, belongs to the key above it.
  const indent = indentOf(text);
  const isItem = /^\s*- /u.test(text);
  if (!isItem && /^\s*["']?[\w-]+["']?\s*:/u.test(text)) return false;
  for (let above = index - 1; above >= 0; above -= 1) {
    const parent = lines[above] ?? "";
    if (parent.trim() === "") continue;
    const isAbove = indentOf(parent) < indent || (isItem && !/^\s*- /u.test(parent));
    if (isAbove) return SECRET_KEY.test(parent);
  }
  return false;
}

function indentOf(text: string): number {
  return text.length - text.trimStart().length;
}

/** Larger files are no source that anyone wrote. */
const LARGEST_BYTES = 4 * 1024 * 1024;

/** A file that cannot be read is shown without its lines: the finding itself says what is wrong. */
function readLines(file: string): readonly string[] {
  try {
    const bytes = readFileSync(file);
    return bytes.length > LARGEST_BYTES ? [] : bytes.toString("utf8").split(/\r?\n/u);
  } catch {
    return [];
  }
}
