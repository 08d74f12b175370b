import { describe, expect, test } from "bun:test";
import { type Chain, openChain } from "../../src/audit/chain.ts";
import { type ChainProblem, verifyChains } from "../../src/audit/verify.ts";
import type { ChainedRecord } from "../../src/store/store.ts";
import { actEntry, denyEntry, forwardEntry, START_MS } from "./entries.ts";
import { type MemoryStore, memoryStore } from "./memory-store.ts";

const KEY = new Uint8Array(32).fill(7);

/** A store with chains of 6 records each, of entries alike but for their numbers. */
async function filledStore(writers = 1): Promise<{ store: MemoryStore; chains: readonly Chain[] }> {
  const store = memoryStore();
  const chains = Array.from({ length: writers }, () => openChain(KEY));
  for (const chain of chains) {
    const entries = [1, 2, 3, 4, 5].map((number) => forwardEntry(number));
    await store.append([...entries, denyEntry(6)].map(chain.link));
  }
  return { store, chains };
}

/** The record with this number, which a change replaces. */
function tamper(
  { records }: MemoryStore,
  seq: number,
  change: (record: ChainedRecord) => ChainedRecord | undefined,
): void {
  const at = records.findIndex((record) => record.seq === seq);
  const changed = change(records[at] as ChainedRecord);
  records.splice(at, 1, ...(changed === undefined ? [] : [changed]));
}

const remove = () => undefined;
const at = (second: number) => new Date(START_MS + second * 1_000).toISOString();

async function problemsOf(store: MemoryStore): Promise<readonly Omit<ChainProblem, "writer">[]> {
  const { ok, problems } = await verifyChains(store, KEY);
  expect(ok).toBe(problems.length === 0);
  return problems.map(({ writer: _, ...problem }) => problem);
}

