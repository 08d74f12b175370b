import { describe, expect, test } from "bun:test";
import { openChain } from "../../src/audit/chain.ts";
import { followChains } from "../../src/audit/follow.ts";
import { GateError } from "../../src/errors.ts";
import { forwardEntry } from "./entries.ts";
import { memoryStore } from "./memory-store.ts";

const KEY = new Uint8Array(32).fill(7);

describe("followChains()", () => {
  test("tells each record once, of every writer, from where the reader began", async () => {
    const store = memoryStore();
    const [first, second] = [openChain(KEY), openChain(KEY)];
    await store.append([first.link(forwardEntry(1)), first.link(forwardEntry(2))]);
    const anchors = await store.anchors();
    // An hour older by the clock: it comes all the same.
    await store.append([first.link(forwardEntry(-3_600))]);

    const ending = new AbortController();
    const told: string[] = [];
    for await (const page of followChains(store, anchors, ending.signal, () => {})) {
      for (const { writer, seq } of page) {
        told.push(`${writer === first.writer ? "first" : "second"} ${seq}`);
      }
      if (told.length === 1) await store.append([second.link(forwardEntry(4))]);
      if (told.length === 2) await store.append([first.link(forwardEntry(5))]);
      if (told.length === 3) ending.abort();
    }
    expect(told).toEqual(["first 3", "second 1", "first 4"]);
  });

  test("goes on where it was once a lost store is back, and tells of the loss once", async () => {
    const store = memoryStore();
    const chain = openChain(KEY);
    await store.append([chain.link(forwardEntry(1))]);
    let asked = 0;
    const failing = {
      ...store,
      async anchors() {
        asked += 1;
        if (asked === 2 || asked === 3) throw new GateError("store_unavailable", "gone");
        if (asked === 4) await store.append([chain.link(forwardEntry(2))]);
        return await store.anchors();
      },
    };
    const ending = new AbortController();
    const losses: string[] = [];
    const told: number[] = [];
    const onLost = ({ message }: GateError) => losses.push(message);
    for await (const page of followChains(failing, [], ending.signal, onLost)) {
      told.push(...page.map(({ seq }) => seq));
      if (told.length === 2) ending.abort();
    }
    expect({ told, losses }).toEqual({ told: [1, 2], losses: ["gone"] });
  });

  test("ends at once when nothing comes", async () => {
    const following = followChains(memoryStore(), [], AbortSignal.timeout(1), () => {});
    expect(await Array.fromAsync(following)).toEqual([]);
  });
});
