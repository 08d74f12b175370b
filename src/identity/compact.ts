/**
 * The compact serialization (RFC 7515 §7.1, RFC 7516 §7.1), read strictly. Nothing that comes
 * out of here has been verified.
 *
 * @module
 */
import { err, ok, type Result } from "../result.ts";
import { decodeBase64url } from "./base64url.ts";
import { type JsonFlaw, type JsonObject, parseStrictObject } from "./strict-json.ts";

/** 16 KB: what is longer is refused unread. */
export const LONGEST_TOKEN = 16 * 1024;

const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

type CompactFlaw =
  | "token_too_long"
  | "characters_refused"
  | "segments_refused"
  | "encoding_refused"
  | JsonFlaw;

export type CompactToken =
  | {
      readonly kind: "signed";
      readonly text: string;
      readonly header: JsonObject;
      readonly payload: JsonObject;
    }
  | { readonly kind: "encrypted"; readonly text: string; readonly header: JsonObject };

/** @returns Three segments with header and payload, or five with the header. */
export function readCompact(text: string): Result<CompactToken, CompactFlaw> {
  const segments = readSegments(text);
  if (!segments.ok) return segments;
  const [first, second] = segments.value;
  const header = parseStrictObject(first);
  if (!header.ok) return header;
  if (segments.value.length === 5) return ok({ kind: "encrypted", text, header: header.value });
  const payload = parseStrictObject(second);
  if (!payload.ok) return payload;
  return ok({ kind: "signed", text, header: header.value, payload: payload.value });
}

type Segments = readonly [header: Uint8Array, second: Uint8Array, ...rest: Uint8Array[]];

/** The bytes of three or five segments; sizes and characters are looked at before anything. */
export function readSegments(text: string): Result<Segments, CompactFlaw> {
  if (text.length > LONGEST_TOKEN) return err("token_too_long");
  if (!B64TOKEN.test(text)) return err("characters_refused");
  const written = text.split(".", 6);
  if (written.length !== 3 && written.length !== 5) return err("segments_refused");
  const [first, second, ...rest] = written
    .map(decodeBase64url)
    .filter((part) => part !== undefined);
  if (first === undefined || second === undefined || rest.length + 2 !== written.length) {
    return err("encoding_refused");
  }
  return ok([first, second, ...rest]);
}