describe("verifyChains()", () => {
  test("holds where nothing was touched", async () => {
    const { store } = await filledStore(3);
    expect(await verifyChains(store, KEY)).toEqual({
      ok: true,
      records: 18,
      writers: 3,
      problems: [],
    });
    expect(await verifyChains(memoryStore(), KEY)).toMatchObject({ ok: true, records: 0 });
    expect(await verifyChains(memoryStore(), undefined)).toMatchObject({ ok: true });
  });

  test("holds for chains longer than a page", async () => {
    const store = memoryStore();
    const chain = openChain(KEY);
    await store.append(Array.from({ length: 2_000 }, (_, number) => chain.link(actEntry(number))));
    expect(await verifyChains(store, KEY)).toMatchObject({ ok: true, records: 2_000 });
  });

  test("finds a changed body, and only that", async () => {
    const { store } = await filledStore();
    tamper(store, 3, (record) => ({ ...record, body: record.body.replace("alice", "mallory") }));
    expect(await problemsOf(store)).toEqual([
      { kind: "changed", firstSeq: 3, lastSeq: 3, at: at(3) },
    ]);
  });

  test.each([1, 6])("finds a changed body at the edge: record %d", async (seq) => {
    const { store } = await filledStore();
    tamper(store, seq, (record) => ({ ...record, body: record.body.replace("alice", "mallory") }));
    expect(await problemsOf(store)).toEqual([
      { kind: "changed", firstSeq: seq, lastSeq: seq, at: at(seq) },
    ]);
  });

  test("finds a changed MAC, also that of the last record", async () => {
    const { store } = await filledStore();
    const mac = "A".repeat(43);
    tamper(store, 6, (record) => ({ ...record, mac }));
    expect(await problemsOf(store)).toEqual([
      { kind: "changed", firstSeq: 6, lastSeq: 6, at: at(6) },
    ]);
  });

  test("finds an end that is not the anchored one", async () => {
    const { store, chains } = await filledStore();
    const writer = chains[0]?.writer ?? "";
    const anchor = store.kept.get(writer);
    if (anchor !== undefined) store.kept.set(writer, { ...anchor, lastMac: "A".repeat(43) });
    expect(await problemsOf(store)).toEqual([
      { kind: "changed", firstSeq: 6, lastSeq: 6, at: at(6) },
    ]);
  });

  test.each([
    ["one", [3], { kind: "removed", firstSeq: 3, lastSeq: 3, at: at(2) }],
    ["several", [2, 3, 4], { kind: "removed", firstSeq: 2, lastSeq: 4, at: at(1) }],
    ["the beginning", [1, 2], { kind: "removed", firstSeq: 1, lastSeq: 2 }],
    ["the last", [6], { kind: "cut", firstSeq: 6, lastSeq: 6, at: at(5) }],
    ["the end", [4, 5, 6], { kind: "cut", firstSeq: 4, lastSeq: 6, at: at(3) }],
    ["all", [1, 2, 3, 4, 5, 6], { kind: "cut", firstSeq: 1, lastSeq: 6 }],
  ])("finds what was removed: %s", async (_, seqs, problem) => {
    const { store } = await filledStore();
    for (const seq of seqs) tamper(store, seq, remove);
    expect(await problemsOf(store)).toEqual([problem as Omit<ChainProblem, "writer">]);
  });

  test("finds two records that changed places", async () => {
    const { store } = await filledStore();
    const [second, fourth] = [store.records[1], store.records[3]] as ChainedRecord[];
    tamper(store, 2, (record) => ({ ...record, ...fourth, seq: 2 }));
    tamper(store, 4, (record) => ({ ...record, ...second, seq: 4 }));
    const problems = await problemsOf(store);
    expect(problems.map(({ firstSeq }) => firstSeq)).toEqual(expect.arrayContaining([2, 4]));
    expect(new Set(problems.map(({ kind }) => kind))).toEqual(new Set(["changed"]));
  });

  test("finds a record that was put in by renumbering the rest", async () => {
    const { store, chains } = await filledStore();
    for (const seq of [6, 5, 4]) tamper(store, seq, (record) => ({ ...record, seq: seq + 1 }));
    const forged = openChain(new Uint8Array(32).fill(8)).link(forwardEntry(4));
    store.records.push({ ...forged, writer: chains[0]?.writer ?? "", seq: 4 });
    expect((await problemsOf(store))[0]).toMatchObject({ kind: "changed", firstSeq: 4 });
  });

  test("finds a chain that was passed off as another writer's", async () => {
    const { store, chains } = await filledStore(2);
    const [one, other] = chains.map(({ writer }) => writer) as [string, string];
    const others = store.records.filter(({ writer }) => writer === other);
    store.records.splice(0, 12, ...others, ...others.map((record) => ({ ...record, writer: one })));
    const anchor = store.kept.get(other);
    if (anchor !== undefined) store.kept.set(one, { ...anchor, writer: one });
    const { problems } = await verifyChains(store, KEY);
    expect(problems).toEqual([
      { writer: one, kind: "changed", firstSeq: 1, lastSeq: 1, at: at(1) },
    ]);
  });

  test.each([
    ["subject", { subject: "bob" }],
    ["code", { code: "token_missing" }],
    ["route", { route: "other" }],
    ["request id", { requestId: "other" }],
    ["denial", { denied: false }],
    ["kind", { kind: "act" as const }],
  ])("finds a record that the search would miss by its %s", async (_, change) => {
    const { store } = await filledStore();
    tamper(store, 6, (record) => ({ ...record, index: { ...record.index, ...change } }));
    expect(await problemsOf(store)).toEqual([
      { kind: "mislabelled", firstSeq: 6, lastSeq: 6, at: at(6) },
    ]);
  });

  test("finds a record made older than it is, to be swept away", async () => {
    const { store } = await filledStore();
    tamper(store, 1, (record) => ({ ...record, atMs: 0 }));
    expect(await problemsOf(store)).toEqual([
      { kind: "mislabelled", firstSeq: 1, lastSeq: 1, at: "1970-01-01T00:00:00.000Z" },
    ]);
  });

  test("finds a record whose time is none", async () => {
    const { store } = await filledStore();
    tamper(store, 1, (record) => ({ ...record, atMs: 9e17 }));
    expect(await problemsOf(store)).toEqual([
      { kind: "mislabelled", firstSeq: 1, lastSeq: 1, at: "+275760-09-13T00:00:00.000Z" },
    ]);
  });

  test("holds after retention has taken the beginning, and checks what is left", async () => {
    const { store } = await filledStore(2);
    await store.sweep(START_MS + 4_000);
    expect(await verifyChains(store, KEY)).toMatchObject({ ok: true, records: 6 });
    tamper(store, 4, (record) => ({ ...record, body: record.body.replace("alice", "mallory") }));
    expect(await problemsOf(store)).toEqual([
      { kind: "changed", firstSeq: 4, lastSeq: 4, at: at(4) },
    ]);
  });

  test("holds where retention has taken everything", async () => {
    const { store } = await filledStore();
    await store.sweep(START_MS + 60_000);
    expect(await verifyChains(store, KEY)).toMatchObject({ ok: true, records: 0, writers: 1 });
    expect(await verifyChains(store, undefined)).toMatchObject({ ok: true });
  });

  test("holds while a gate writes and sweeps", async () => {
    const { store, chains } = await filledStore();
    const early = await store.anchors();
    let reads = 0;
    const busy = {
      ...store,
      async anchors() {
        reads += 1;
        return reads === 1 ? early : await store.anchors();
      },
    };
    const [chain] = chains;
    if (chain !== undefined) await store.append([chain.link(forwardEntry(7))]);
    await store.sweep(START_MS + 3_000);
    expect(await verifyChains(busy, KEY)).toMatchObject({ ok: true, records: 5, problems: [] });
    await store.sweep(START_MS + 60_000);
    reads = 0;
    expect(await verifyChains(busy, KEY)).toMatchObject({ ok: true, records: 0, problems: [] });
  });

  test("says of which writers the key is not here", async () => {
    const { store, chains } = await filledStore();
    const [writer = ""] = chains.map((chain) => chain.writer);
    const problem = { writer, kind: "unknown_key" as const, firstSeq: 1, lastSeq: 6 };
    for (const key of [undefined, new Uint8Array(32).fill(8)]) {
      expect((await verifyChains(store, key)).problems).toEqual([problem]);
    }
  });

  test("finds records that no anchor vouches for", async () => {
    const { store } = await filledStore();
    store.kept.clear();
    expect(await problemsOf(store)).toEqual([{ kind: "unanchored", firstSeq: 1, lastSeq: 6 }]);
  });
});

