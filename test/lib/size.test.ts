import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseSize } from "../../src/lib/size.ts";

describe("parseSize()", () => {
  test.each([
    ["0B", 0],
    ["512B", 512],
    ["16KB", 16_384],
    ["10MB", 10_485_760],
    ["1GB", 1_073_741_824],
    ["1.5KB", 1536],
    ["0.1KB", 102],
  ])("reads %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each([
    "",
    "10",
    "MB",
    "10 MB",
    "-1KB",
    "10mb",
    "10Mb",
    "1e3B",
    "10MiB",
    "1TB",
    " 1KB",
    "1KB\n",
    "999999999999GB",
  ])("refuses %j", (text) => {
    expect(parseSize(text)).toBeUndefined();
  });

  test("agrees with multiplying by 1024 for each step", () => {
    const steps = fc.constantFrom(["B", 0], ["KB", 1], ["MB", 2], ["GB", 3]) as fc.Arbitrary<
      [string, number]
    >;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999 }), steps, (amount, [unit, count]) => {
        let bytes = amount;
        for (let step = 0; step < count; step++) bytes *= 1024;
        expect(parseSize(`${amount}${unit}`)).toBe(bytes);
      }),
    );
  });
});
