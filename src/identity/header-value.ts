/**
 * A claim as the value of an identity header.
 *
 * @module
 */
import { byteString } from "../lib/byte-string.ts";
import { escapeUnit } from "../lib/json-line.ts";
import { err, ok, type Result } from "../result.ts";

/** C0, DEL and C1: what ends a line, or means something to whoever shows it. */
const CONTROL = /\p{Cc}/u;

/** Header parsers strip these from the ends of a value: `"alice "` would arrive as `alice`. */
const OUTER_SPACE = /^ | $/;

/** What JSON leaves as it is and ASCII does not have. DEL is in ASCII, but a control. */
const BEYOND_ASCII = /[\u007f-\uffff]/g;

/**
 * A string goes as UTF-8; numbers and booleans as JSON; an array of strings joined by commas;
 * anything else as JSON in ASCII.
 *
 * @returns A ByteString (each UTF-8 byte one code unit, as `Headers` wants it); `undefined` for
 *   an absent claim, whose header must be removed; `identity_unfit` where the upstream would
 *   read something else than the token says: controls, an array member with a comma, a lone
 *   surrogate, spaces at the ends.
 */
export function headerValue(claim: unknown): Result<string | undefined, "identity_unfit"> {
  if (claim === undefined) return ok(undefined);
  if (typeof claim === "string") return isFit(claim) ? ok(byteString(claim)) : unfit;
  if (typeof claim === "number") return Number.isFinite(claim) ? ok(JSON.stringify(claim)) : unfit;
  if (typeof claim === "boolean") return ok(JSON.stringify(claim));
  if (isTextList(claim)) {
    const fits = claim.every((item) => isFit(item) && !item.includes(","));
    return fits ? ok(byteString(claim.join(","))) : unfit;
  }
  return ok(JSON.stringify(claim).replace(BEYOND_ASCII, escapeUnit));
}

const unfit = err("identity_unfit" as const);

function isTextList(claim: unknown): claim is readonly string[] {
  return Array.isArray(claim) && claim.every((item) => typeof item === "string");
}

function isFit(text: string): boolean {
  return !CONTROL.test(text) && !OUTER_SPACE.test(text) && text.isWellFormed();
}
