import { expect, test } from "bun:test";
import fc from "fast-check";
import { gatherBytes } from "../../src/proxy/gathered-bytes.ts";

test("pieces come out together, in order, and each once", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.uint8Array({ maxLength: 300 }))), (rounds) => {
      const gathered = gatherBytes();
      for (const pieces of rounds) {
        for (const piece of pieces) gathered.add(Buffer.from(piece));
        const all = Buffer.concat(pieces);
        expect(gathered.size()).toBe(all.length);
        expect(gathered.take()).toEqual(all);
        expect(gathered.size()).toBe(0);
      }
    }),
  );
});

test("what was taken stays as it was", () => {
  const gathered = gatherBytes();
  gathered.add(Buffer.from("one"));
  const taken = gathered.take();
  gathered.add(Buffer.from("two"));
  expect(taken.toString()).toBe("one");
});

test("a piece may change once it was added", () => {
  const gathered = gatherBytes();
  const piece = Buffer.from("one");
  gathered.add(piece);
  piece.fill("x");
  expect(gathered.take().toString()).toBe("one");
});
