import { expect, test } from "bun:test";
import { type Line, openLine } from "../../../src/cli/workers/line.ts";

type Add = { readonly add: { readonly about: readonly number[]; readonly answer: number } };
type Silent = { readonly never: { readonly about: null; readonly answer: null } };

/** Two ends of one line, with nothing but the messages between them. */
function twoEnds() {
  const never = new Promise<null>(() => undefined);
  const sent: object[] = [];
  const one: Line<Add> = openLine<Add, Silent>(
    (message) => {
      sent.push(message);
      queueMicrotask(() => other.receive(message));
    },
    { never: () => never },
  );
  const other: Line<Silent> = openLine<Silent, Add>(
    (message) => queueMicrotask(() => one.receive(message)),
    { add: async (numbers) => numbers.reduce((sum, number) => sum + number, 0) },
  );
  return { one, other, sent };
}

test("each question gets its own answer", async () => {
  const { one } = twoEnds();
  const asked = [
    one.ask("add", [1, 2], 1_000),
    one.ask("add", [3], 1_000),
    one.ask("add", [], 1_000),
  ];
  expect(await Promise.all(asked)).toEqual([3, 3, 0]);
});

test("who gets no answer in time, or none any more, goes on without", async () => {
  const { other } = twoEnds();
  expect(await other.ask("never", null, 1)).toBeUndefined();
  const asked = other.ask("never", null, 60_000);
  other.close();
  expect(await asked).toBeUndefined();
});

test("nothing is sent once the line is closed", async () => {
  const { one, sent } = twoEnds();
  one.close();
  expect(await one.ask("add", [1], 60_000)).toBeUndefined();
  expect(sent).toEqual([]);
});

test("what is no question of ours is left", () => {
  const { one, sent } = twoEnds();
  one.receive({ kind: "ask", id: 1, what: "toString", about: null });
  one.receive({ kind: "answer", id: 99, answer: 1 });
  one.receive({});
  expect(sent).toEqual([]);
});
