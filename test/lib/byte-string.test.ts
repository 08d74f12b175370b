import { expect, test } from "bun:test";
import { byteString } from "../../src/lib/byte-string.ts";

test("byteString() is the text's UTF-8, a code unit a byte", () => {
  expect(byteString("aä€")).toBe("a\u00c3\u00a4\u00e2\u0082\u00ac");
});
