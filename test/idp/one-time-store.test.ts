import { describe, expect, test } from "bun:test";
import { createOneTimeStore } from "../../src/idp/one-time-store.ts";

const open = (most = 3) => {
  const clock = { ms: 1_000 };
  const store = createOneTimeStore<string>({ most, lifetimeMs: 60_000, now: () => clock.ms });
  return { clock, store };
};

describe("createOneTimeStore()", () => {
  test("gives a value once", () => {
    const { store } = open();
    const id = store.put("a");
    expect([store.take(id), store.take(id)]).toEqual(["a", undefined]);
  });

  test("gives ids of 256 bits that differ", () => {
    const { store } = open();
    const ids = [store.put("a"), store.put("a")];
    expect(ids.map((id) => Buffer.from(id, "base64url").length)).toEqual([32, 32]);
    expect(ids[0]).not.toBe(ids[1]);
  });

  test("gives a value until its time is up, and no longer", () => {
    const { clock, store } = open();
    const [early, late] = [store.put("a"), store.put("b")];
    clock.ms += 59_999;
    expect(store.take(early)).toBe("a");
    clock.ms += 1;
    expect(store.take(late)).toBeUndefined();
  });

  test("lets the oldest go when it is full", () => {
    const { store } = open(2);
    const ids = [store.put("a"), store.put("b"), store.put("c")];
    expect(ids.map((id) => store.take(id))).toEqual([undefined, "b", "c"]);
  });

  test.each(["", "__proto__", "constructor"])("knows nothing as %p", (id) => {
    expect(open().store.take(id)).toBeUndefined();
  });
});
