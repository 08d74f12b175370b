import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { headerValue } from "../../src/identity/header-value.ts";

const UNFIT = { ok: false, error: "identity_unfit" } as const;

describe("headerValue()", () => {
  test.each([
    ["alice", "alice"],
    ["Zoë", "Zo\u00c3\u00ab"],
    ["日", "\u00e6\u0097\u00a5"],
    ["", ""],
    ["a, b", "a, b"],
    [42, "42"],
    [-1.5e300, "-1.5e+300"],
    [true, "true"],
    [false, "false"],
    [["a", "b c", "é"], "a,b c,\u00c3\u00a9"],
    [[], ""],
    [null, "null"],
    [{ name: "Zoë", n: 1 }, '{"name":"Zo\\u00eb","n":1}'],
    [["a", 1], '["a",1]'],
    [[["é"]], '[["\\u00e9"]]'],
    [{ a: "\n\u007f\u2028😀" }, '{"a":"\\n\\u007f\\u2028\\ud83d\\ude00"}'],
  ])("%j goes as %j", (claim, expected) => {
    expect(headerValue(claim)).toEqual({ ok: true, value: expected });
  });

  test("an absent claim has no value", () => {
    expect(headerValue(undefined)).toEqual({ ok: true, value: undefined });
  });

  test.each([
    ["a\r\nX-Admin: 1"],
    ["a\n"],
    ["\0"],
    ["a\tb"],
    ["a\u007f"],
    ["a\u0085b"],
    ["\u009f"],
    [["a", "b\n"]],
    [["a", "b,c"]],
    [[","]],
    ["\ud800"],
    [["\udfff"]],
    [" alice"],
    ["alice "],
    [["a", " b"]],
    [Number.POSITIVE_INFINITY],
  ])("%j is unfit", (claim) => {
    expect(headerValue(claim)).toEqual(UNFIT);
  });

  test("what fits arrives as it was, through real headers", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const result = headerValue(text);
        if (!result.ok || result.value === undefined) return;
        const sent = new Headers({ "x-user": result.value }).get("x-user") ?? "";
        expect(Buffer.from(sent, "latin1").toString("utf8")).toBe(text);
      }),
    );
  });

  test("any JSON value gives a ByteString or is unfit", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (claim) => {
        const result = headerValue(claim);
        if (result.ok) expect(result.value).toMatch(/^[\x20-\x7e\x80-\xff]*$/);
        else expect(result).toEqual(UNFIT);
      }),
    );
  });
});
