import { expect, test } from "bun:test";
import { escapeUnit, jsonLine } from "../../src/lib/json-line.ts";

test("jsonLine() is one line and says the same", () => {
  const value = { text: "a\r\n\u0000\u007f\u0085\u009f\u2028\u2029z", plain: "ä€" };
  const line = jsonLine(value);
  expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
  expect(JSON.parse(line)).toEqual(value);
  expect(line).toContain("ä€");
});

test("jsonLine() shows no text in another direction than it has", () => {
  const value = {
    text: "a\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069z",
  };
  const line = jsonLine(value);
  expect(line).not.toMatch(/\p{Bidi_Control}/u);
  expect(JSON.parse(line)).toEqual(value);
});

test("escapeUnit() has four digits", () => {
  expect(escapeUnit("\u0085")).toBe("\\u0085");
  expect(escapeUnit("\u2028")).toBe("\\u2028");
});
