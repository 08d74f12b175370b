import { describe, expect, test } from "bun:test";
import { openChain } from "../../src/audit/chain.ts";
import { newestFirst, readEntry } from "../../src/audit/scan.ts";
import type { Store } from "../../src/store/store.ts";
import { actEntry, denyEntry, forwardEntry, START_MS } from "./entries.ts";
import { memoryStore } from "./memory-store.ts";

const KEY = new Uint8Array(32).fill(7);

async function filledStore(times: readonly number[]) {
  const store = memoryStore();
  const chains = [openChain(KEY), openChain(KEY)];
  const records = times.map((second, at) => {
    const at_ = new Date(START_MS + second * 1_000).toISOString();
    const entry = at % 3 === 0 ? denyEntry(at, { at: at_ }) : forwardEntry(at, { at: at_ });
    return (chains[at % 2] ?? openChain(KEY)).link(entry);
  });
  await store.append(records);
  return { store, records };
}

const exclusive = (store: Pick<Store, "find">): Pick<Store, "find"> => ({
  find: ({ untilMs, ...query }) =>
    store.find({ ...query, ...(untilMs !== undefined && { untilMs: untilMs - 1 }) }),
});

describe("newestFirst()", () => {
  test.each([
    ["a page", Array.from({ length: 20 }, (_, at) => at)],
    ["exactly a page", Array.from({ length: 1_000 }, (_, at) => at)],
    ["several pages", Array.from({ length: 3_500 }, (_, at) => at)],
    ["many of each second", Array.from({ length: 3_500 }, (_, at) => Math.floor(at / 700))],
    ["more of one second than a page", Array.from({ length: 3_500 }, () => 1)],
  ])("hands out each record once, newest first: %s", async (_, times) => {
    const { store, records } = await filledStore(times);
    for (const kind of [store, exclusive(store)]) {
      const found = await Array.fromAsync(newestFirst(kind, {}));
      expect(new Set(found)).toEqual(new Set(records));
      expect(found).toHaveLength(records.length);
      expect(found.map(({ atMs }) => atMs)).toEqual(
        found.map(({ atMs }) => atMs).sort((a, b) => b - a),
      );
    }
  });

  test("asks for what the query asks", async () => {
    const { store } = await filledStore(Array.from({ length: 3_000 }, (_, at) => at));
    const sinceMs = START_MS + 2_000_000;
    const found = await Array.fromAsync(newestFirst(store, { denied: true, sinceMs }));
    expect(found).toHaveLength(333);
    expect(found.every(({ index, atMs }) => index.denied && atMs >= sinceMs)).toBe(true);
  });
});

describe("readEntry()", () => {
  const link = () => openChain(KEY).link(denyEntry(1));

  test("reads a body", () => {
    expect(readEntry(link())).toEqual(denyEntry(1));
  });

  test.each(["", "{", "null", "7", "{}", '{"kind":"other"}'])("takes %j for no entry", (body) => {
    expect(readEntry({ ...link(), body })).toBeUndefined();
  });

  test("reads an act", () => {
    expect(readEntry(openChain(KEY).link(actEntry(1)))).toEqual(actEntry(1));
  });

  test.each([
    { at: undefined },
    { path: 7 },
    { status: "200" },
    { client: null },
    { reason: {} },
    { token: null },
    { token: {} },
    { policies: 5 },
    { policies: [null] },
    { policies: [{ name: "staff" }] },
  ])("takes a decision with %j for no entry: readers rely on more", (changes) => {
    const body = JSON.stringify({ ...denyEntry(1), ...changes });
    expect(readEntry({ ...link(), body })).toBeUndefined();
  });

  test.each([{ target: undefined }, { reason: 7 }])(
    "takes an act with %j for no entry",
    (changes) => {
      const body = JSON.stringify({ ...actEntry(1), ...changes });
      expect(readEntry({ ...link(), body })).toBeUndefined();
    },
  );
});
