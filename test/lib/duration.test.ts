import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseDuration } from "../../src/lib/duration.ts";

describe("parseDuration()", () => {
  test.each([
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["24h", 86_400_000],
    ["7d", 604_800_000],
    ["1.5h", 5_400_000],
    ["1.001s", 1001],
    ["0s", 0],
    ["0.5ms", 0.5],
  ])("reads %s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    "",
    "30",
    "s",
    "-1s",
    "+1s",
    " 1s",
    "1s ",
    "1 s",
    "1e3s",
    "1S",
    "1.s",
    ".5s",
    "1w",
    "1s1s",
    "0x1s",
    "1,5s",
    "١s",
    "1s\n",
  ])("refuses %j", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test("agrees with counting the unit out, for every amount and unit", () => {
    const units: readonly [string, number][] = [
      ["ms", 1],
      ["s", 1000],
      ["m", 60 * 1000],
      ["h", 60 * 60 * 1000],
      ["d", 24 * 60 * 60 * 1000],
    ];
    const amounts = fc.integer({ min: 0, max: 999_999_999 });
    fc.assert(
      fc.property(amounts, fc.constantFrom(...units), (amount, [unit, ms]) => {
        const product = BigInt(amount) * BigInt(ms);
        const isExact = product <= BigInt(Number.MAX_SAFE_INTEGER);
        expect(parseDuration(`${amount}${unit}`)).toBe(isExact ? Number(product) : undefined);
      }),
    );
  });

  test("never throws, and what it takes begins with a digit and ends in a unit", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        if (parseDuration(text) === undefined) return;
        expect(text).toMatch(/^\d[\d.]*(ms|s|m|h|d)$/);
      }),
    );
  });
});
