import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeBase64url } from "../../src/identity/base64url.ts";

describe("decodeBase64url()", () => {
  test("reads what is canonical", () => {
    expect(decodeBase64url("-_8")).toEqual(Buffer.from([0xfb, 0xff]));
    expect(decodeBase64url("")).toEqual(Buffer.alloc(0));
  });

  test.each([
    ["padding", "Zg=="],
    ["a spare bit", "Zh"],
    ["a lone last character", "Zm9vA"],
    ["the other alphabet", "+/8"],
    ["white space", "Zm 9v"],
    ["a line end", "Zm9v\n"],
    ["a character beyond ASCII", "Zm9\u0176"],
  ])("refuses %s", (_, text) => {
    expect(decodeBase64url(text)).toBeUndefined();
  });

  test("each sequence of bytes has one spelling", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString("base64url");
        expect(decodeBase64url(text)).toEqual(Buffer.from(bytes));
      }),
    );
  });
});
