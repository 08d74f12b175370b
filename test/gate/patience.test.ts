import { describe, expect, test } from "bun:test";
import { idleSeconds, openPatience } from "../../src/gate/patience.ts";

function open() {
  const limits: number[] = [];
  return { limits, patience: openPatience((seconds) => limits.push(seconds), 2_500) };
}

describe("openPatience()", () => {
  test("waits for an upstream without limit, for a client as long as it may be idle", () => {
    const { limits, patience } = open();
    patience.forClient();
    patience.forUpstream();
    patience.end();
    expect(limits).toEqual([0, 3, 0, 3]);
  });

  test("once it has ended nothing lifts the limit: a body may still be on its way", () => {
    const { limits, patience } = open();
    patience.end();
    patience.forUpstream();
    patience.holdOpen();
    expect(limits).toEqual([0, 3]);
  });

  test("what is held open stays so", () => {
    const { limits, patience } = open();
    patience.holdOpen();
    patience.forClient();
    patience.end();
    expect(limits).toEqual([0, 0]);
  });
});

test.each([
  [1, 1],
  [1_000, 1],
  [1_001, 2],
  [255_000, 255],
  [600_000, 255],
])("idleSeconds(%i) is %i", (ms, seconds) => {
  expect(idleSeconds(ms)).toBe(seconds);
});
