import { describe, expect, test } from "bun:test";
import { repeat } from "../../src/lib/repeat.ts";

/** Work that ends as the next of these says; `done` resolves once all were asked for. */
function scripted(endings: readonly ("well" | "badly")[]) {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  let times = 0;
  const work = async () => {
    const ending = endings[times];
    times += 1;
    if (times === endings.length) resolve();
    if (ending === "badly") throw new Error(`failed at ${times}`);
  };
  return { work, done, times: () => times };
}

describe("repeat()", () => {
  test("goes on after failures, and tells of a row of them once", async () => {
    const { work, done } = scripted(["badly", "badly", "well", "badly", "well"]);
    const told: string[] = [];
    const rhythm = { firstMs: 0, everyMs: 1, onFault: (why: string) => void told.push(why) };
    const repeated = repeat(work, rhythm);
    await done;
    repeated.close();
    expect(told).toEqual(["failed at 1", "failed at 4"]);
  });

  test("once it is closed, nothing begins and nobody is told", async () => {
    const told: string[] = [];
    const working = Promise.withResolvers<void>();
    const began = Promise.withResolvers<void>();
    let times = 0;
    const work = () => {
      times += 1;
      began.resolve();
      return working.promise;
    };
    const repeated = repeat(work, {
      firstMs: 0,
      everyMs: 0,
      onFault: (why) => void told.push(why),
    });
    await began.promise;
    repeated.close();
    working.reject(new Error("too late"));
    // Timers of the same length fire in order: another run would have begun before this one ends.
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setTimeout(resolve, 1));
    expect({ times, told }).toEqual({ times: 1, told: [] });
  });
});
