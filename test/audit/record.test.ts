import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { AuditEntry } from "../../src/audit/entry.ts";
import { type Audit, openAudit } from "../../src/audit/record.ts";
import { verifyChains } from "../../src/audit/verify.ts";
import { tempFolder } from "../support/temp-folder.ts";
import { denyEntry, forwardEntry, START_MS } from "./entries.ts";
import { type MemoryStore, memoryStore } from "./memory-store.ts";

/** Of a client that waits as long as it takes. */
const STAYS = new AbortController();
const LONG_MS = 60_000;

const KEY = new Uint8Array(32).fill(7);

type Fixture = AsyncDisposable & {
  readonly store: MemoryStore;
  readonly audit: Audit;
  readonly warnings: string[];
  readonly losses: string[];
};

function openFixture(file?: string, closeMs = 5_000): Fixture {
  const store = memoryStore();
  const [warnings, losses]: [string[], string[]] = [[], []];
  const audit = openAudit({
    store,
    key: KEY,
    closeMs,
    now: () => START_MS,
    config: () => ({ retainMs: 1_000, ...(file !== undefined && { file }) }),
    warn: (message) => warnings.push(message),
    onLoss: (message) => losses.push(message),
  });
  return { store, audit, warnings, losses, [Symbol.asyncDispose]: () => audit.close() };
}

const bodiesOf = (store: MemoryStore): readonly AuditEntry[] =>
  store.records.map(({ body }) => JSON.parse(body));

const entries = (count: number) =>
  Array.from({ length: count }, (_, index) => forwardEntry(index + 1));

/** Resolves at the nth append from now on. */
function appended(store: MemoryStore, times = 1): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  store.onAppend = () => {
    count += 1;
    if (count === times) resolve();
  };
  return promise;
}

