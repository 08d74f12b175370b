import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { hasRocaFingerprint } from "../../src/identity/roca.ts";

describe("hasRocaFingerprint()", () => {
  test("tells a power of the generator, and no ordinary key", () => {
    expect(hasRocaFingerprint(65_537n ** 130n)).toBe(true);
    for (let count = 0; count < 3; count++) {
      const { n = "" } = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({
        format: "jwk",
      });
      expect(hasRocaFingerprint(BigInt(`0x${Buffer.from(n, "base64url").toString("hex")}`))).toBe(
        false,
      );
    }
  });
});
