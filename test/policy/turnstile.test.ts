import { describe, expect, test } from "bun:test";
import { openTurnstile } from "../../src/policy/turnstile.ts";

const never = new AbortController().signal;

describe("openTurnstile()", () => {
  test("lets the next in when one leaves, in turn, but none past its kind's limit", async () => {
    const { enter } = openTurnstile({ all: 3, each: 2, waiting: 10 });
    const order: string[] = [];
    const come = async (name: string) => {
      const leave = await enter(name.charAt(0), never);
      order.push(name);
      return leave;
    };
    const leaveA1 = await come("a1");
    const leaveA2 = await come("a2");
    const a3 = come("a3");
    const leaveB1 = await come("b1");
    const b2 = come("b2");
    await Promise.resolve();
    expect(order).toEqual(["a1", "a2", "b1"]);
    leaveB1();
    const leaveB2 = await b2;
    expect(order).toEqual(["a1", "a2", "b1", "b2"]);
    leaveA1();
    const leaveA3 = await a3;
    expect(order).toEqual(["a1", "a2", "b1", "b2", "a3"]);
    for (const leave of [leaveA2, leaveA3, leaveB2]) leave();
    expect(await Promise.all([enter("a", never), enter("a", never)])).toHaveLength(2);
  });

  test("who gives up is forgotten; who would be one too many is refused", async () => {
    const { enter } = openTurnstile({ all: 1, each: 1, waiting: 1 });
    const leave = await enter("a", never);
    const aborter = new AbortController();
    const waiting = enter("a", aborter.signal);
    expect(enter("a", never)).rejects.toThrow("too many");
    aborter.abort(new Error("enough"));
    expect(waiting).rejects.toThrow("enough");
    leave();
    expect(await enter("a", never)).toBeFunction();
    expect(enter("a", AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  });
});