describe("records that no chain leads to", () => {
  /** Made without the key, by who may write to the store. */
  const forged = (seq: number, writer: string): ChainedRecord => ({
    ...openChain(new Uint8Array(32)).link(forwardEntry(1)),
    writer,
    seq,
  });

  test("are found however old they say to be", async () => {
    const store = memoryStore();
    store.records.push(forged(1, "nobody"), forged(2, "nobody"));
    const chain = openChain(KEY);
    const many = Array.from({ length: 1_500 }, (_, number) => chain.link(actEntry(number + 10)));
    await store.append(many);
    const { ok, problems } = await verifyChains(store, KEY);
    expect(ok).toBe(false);
    expect(problems).toEqual([{ writer: "nobody", kind: "unanchored", firstSeq: 1, lastSeq: 2 }]);
  });

  test("are found behind an anchor that says all of its writer was swept", async () => {
    const { store } = await filledStore();
    store.records.unshift(forged(3, "nobody"));
    const anchor = { writer: "nobody", sweptSeq: 3, sweptMac: "", lastSeq: 3, lastMac: "" };
    const real = store.anchors;
    const withForged = { ...store, anchors: async () => [...(await real()), anchor] };
    const { problems } = await verifyChains(withForged, KEY);
    expect(problems).toEqual([{ writer: "nobody", kind: "unanchored", firstSeq: 3, lastSeq: 3 }]);
  });

  test("are found where an anchor was moved over a changed one", async () => {
    const { store } = await filledStore();
    tamper(store, 2, (record) => ({ ...record, body: record.body.replace("alice", "mallory") }));
    const sweptMac = store.records[1]?.mac ?? "";
    const anchors = async () =>
      (await store.anchors()).map((anchor) => ({ ...anchor, sweptSeq: 2, sweptMac }));
    const { problems } = await verifyChains({ ...store, anchors }, KEY);
    expect(problems).toMatchObject([{ kind: "unanchored", firstSeq: 1, lastSeq: 2 }]);
  });
});
