import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalAddress, createRangeMatcher, networkOf, parseRange } from "../../src/lib/cidr.ts";

describe("canonicalAddress()", () => {
  test.each([
    ["10.0.0.1", "10.0.0.1"],
    ["255.255.255.255", "255.255.255.255"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::FFFF:a00:1", "10.0.0.1"],
    ["0:0:0:0:0:ffff:0a00:0001", "10.0.0.1"],
    ["::1", "::1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["64:ff9b::1.2.3.4", "64:ff9b::102:304"],
    ["::10.0.0.1", "::a00:1"],
    ["::ffff:0:10.0.0.1", "::ffff:0:a00:1"],
  ])("%s is %s", (text, address) => {
    expect(canonicalAddress(text)).toBe(address);
  });

  test.each([
    "",
    "10.0.0",
    "10.1",
    "1",
    "010.0.0.1",
    "0x7f.0.0.1",
    "10.0.0.256",
    "10.0.0.1.",
    "10.0.0.1 ",
    " 10.0.0.1",
    "10.0.0.1\n",
    "10.0.0.1:80",
    "[::1]",
    "::1%eth0",
    "fe80::1%1",
    "1::2::3",
    ":::",
    "12345::",
    "::ffff:010.0.0.1",
    "::ffff:1.2.3",
    "::ffff:1.2.3.256",
    "::1/128",
    "localhost",
    "١.0.0.1",
  ])("refuses %j", (text) => {
    expect(canonicalAddress(text)).toBeUndefined();
  });

  test("gives one form for every way to write an IPv6 address", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }),
        (parts) => {
          const plain = parts.map((part) => part.toString(16)).join(":");
          const padded = parts
            .map((part) => part.toString(16).padStart(4, "0").toUpperCase())
            .join(":");
          const canonical = canonicalAddress(plain);
          expect(canonical).toBeDefined();
          expect(canonicalAddress(padded)).toBe(canonical);
          expect(canonicalAddress(canonical ?? "")).toBe(canonical);
        },
      ),
    );
  });
});

describe("parseRange()", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.0.0.7", "10.0.0.7/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["2001:DB8::/32", "2001:db8::/32"],
    ["::1", "::1/128"],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
    ["::/0", "::/0"],
  ])("%s is %s", (text, canonical) => {
    expect(parseRange(text)?.canonical).toBe(canonical);
  });

  test.each([
    "",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/-1",
    "10.0.0.0/8/8",
    "10.0.0.0/8 ",
    "::/129",
    "::ffff:0:0/90",
    "::ffff:0:0/90",
    "10.0.0.0/255.0.0.0",
    "10.0.0/8",
    "unix",
  ])("refuses %j", (text) => {
    expect(parseRange(text)).toBeUndefined();
  });

  test.each([
    ["10.0.0.1/8", "10.0.0.0/8"],
    ["192.168.1.200/25", "192.168.1.128/25"],
    ["2001:db8::1/32", "2001:db8::/32"],
    ["1.2.3.4/0", "0.0.0.0/0"],
  ])("refuses %s, which must have meant %s", (text, meant) => {
    expect(parseRange(text)).toBeUndefined();
    expect(networkOf(text)).toBe(meant);
  });
});

/** An address as a string of zeros and ones, by arithmetic of its own. */
const bits = (bytes: readonly number[]) =>
  bytes.map((byte) => byte.toString(2).padStart(8, "0")).join("");
const fromBits = (text: string) =>
  (text.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2));
const write = (bytes: readonly number[]) =>
  bytes.length === 4
    ? bytes.join(".")
    : (Buffer.from(bytes).toString("hex").match(/.{4}/g) ?? []).join(":");

describe("createRangeMatcher()", () => {
  test.each([4, 16])("agrees with comparing bits, for addresses of %d bytes", (length) => {
    const address = fc.array(fc.integer({ min: 0, max: 255 }), {
      minLength: length,
      maxLength: length,
    });
    const prefix = fc.integer({ min: 0, max: length * 8 });
    fc.assert(
      fc.property(address, address, prefix, prefix, (network, other, prefixBits, common) => {
        const networkBits = bits(network)
          .slice(0, prefixBits)
          .padEnd(length * 8, "0");
        // A near miss or a hit, rather than two addresses with nothing in common.
        const candidate = fromBits(networkBits.slice(0, common) + bits(other).slice(common));
        const range = `${write(fromBits(networkBits))}/${prefixBits}`;
        const canonical = canonicalAddress(write(candidate));
        const expected = bits(candidate).slice(0, prefixBits) === networkBits.slice(0, prefixBits);
        expect(createRangeMatcher([range])(canonical ?? "")).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  test("takes an address that is in any range, and none without ranges", () => {
    const isInside = createRangeMatcher(["10.0.0.0/8", "2001:db8::/32"]);
    expect(["10.9.8.7", "2001:db8::5", "11.0.0.0", "2001:db9::", "unix", ""].map(isInside)).toEqual(
      [true, true, false, false, false, false],
    );
    expect(createRangeMatcher([])("10.0.0.1")).toBe(false);
  });

  test("keeps IPv4 and IPv6 apart, but for mapped addresses", () => {
    expect(createRangeMatcher(["::/0"])("10.0.0.1")).toBe(false);
    expect(createRangeMatcher(["0.0.0.0/0"])("::1")).toBe(false);
    expect(createRangeMatcher(["::ffff:10.0.0.0/104"])("10.1.2.3")).toBe(true);
    expect(createRangeMatcher(["10.0.0.0/8"])("::ffff:10.1.2.3")).toBe(true);
  });

  test("names a bad range and what was meant", () => {
    expect(() => createRangeMatcher(["10.0.0.0/8", "10.0.0.1/8"])).toThrow(
      new RangeError('"10.0.0.1/8" is not a range of addresses: write 10.0.0.0/8'),
    );
    expect(() => createRangeMatcher(["office"])).toThrow('"office" is not a range of addresses');
  });
});
