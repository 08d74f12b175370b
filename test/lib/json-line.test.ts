import { expect, test } from "bun:test";
import { escapeUnit, jsonLine } from "../../src/lib/json-line.ts";

test("jsonLine() is one line and says the same", () => {
  const value = { text: "a\r\n\u0000\u007f\u0085\u009f\u2028\u2029z", plain: "ä€" };
  const line = jsonLine(value);
  expect(line).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
  expect(JSON.parse(line)).toEqual(value);
  expect(line).toContain("ä€");
});

test("escapeUnit() has four digits", () => {
  expect(escapeUnit("\u0085")).toBe("\\u0085");
  expect(escapeUnit("\u2028")).toBe("\\u2028");
});
