/**
 * Colour for terminals, and nothing for files, pipes and those who set NO_COLOR.
 *
 * @module
 */
import { escapeUnit } from "../lib/json-line.ts";

const ANSI = { red: 31, green: 32, yellow: 33, cyan: 36, bold: 1, dim: 2 } as const;

export type Tint = keyof typeof ANSI;

/** Returns the text, in that colour where there are colours. */
export type Paint = (text: string, tint: Tint) => string;

/** @param stream Where the text will go: stdout or stderr. */
export function paintFor(stream: { readonly isTTY?: boolean }): Paint {
  return hasColour(stream) ? ansi : plain;
}

export function hasColour(stream: { readonly isTTY?: boolean }): boolean {
  // https://no-color.org: set and not empty, whatever the value.
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && !NO_COLOR && TERM !== "dumb";
}

export const plain: Paint = (text) => text;

export const ansi: Paint = (text, tint) => `\u001b[${ANSI[tint]}m${text}\u001b[0m`;

/** Line ends and other controls of foreign text would forge a line of ours, or paint one. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu, "?");
}

/** What JSON leaves as it is, and a terminal may not take for text. */
const UNESCAPED = /[\u007f-\u009f\p{Bidi_Control}\u2028\u2029]/gu;

/** @returns JSON of the same value, safe to print whatever its texts hold. */
export function printableJson(value: object): string {
  return JSON.stringify(value, null, 2).replace(UNESCAPED, escapeUnit);
}

/** @returns `1 route`, `2 routes`, `1 policy`, `0 policies`. */
export function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}
