import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { isEdwardsPoint } from "../../src/identity/edwards-point.ts";

const hex = (text: string) => Buffer.from(text, "hex");

describe("isEdwardsPoint()", () => {
  test("takes the key of RFC 8032 §7.1 and fresh ones", () => {
    expect(
      isEdwardsPoint(hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")),
    ).toBe(true);
    for (let count = 0; count < 10; count++) {
      const { x = "" } = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });
      expect(isEdwardsPoint(Buffer.from(x, "base64url"))).toBe(true);
    }
  });

  test.each([
    ["off the curve", "02".padEnd(64, "0")],
    ["y of p or more", `${"ff".repeat(31)}7f`],
    ["minus zero", `01${"00".repeat(30)}80`],
    ["31 bytes", "00".repeat(31)],
    ["33 bytes", "00".repeat(33)],
    ["nothing", ""],
  ])("refuses %s", (_, text) => {
    expect(isEdwardsPoint(hex(text))).toBe(false);
  });
});