describe("openAudit()", () => {
  test("brings records to the store by itself, in order and chained", async () => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    const done = appended(store);
    audit.record(forwardEntry(1));
    audit.record(denyEntry(2));
    expect(store.records).toEqual([]);
    await done;
    await audit.flush();
    expect(bodiesOf(store)).toEqual([forwardEntry(1), denyEntry(2)]);
    expect(store.records.map(({ seq }) => seq)).toEqual([1, 2]);
    expect(await verifyChains(store, KEY)).toMatchObject({ ok: true, records: 2 });
  });

  test("writes nothing of a record while its request is answered", async () => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    let isAppended = false;
    store.onAppend = () => {
      isAppended = true;
    };
    for (const entry of entries(1_500)) audit.record(entry);
    await Promise.resolve();
    expect(isAppended).toBe(false);
  });

  test("batches at most 500 records, however many come", async () => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    const sizes: number[] = [];
    store.onAppend = (batch) => {
      sizes.push(batch.length);
    };
    for (const entry of entries(2_500)) audit.record(entry);
    await audit.flush();
    expect(sizes).toEqual([500, 500, 500, 500, 500]);
    expect(bodiesOf(store)).toEqual(entries(2_500));
    expect(await verifyChains(store, KEY)).toMatchObject({ ok: true, records: 2_500 });
  });

  test("does not wait for a timer when 500 wait", async () => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    const done = appended(store);
    for (const entry of entries(500)) audit.record(entry);
    let turns = 0;
    let isDone = false;
    void done.then(() => {
      isDone = true;
    });
    // Chaining takes a turn now and then, but no clock: 1,000 turns pass in a few milliseconds.
    while (!isDone && turns < 1_000) {
      await new Promise((resolve) => setImmediate(resolve));
      turns += 1;
    }
    expect(isDone).toBe(true);
  });

  test("holds every record through an outage, tells of it once, and keeps the order", async () => {
    await using fixture = openFixture();
    const { store, audit, warnings, losses } = fixture;
    store.mode = "is gone";
    const third = appended(store, 3);
    for (const entry of entries(3)) audit.record(entry);
    await third;
    audit.record(forwardEntry(4));
    store.mode = "works";
    await audit.flush();
    expect(bodiesOf(store)).toEqual(entries(4));
    expect(await verifyChains(store, KEY)).toMatchObject({ ok: true, records: 4 });
    expect(warnings).toEqual([
      "the audit cannot be written; records wait and the gate slows down: the store does not answer",
      "the audit is written again; no record was lost",
    ]);
    expect(losses).toEqual([]);
  });

  test("writes nothing twice when the store's answer was lost", async () => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    store.mode = "loses answers";
    for (const entry of entries(3)) audit.record(entry);
    await audit.flush();
    store.mode = "works";
    audit.record(forwardEntry(4));
    await audit.flush();
    expect(bodiesOf(store)).toEqual(entries(4));
    expect(await verifyChains(store, KEY)).toMatchObject({ ok: true, records: 4 });
  });

  test("has no room for more than 50,000 that wait, and takes what comes all the same", async () => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    const gate = Promise.withResolvers<void>();
    store.onAppend = () => gate.promise;
    for (const entry of entries(49_999)) audit.record(entry);
    expect(audit.room(STAYS, LONG_MS)).toBeUndefined();
    audit.record(forwardEntry(50_000));
    const room = audit.room(STAYS, LONG_MS);
    expect(room).toBeInstanceOf(Promise);
    audit.record(forwardEntry(50_001));
    // Of those under way, too, each counts until it is in the store.
    await new Promise((resolve) => setImmediate(resolve));
    expect(audit.room(STAYS, LONG_MS)).toBeInstanceOf(Promise);
    gate.resolve();
    expect(await room).toBe(true);
    expect(store.records.length).toBeGreaterThanOrEqual(500);
    expect(audit.room(STAYS, LONG_MS)).toBeUndefined();
    const written = Promise.withResolvers<void>();
    store.onAppend = (batch) => {
      if (batch.at(-1)?.seq === 50_001) written.resolve();
    };
    await written.promise;
  });

  test("lets go of whoever gives up waiting for room", async () => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    const gate = Promise.withResolvers<void>();
    store.onAppend = () => gate.promise;
    for (const entry of entries(50_000)) audit.record(entry);
    const client = new AbortController();
    const gone = audit.room(client, LONG_MS);
    client.abort();
    expect(await gone).toBe(false);
    expect(await audit.room(client, LONG_MS)).toBe(false);
    expect(await audit.room(STAYS, 1)).toBe(false);
    expect(audit.room(STAYS, LONG_MS)).toBeInstanceOf(Promise);
    gate.resolve();
  });

  const long = "x".repeat(8_191);
  test.each([
    ["paths", { path: `/${long}` }],
    ["queries", { query: { q: `?${long}` } }],
    ["queries in parts", { query: { q: Array.from({ length: 8 }, () => "x".repeat(1_024)) } }],
    ["stacks", { stack: `E${long}` }],
    ["texts in claims", { claims: { sub: "alice", memo: [{ text: `:${long}` }] } }],
  ])("has no room for long %s without end", async (_, changes) => {
    await using fixture = openFixture();
    const { store, audit } = fixture;
    const gate = Promise.withResolvers<void>();
    store.onAppend = () => gate.promise;
    for (let count = 0; count < 8_192; count += 1) audit.record(forwardEntry(1, changes));
    expect(audit.room(STAYS, LONG_MS)).toBeInstanceOf(Promise);
    gate.resolve();
    await audit.room(STAYS, LONG_MS);
  });

  test("writes what is left at the end", async () => {
    const { store, audit, losses } = openFixture();
    for (const entry of entries(1_200)) audit.record(entry);
    await audit.close();
    expect(bodiesOf(store)).toEqual(entries(1_200));
    audit.record(forwardEntry(9));
    expect(losses).toEqual(["1 audit record came after the audit was closed"]);
    expect(audit.room(STAYS, LONG_MS)).toBeUndefined();
  });

  test("ends in the end, and tells what is lost then", async () => {
    const { store, audit, losses } = openFixture(undefined, 10);
    store.mode = "is gone";
    for (const entry of entries(1_200)) audit.record(entry);
    await audit.close();
    expect(losses).toEqual([
      "1200 audit records are lost: the store did not take them before the end",
    ]);
  });

  test("keeps in the file what the store did not take before the end", async () => {
    await using folder = await tempFolder();
    const file = join(folder.path, "audit.jsonl");
    const { store, audit, losses } = openFixture(file, 500);
    store.mode = "is gone";
    for (const entry of entries(1_200)) audit.record(entry);
    await audit.close();
    expect(losses).toEqual([
      "1200 audit records are in the audit file alone: the store did not take them before the end",
    ]);
    const lines = (await Bun.file(file).text()).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual(entries(1_200));
  });

  test("writes the same lines to the file", async () => {
    await using folder = await tempFolder();
    const file = join(folder.path, "audit.jsonl");
    const { store, audit } = openFixture(file);
    for (const entry of entries(1_500)) audit.record(entry);
    await audit.close();
    const lines = (await Bun.file(file).text()).trimEnd().split("\n");
    expect(lines).toEqual(store.records.map(({ body }) => body));
  });
});
