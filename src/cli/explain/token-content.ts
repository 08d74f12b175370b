/**
 * What a token says of itself: only what tells why it holds or not, never a claim that policies
 * read, and never the token.
 *
 * @module
 */
import { type CompactToken, readCompact } from "../../identity/compact.ts";
import { type JsonObject, own } from "../../identity/strict-json.ts";

/** @returns `undefined` for what cannot be read. */
export function readContent(credential: string): CompactToken | undefined {
  const read = readCompact(credential);
  return read.ok ? read.value : undefined;
}

const LONGEST = 200;
const TIMES = ["iat", "nbf", "exp"] as const;

/** @returns `alg "ES256"`, `aud ["api"]`, `exp 2026-…`, for each that is there. */
export function contentLines(header: JsonObject | undefined, payload: JsonObject | undefined) {
  const lines: string[] = [];
  for (const name of ["alg", "enc", "kid", "typ"]) {
    if (header && Object.hasOwn(header, name)) lines.push(`${name} ${shown(own(header, name))}`);
  }
  for (const name of ["iss", "aud", "sub"]) {
    if (payload && Object.hasOwn(payload, name)) lines.push(`${name} ${shown(own(payload, name))}`);
  }
  for (const name of TIMES) {
    if (payload && Object.hasOwn(payload, name)) lines.push(`${name} ${time(own(payload, name))}`);
  }
  return lines;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "";
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}

/** @see https://www.rfc-editor.org/rfc/rfc7519#section-2 NumericDate */
function time(value: unknown): string {
  const at = new Date(typeof value === "number" ? value * 1_000 : Number.NaN);
  return Number.isNaN(at.getTime()) ? shown(value) : at.toISOString();
}
