import { describe, expect, test } from "bun:test";
import { openSweeper } from "../../src/audit/sweep.ts";
import { GateError } from "../../src/errors.ts";

/** Answers each sweep as the next of these says, and resolves when all were asked. */
function sweptStore(answers: readonly ("swept" | "gone")[]) {
  const asked: number[] = [];
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const store = {
    async sweep(beforeMs: number): Promise<number> {
      const answer = answers[asked.push(beforeMs) - 1];
      if (asked.length === answers.length) resolve();
      if (answer === "gone") throw new GateError("store_unavailable", "no answer");
      return 1;
    },
  };
  return { store, asked, done };
}

describe("openSweeper()", () => {
  test("forgets what is older than is to be kept, again and again, as it is then", async () => {
    const { store, asked, done } = sweptStore(["swept", "swept", "swept"]);
    let retainMs = 400;
    const sweeper = openSweeper({
      store,
      now: () => 1_000,
      retainMs: () => {
        retainMs -= 100;
        return retainMs;
      },
      warn: () => {},
      firstMs: 0,
      everyMs: 1,
    });
    await done;
    sweeper.close();
    expect(asked.slice(0, 3)).toEqual([700, 800, 900]);
  });

  test("goes on after a failure, and tells of a row of them once", async () => {
    const { store, done } = sweptStore(["gone", "gone", "swept", "gone", "swept"]);
    const warnings: string[] = [];
    const warn = (message: string) => warnings.push(message);
    const times = { now: () => 1_000, retainMs: () => 100, firstMs: 0, everyMs: 1 };
    const sweeper = openSweeper({ store, warn, ...times });
    await done;
    sweeper.close();
    const told = "records older than audit.retain could not be removed, next try later: no answer";
    expect(warnings).toEqual([told, told]);
  });
});
