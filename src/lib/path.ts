/**
 * The one form of a request path. What comes out of here is what routes match, what
 * policies see and what the upstream receives, so there is nothing left to disagree on.
 *
 * @module
 */
import { isUtf8 } from "node:buffer";

/** A `Result` (this floor lies below `result.ts`). */
type ReadPath =
  | { readonly ok: true; readonly value: CanonicalPath }
  | { readonly ok: false; readonly error: PathError };

type CanonicalPath = {
  readonly path: string;
  /** Servers read such a path in more than one way; see `readings`. */
  readonly ambiguous: boolean;
};

type PathError =
  | "path_relative"
  | "path_fragment"
  | "path_character"
  | "path_escape_invalid"
  | "path_utf8_invalid" // overlong forms, surrogates and cut sequences too
  | "path_control"
  | "path_dot_segment"; // only where the path did not come through Bun's parser

/** A path that has one reading and is already canonical: nearly every request. */
const PLAIN = /^(?:\/(?:[A-Za-z0-9\-_~!$&'()*+,=:@|[\]][A-Za-z0-9\-._~!$&'()*+,=:@|[\]]*)?)+$/;
/** What the URL parser leaves alone in a path (URL Standard, path percent-encode set). */
const CHARACTERS = /^[A-Za-z0-9\-._~!$&'()*+,;=:@|[\]/%]*$/;
const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/;
const ESCAPE = /%[0-9A-Fa-f]{2}/g;
const ESCAPE_OR_ESCAPED_ESCAPE = /(%25)(?=[0-9A-Fa-f]{2})|%[0-9A-Fa-f]{2}/g;
/** RFC 3986 §2.3: an escape of these means the same as the character. */
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;
/** C0, DEL and C1, escaped or not. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\x00-\x1f\x7f-\x9f]/;
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/;
/** `//`, `%2f`, `%5c`, `%25` before two hex digits, and a dot segment with `;`. */
const AMBIGUOUS = /\/\/|%2f|%5c|%25[0-9a-f]{2}|\/\.{1,2}(?:;|%3b)/i;

/**
 * Reads the path part of `Request.url`: Bun has resolved plain and escaped dot segments
 * and turned `\` into `/`; escapes, `//` and `;` arrive as they were sent.
 *
 * Escaped unreserved characters come out decoded, everything else as it was. The result
 * is a fixed point: reading it again, or building a URL of it, changes nothing.
 *
 * @returns The path, or why it is refused whatever a route allows.
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2.2
 */
export function readPath(rawPath: string): ReadPath {
  if (PLAIN.test(rawPath) && !rawPath.includes("//")) {
    return { ok: true, value: { path: rawPath, ambiguous: false } };
  }
  if (!rawPath.startsWith("/")) return refuse("path_relative");
  if (!CHARACTERS.test(rawPath)) {
    return refuse(rawPath.includes("#") ? "path_fragment" : "path_character");
  }
  if (BAD_ESCAPE.test(rawPath)) return refuse("path_escape_invalid");
  const text = decodeUtf8(rawPath);
  if (text === undefined) return refuse("path_utf8_invalid");
  if (CONTROL.test(text)) return refuse("path_control");

  const path = rawPath.replace(ESCAPE, (escaped) => {
    const character = characterOf(escaped);
    return UNRESERVED.test(character) ? character : escaped;
  });
  if (DOT_SEGMENT.test(path)) return refuse("path_dot_segment");
  return { ok: true, value: { path, ambiguous: AMBIGUOUS.test(path) || wasRawUtf8(text) } };
}

function refuse(error: PathError): ReadPath {
  return { ok: false, error };
}

/** Decoding can go on for long (`%252525…`); nobody means more rounds than this. */
const DECODE_ROUNDS_LIMIT = 8;
/** Stands for a path that still changes after the last round: no route matches it. */
const UNREADABLE = "?";

/**
 * What servers may make of a path: escapes decoded once more and again until nothing
 * changes, `\` taken for `/`, slashes merged, `;` parts dropped, the dot segments that
 * appear then resolved, each alone and together.
 *
 * @param path From `readPath`.
 * @returns The readings that differ from `path`, in the form routes are written in. Empty
 *   for a path that every server reads alike.
 */
export function readings(path: string): readonly string[] {
  const found = new Set<string>();
  let level = path;
  for (let round = 0; ; round += 1) {
    for (const form of [level, level.replace(/;[^/]*/g, "")]) {
      found.add(resolveDots(form));
      found.add(resolveDots(mergeSlashes(form)));
      found.add(mergeSlashes(resolveDots(form)));
    }
    const next = decodeOnce(level);
    if (next === level) break;
    if (round === DECODE_ROUNDS_LIMIT) {
      found.add(UNREADABLE);
      break;
    }
    level = next;
  }
  found.delete(path);
  return [...found];
}

/** `decodeURIComponent` refuses overlong forms, surrogates and cut sequences. */
function decodeUtf8(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/**
 * Bytes outside ASCII in a request target reach us escaped twice: each byte was taken for
 * a Latin-1 character. A text whose characters all fit in one byte, and are UTF-8 when
 * taken for bytes, came that way.
 */
function wasRawUtf8(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a range of code points
  const fitsOneByte = /^[\x00-\xff]*$/.test(text) && /[\x80-\xff]/.test(text);
  return fitsOneByte && isUtf8(Buffer.from(text, "latin1"));
}

/** One round: what may stand in a path as it is loses its escape, `%25XX` becomes `%XX`. */
function decodeOnce(path: string): string {
  return path.replace(ESCAPE_OR_ESCAPED_ESCAPE, (escaped, escapedPercent?: string) => {
    if (escapedPercent !== undefined) return "%";
    const character = characterOf(escaped);
    if (character === "\\") return "/";
    return character !== "%" && CHARACTERS.test(character) ? character : escaped.toUpperCase();
  });
}

function characterOf(escaped: string): string {
  return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
}

function mergeSlashes(path: string): string {
  return path.replace(/\/{2,}/g, "/");
}

/** RFC 3986 §5.2.4, for an absolute path. */
function resolveDots(path: string): string {
  if (!DOT_SEGMENT.test(path)) return path;
  const segments: string[] = [];
  const all = path.split("/").slice(1);
  for (const [index, segment] of all.entries()) {
    const isLast = index === all.length - 1;
    if (segment === "..") segments.pop();
    if (segment !== ".." && segment !== ".") segments.push(segment);
    else if (isLast) segments.push("");
  }
  return `/${segments.join("/")}`;
}
