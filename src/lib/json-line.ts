/**
 * JSON that is one line for every reader, and an escape that JSON has for any character. Pure.
 *
 * @module
 */

/**
 * What JSON leaves as it is and readers of lines may take for a line end or a control; those that
 * turn the direction of writing (Unicode's Bidi_Control) show a line as what it is not.
 */
const UNESCAPED_CONTROLS = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** @returns JSON of the same value, without line ends or controls. */
export function jsonLine(value: object): string {
  return JSON.stringify(value).replace(UNESCAPED_CONTROLS, escapeUnit);
}

/** @param unit One UTF-16 code unit. @returns Its JSON escape: `\u2028` (RFC 8259 §7). */
export function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
