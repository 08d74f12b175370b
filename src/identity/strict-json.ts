/**
 * JSON as tokens may use it: UTF-8 without BOM, an object, no member twice at any depth.
 * `JSON.parse` alone lets the last of two members win, and other readers take the first.
 *
 * @module
 */
import { err, ok, type Result } from "../result.ts";

/** Data from outside, read by own members only (see `own`). */
export type JsonObject = Readonly<Record<string, unknown>>;

export type JsonFlaw = "utf8_refused" | "json_refused" | "member_duplicate" | "nesting_refused";

/** Far beyond any claim, far below what a stack can take. */
const DEEPEST = 32;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** @returns The object, with members such as `__proto__` as plain data. */
export function parseStrictObject(bytes: Uint8Array): Result<JsonObject, JsonFlaw> {
  const text = decodeUtf8(bytes);
  if (text === undefined || text.startsWith("\ufeff")) return err("utf8_refused");
  const flaw = findFlaw(text);
  if (flaw !== undefined) return err(flaw);
  const value = parse(text);
  return isObject(value) ? ok(value) : err("json_refused");
}

/** A member that the object itself has; never one of its prototype. */
export function own(object: JsonObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Looks for duplicate members and for depth, before anything is parsed. Exact for valid JSON;
 * of other text it says anything or nothing, and the parser refuses that anyway.
 */
export function findFlaw(text: string): "member_duplicate" | "nesting_refused" | undefined {
  const open: (Set<string> | undefined)[] = [];
  let names: Set<string> | undefined;
  let isName = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE: {
        const end = endOfString(text, at + 1);
        if (end < 0) return undefined;
        if (isName && names !== undefined) {
          const name = readName(text, at, end);
          if (names.has(name)) return "member_duplicate";
          names.add(name);
          isName = false;
        }
        at = end;
        break;
      }
      case OPEN_OBJECT:
      case OPEN_LIST:
        if (open.length === DEEPEST) return "nesting_refused";
        open.push(names);
        isName = text.charCodeAt(at) === OPEN_OBJECT;
        names = isName ? new Set() : undefined;
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        names = open.pop();
        isName = false;
        break;
      case COMMA:
        isName = names !== undefined;
        break;
    }
  }
  return undefined;
}

/** @returns Where the closing quote is, or -1. */
function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end >= 0; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (before > from && text.charCodeAt(before - 1) === BACKSLASH) before--;
    if ((end - before) % 2 === 0) return end;
  }
  return -1;
}

/** The name with its escapes resolved: `"s\u0075b"` is `sub`. */
function readName(text: string, start: number, end: number): string {
  const written = text.slice(start + 1, end);
  if (!written.includes("\\")) return written;
  const name = parse(text.slice(start, end + 1));
  return typeof name === "string" ? name : written;
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined; // The decoder's only complaint is that this is not UTF-8.
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // No JSON text parses to undefined, so this says "not JSON".
  }
}
