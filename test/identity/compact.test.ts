import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readCompact } from "../../src/identity/compact.ts";
import { base64url } from "./kit.ts";

const HEADER = base64url('{"alg":"ES256"}');
const PAYLOAD = base64url('{"sub":"alice"}');
const SIGNATURE = base64url(Buffer.alloc(64, 7));
const TOKEN = `${HEADER}.${PAYLOAD}.${SIGNATURE}`;

describe("readCompact()", () => {
  test("reads a signed token", () => {
    expect(readCompact(TOKEN)).toEqual({
      ok: true,
      value: { kind: "signed", text: TOKEN, header: { alg: "ES256" }, payload: { sub: "alice" } },
    });
  });

  test("reads the header of an encrypted token, whose key may be empty", () => {
    const text = `${HEADER}..AAAA.AAAA.AAAA`;
    expect(readCompact(text)).toEqual({
      ok: true,
      value: { kind: "encrypted", text, header: { alg: "ES256" } },
    });
  });

  test("takes 16 KB and not a byte more", () => {
    const start = `${HEADER}.${PAYLOAD}.`;
    const longest = start + "A".repeat(16_384 - start.length);
    expect(readCompact(longest)).not.toEqual({ ok: false, error: "token_too_long" });
    expect(readCompact(`${longest}A`)).toEqual({ ok: false, error: "token_too_long" });
  });

  test.each([
    ["", "characters_refused"],
    [" ", "characters_refused"],
    [`${TOKEN} `, "characters_refused"],
    [`${TOKEN}\n`, "characters_refused"],
    [`"${TOKEN}"`, "characters_refused"],
    [`${TOKEN},${TOKEN}`, "characters_refused"],
    [TOKEN.replace("e", "е"), "characters_refused"],
    [`=${TOKEN}`, "characters_refused"],
    [HEADER, "segments_refused"],
    [`${HEADER}.${PAYLOAD}`, "segments_refused"],
    [`${TOKEN}.`, "segments_refused"],
    [`${TOKEN}.a.b.c`, "segments_refused"],
    [".".repeat(16_000), "segments_refused"],
    [`${TOKEN}=`, "encoding_refused"],
    [`${TOKEN}~`, "encoding_refused"],
    [`${HEADER}.${PAYLOAD}.A`, "encoding_refused"],
    [`${HEADER}.${PAYLOAD}.AB`, "encoding_refused"],
    [`${HEADER}.${PAYLOAD}+.${SIGNATURE}`, "encoding_refused"],
    [`${HEADER}.AB.AAAA.AAAA.AAAA`, "encoding_refused"],
    ["..", "json_refused"],
    [`.${PAYLOAD}.${SIGNATURE}`, "json_refused"],
    [`${HEADER}..${SIGNATURE}`, "json_refused"],
    [`${base64url("[]")}.${PAYLOAD}.${SIGNATURE}`, "json_refused"],
    [`${HEADER}.${base64url("null")}.${SIGNATURE}`, "json_refused"],
    [`${base64url('{"alg":"none","alg":"ES256"}')}.${PAYLOAD}.${SIGNATURE}`, "member_duplicate"],
    [`${HEADER}.${base64url('{"sub":"a","s\\u0075b":"b"}')}.${SIGNATURE}`, "member_duplicate"],
    [`${HEADER}.${base64url("\ufeff{}")}.${SIGNATURE}`, "utf8_refused"],
    [`${base64url(Buffer.from([0xff]))}.${PAYLOAD}.${SIGNATURE}`, "utf8_refused"],
  ])("refuses %p", (text, error) => {
    expect(readCompact(text)).toEqual({ ok: false, error: error as never });
  });

  test("never throws", () => {
    const part = fc.oneof(fc.json().map(base64url), fc.base64String(), fc.string());
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(part, { minLength: 2, maxLength: 6 }).map((parts) => parts.join(".")),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        expect(readCompact(candidate).ok).toBeBoolean();
      }),
    );
  });
});
