import { expect, spyOn, test } from "bun:test";
import { openProgress } from "../../../src/cli/replay/progress.ts";

function progressOn({ isTTY }: { readonly isTTY: boolean }) {
  let written = "";
  let nowMs = 0;
  const clock = spyOn(performance, "now").mockImplementation(() => nowMs);
  const stream = {
    isTTY,
    write: (text: string | Uint8Array) => {
      written += text;
      return true;
    },
  };
  const progress = openProgress(stream);
  return {
    progress,
    /** @returns What was written then. */
    after(ms: number, decisions: number) {
      nowMs += ms;
      written = "";
      progress.at(decisions, Date.UTC(2026, 0, 5, 10));
      return written;
    },
    end() {
      written = "";
      progress.end();
      clock.mockRestore();
      return written;
    },
  };
}

test("a terminal has one line, written over, and none in the end", () => {
  const { after, end } = progressOn({ isTTY: true });
  expect(after(500, 64)).toBe("");
  expect(after(500, 6_400)).toBe(
    "\r\u001b[K6,400 decisions, back to 2026-01-05T10:00:00, 6,400 a second",
  );
  expect(after(100, 6_464)).toBe("");
  expect(after(100, 6_465)).toBe("");
  expect(end()).toBe("\r\u001b[K");
});

test("elsewhere there is a line now and then, and nothing of short work", () => {
  const { after, end } = progressOn({ isTTY: false });
  expect(after(4_900, 64)).toBe("");
  expect(after(100, 6_400)).toStartWith("claimgate: 6,400 decisions, back to 2026-01-05T10:00:00");
  expect(after(4_900, 6_464)).toBe("");
  expect(end()).toBe("");
});
