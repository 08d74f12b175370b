/**
 * What every store must do, whatever lies beneath it.
 *
 * @module
 */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { ChainedRecord, RecordIndex, Revocation, Store } from "../../src/store/store.ts";
import { testSightings } from "./contract-sightings.ts";
import { testValues } from "./contract-values.ts";

/** One empty place that may be opened several times, as several gates would. */
export type StorePlace = AsyncDisposable & {
  open(now: () => number): Promise<Store>;
};

const DAY_MS = 24 * 60 * 60_000;
const WAIT_LIMIT_MS = 4_000;

export function record(
  writer: string,
  seq: number,
  { atMs = 1_000 + seq, ...index }: Partial<RecordIndex> & { atMs?: number } = {},
): ChainedRecord {
  const body = JSON.stringify({ writer, seq, text: 'Zoë "☃" 😀\n' });
  const mac = `mac-${writer}-${seq}`;
  return { writer, seq, atMs, body, mac, index: { kind: "decision", denied: false, ...index } };
}

const records = (writer: string, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => record(writer, from + at));

export function revocation(parts: Partial<Revocation> = {}): Revocation {
  const usual = { kind: "jti", issuer: "okta", value: "7", reason: "stolen", author: "cli" };
  return { ...(usual as Revocation), atMs: 1_000, untilMs: 9_000, ...parts };
}

/** Waits for what happens in its own time, within bounds. */
export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + WAIT_LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`Not within ${WAIT_LIMIT_MS} ms: ${holds}`);
    await Bun.sleep(5);
  }
}

/** @returns The fault's code. */
export async function faultOf(work: Promise<unknown>): Promise<string> {
  const fault = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(fault instanceof Error) || !("code" in fault)) throw new Error(`No fault: ${fault}`);
  return String(fault.code);
}

export function testStore(make: () => Promise<StorePlace>): void {
  let place: StorePlace;
  let store: Store;
  let nowMs: number;
  let opened: Store[];

  async function open(): Promise<Store> {
    const one = await place.open(() => nowMs);
    opened.push(one);
    return one;
  }

  beforeEach(async () => {
    nowMs = 2_000;
    opened = [];
    place = await make();
    store = await open();
  });

  afterEach(async () => {
    await Promise.all(opened.map((one) => one.close()));
    await place[Symbol.asyncDispose]();
  });

  const seqsOf = (found: readonly ChainedRecord[]) => found.map(({ seq }) => seq);

  describe("records", () => {
    test("come back as they were, the newest first", async () => {
      const act = record("a", 2, { kind: "act" });
      const full = record("a", 1, {
        requestId: "0190-1",
        subject: "okta|alice",
        route: "orders",
        code: "policy_denied",
        denied: true,
      });
      await store.append([full, act]);
      expect(await store.find({ limit: 10 })).toEqual([act, full]);
      expect(await store.chain("a", 0, 10)).toEqual([full, act]);
    });

    test("of one millisecond keep their order", async () => {
      await store.append([9, 10, 11].map((seq) => record("a", seq, { atMs: 5 })));
      expect(seqsOf(await store.find({ limit: 10 }))).toEqual([11, 10, 9]);
    });

    describe("are found by", () => {
      const long = "s".repeat(500);
      beforeEach(() =>
        store.append([
          record("a", 1, { requestId: "r1", subject: "alice", route: "orders" }),
          record("a", 2, { subject: "bob", route: "orders", code: "policy_denied", denied: true }),
          record("a", 3, { kind: "act" }),
          record("a", 4, { subject: "alice", route: "bills", code: "rate_limited", denied: true }),
          record("a", 5, { subject: long, route: "bills" }),
        ]),
      );

      test.each([
        ["nothing in particular", {}, [5, 4, 3, 2, 1]],
        ["request", { requestId: "r1" }, [1]],
        ["subject", { subject: "alice" }, [4, 1]],
        ["a long subject", { subject: long }, [5]],
        ["route", { route: "orders" }, [2, 1]],
        ["code", { code: "policy_denied" }, [2]],
        ["denial", { denied: true }, [4, 2]],
        ["act", { kind: "act" }, [3]],
        ["decision", { kind: "decision" }, [5, 4, 2, 1]],
        ["beginning, which counts", { sinceMs: 1_003 }, [5, 4, 3]],
        ["end, which does not", { untilMs: 1_003 }, [2, 1]],
        ["several at once", { subject: "alice", denied: true, route: "bills" }, [4]],
        ["several that do not meet", { subject: "bob", route: "bills" }, []],
        ["what nobody has", { subject: "' OR 1=1 --" }, []],
      ] as const)("%s", async (_, query, seqs) => {
        expect(seqsOf(await store.find({ ...query, limit: 10 }))).toEqual([...seqs]);
      });

      test("the limit, which leaves the oldest out", async () => {
        expect(seqsOf(await store.find({ limit: 2 }))).toEqual([5, 4]);
      });
    });

    test("are all found, however many there are of one millisecond", async () => {
      const many = Array.from({ length: 1_300 }, (_, at) => {
        return record("a", at + 1, { atMs: Math.min(at, 100), subject: "alice" });
      });
      await store.append(many);
      const found = seqsOf(await store.find({ subject: "alice", limit: 2_000 }));
      expect(found).toEqual(many.map(({ seq }) => seq).reverse());
    });

    test("of one writer come in order, after a place, up to a limit", async () => {
      await store.append(records("a", 1, 12));
      await store.append(records("b", 1, 3));
      expect(seqsOf(await store.chain("a", 8, 3))).toEqual([9, 10, 11]);
      expect(seqsOf(await store.chain("a", 12, 3))).toEqual([]);
      expect(await store.chain("nobody", 0, 3)).toEqual([]);
    });

    test("move the anchor of their writer", async () => {
      await store.append([...records("a", 1, 3), record("b", 1)]);
      await store.append(records("a", 4, 5));
      const anchors = [...(await store.anchors())].sort((a, b) => (a.writer < b.writer ? -1 : 1));
      expect(anchors).toEqual([
        { writer: "a", sweptSeq: 0, sweptMac: "", lastSeq: 5, lastMac: "mac-a-5" },
        { writer: "b", sweptSeq: 0, sweptMac: "", lastSeq: 1, lastMac: "mac-b-1" },
      ]);
    });

    test("sent again are there once", async () => {
      await store.append(records("a", 1, 3));
      await store.append(records("a", 1, 3));
      await store.append(records("a", 2, 4));
      await store.append(records("a", 1, 3));
      expect(seqsOf(await store.find({ limit: 10 }))).toEqual([4, 3, 2, 1]);
      expect(await store.anchors()).toMatchObject([{ lastSeq: 4 }]);
    });

    test("are written all or none: not beside another at their place", async () => {
      await store.append(records("a", 1, 3));
      const other = { ...record("a", 3), mac: "forged" };
      expect(await faultOf(store.append([record("b", 1), other, record("a", 4)]))).toBe(
        "store_damaged",
      );
      expect(seqsOf(await store.find({ limit: 10 }))).toEqual([3, 2, 1]);
      expect(await store.anchors()).toMatchObject([{ writer: "a", lastMac: "mac-a-3" }]);
    });

    test("in no number are no fault", async () => {
      await store.append([]);
      expect(await store.anchors()).toEqual([]);
    });
  });

  describe("sweep()", () => {
    test("removes the beginnings of chains and remembers where they end", async () => {
      await store.append(records("a", 1, 10));
      await store.append([record("b", 1, { atMs: 500, subject: "alice" })]);
      expect(await store.sweep(1_006)).toBe(6);
      expect(seqsOf(await store.find({ limit: 20 }))).toEqual([10, 9, 8, 7, 6]);
      expect(await store.find({ subject: "alice", limit: 20 })).toEqual([]);
      const anchors = [...(await store.anchors())].sort((a, b) => (a.writer < b.writer ? -1 : 1));
      expect(anchors).toEqual([
        { writer: "a", sweptSeq: 5, sweptMac: "mac-a-5", lastSeq: 10, lastMac: "mac-a-10" },
        { writer: "b", sweptSeq: 1, sweptMac: "mac-b-1", lastSeq: 1, lastMac: "mac-b-1" },
      ]);
      expect(await store.sweep(1_006)).toBe(0);
    });

    test("leaves no gap where a clock was set back", async () => {
      await store.append([
        record("a", 1, { atMs: 1 }),
        record("a", 2, { atMs: 9 }),
        record("a", 3, { atMs: 2 }),
      ]);
      expect(await store.sweep(5)).toBe(1);
      expect(seqsOf(await store.chain("a", 0, 10))).toEqual([2, 3]);
    });

    test("of a whole chain lets it go on", async () => {
      await store.append(records("a", 1, 2));
      expect(await store.sweep(5_000)).toBe(2);
      await store.append([record("a", 3, { atMs: 6_000 })]);
      expect(seqsOf(await store.chain("a", 0, 10))).toEqual([3]);
      expect(await store.anchors()).toEqual([
        { writer: "a", sweptSeq: 2, sweptMac: "mac-a-2", lastSeq: 3, lastMac: "mac-a-3" },
      ]);
    });

    test("removes more than one part's worth", async () => {
      await store.append(records("a", 1, 6_000));
      expect(await store.sweep(1_000_000)).toBe(6_000);
      expect(await store.chain("a", 0, 10)).toEqual([]);
    });
  });

  describe("revocations", () => {
    test("come back as they were while they are in force", async () => {
      const one = revocation();
      const { issuer: _, ...token } = revocation({ kind: "token", value: "hash", atMs: 1_001 });
      await store.revoke(one);
      await store.revoke(token);
      expect(await store.revocations(8_999)).toEqual([one, token]);
      expect(await store.revocations(9_000)).toEqual([]);
    });

    test("of the same value are told apart by kind and issuer", async () => {
      await store.revoke(revocation());
      await store.revoke(revocation({ kind: "subject" }));
      await store.revoke(revocation({ issuer: "entra" }));
      expect(await store.revocations(2_000)).toHaveLength(3);
      expect(await store.unrevoke("jti", "entra", "7")).toBe(true);
      expect(await store.revocations(2_000)).toEqual([
        revocation(),
        revocation({ kind: "subject" }),
      ]);
    });

    test.each([
      ["a token: the first time stays, the later end counts", "jti", 1_500, 9_500, 1_000, 9_500],
      ["a token: an earlier time counts, the end is not moved up", "token", 500, 8_000, 500, 9_000],
      ["a subject: the later time refuses more", "subject", 1_500, 8_000, 1_500, 9_000],
      ["a subject: an earlier time takes nothing back", "subject", 500, 9_500, 1_000, 9_500],
      ["a session: the first time stays", "session", 1_500, 9_500, 1_000, 9_500],
      ["a logout: the later time refuses more", "logout", 1_500, 8_000, 1_500, 9_000],
      ["an issuer: the later time refuses more", "issuer", 1_500, 9_000, 1_500, 9_000],
    ] as const)("renew %s", async (_, kind, atMs, untilMs, atAfter, untilAfter) => {
      await store.revoke(revocation({ kind }));
      await store.revoke(revocation({ kind, atMs, untilMs, reason: "again", author: "admin" }));
      const wins = atAfter === atMs;
      const [reason, author] = wins ? ["again", "admin"] : ["stolen", "cli"];
      expect(await store.revocations(2_000)).toEqual([
        revocation({ kind, atMs: atAfter, untilMs: untilAfter, reason, author }),
      ]);
    });

    test("of a name with half a character are no fault, and renewed like any other", async () => {
      const odd = revocation({ kind: "subject", value: "x\ud800y" });
      await store.revoke(odd);
      await store.revoke({ ...odd, atMs: 1_500 });
      expect(await store.revocations(2_000)).toMatchObject([{ kind: "subject", atMs: 1_500 }]);
    });

    test("are all listed, however many there are", async () => {
      const values = Array.from({ length: 1_100 }, (_, at) => `token-${at}`);
      await Promise.all(values.map((value) => store.revoke(revocation({ value }))));
      const listed = (await store.revocations(2_000)).map(({ value }) => value);
      expect(listed.sort()).toEqual(values.sort());
    }, 30_000);

    test("are taken back, once", async () => {
      await store.revoke(revocation());
      expect(await store.unrevoke("jti", "okta", "7")).toBe(true);
      expect(await store.unrevoke("jti", "okta", "7")).toBe(false);
      expect(await store.revocations(2_000)).toEqual([]);
    });

    test("are forgotten a day after their end, for a clock may be set back", async () => {
      await store.revoke(revocation());
      nowMs = 9_000 + DAY_MS - 1;
      await store.sweep(0);
      expect(await store.revocations(8_000)).toHaveLength(1);
      nowMs = 9_000 + DAY_MS;
      await store.sweep(0);
      expect(await store.revocations(8_000)).toEqual([]);
    });

    test("survive a restart, with the records", async () => {
      await store.revoke(revocation());
      await store.append(records("a", 1, 2));
      const before = await store.revision();
      await store.close();
      const again = await open();
      expect(await again.revocations(2_000)).toEqual([revocation()]);
      expect(seqsOf(await again.find({ limit: 5 }))).toEqual([2, 1]);
      expect(await again.revision()).toBe(before);
    });
  });

  describe("revision()", () => {
    const countOf = (revision: string) => Number(/^.+[.:](\d+)$/.exec(revision)?.[1]);

    test("grows with each change of a revocation, and with nothing else", async () => {
      const seen = [await store.revision()];
      const note = async () => void seen.push(await store.revision());
      await store.revoke(revocation());
      await note();
      await store.revoke(revocation());
      await store.append(records("a", 1, 2));
      await store.sweep(1_002);
      await store.unrevoke("jti", "okta", "nobody");
      await note();
      await store.revoke(revocation({ untilMs: 9_500 }));
      await note();
      await store.unrevoke("jti", "okta", "7");
      await note();
      const counts = seen.map(countOf);
      const [first = Number.NaN] = counts;
      expect(counts).toEqual([first, first + 1, first + 1, first + 2, first + 3]);
    });

    test("is the same for all who have the place open", async () => {
      const other = await open();
      await other.revoke(revocation());
      expect(await store.revision()).toBe(await other.revision());
      expect(await store.revocations(2_000)).toEqual([revocation()]);
    });
  });

  testSightings({ store: () => store, open });
  testValues({
    store: () => store,
    open,
    at(ms) {
      nowMs = ms;
    },
  });

  test("onRevocation() tells every listener of what anybody has changed", async () => {
    const other = await open();
    const calls = [0, 0, 0];
    const count = (at: number) => () => {
      calls[at] = (calls[at] ?? 0) + 1;
    };
    store.onRevocation(count(0));
    store.onRevocation(count(1));
    other.onRevocation(count(2));
    // A subscription takes a moment: what is changed before it is not announced.
    let changes = 0;
    await eventually(async () => {
      await other.revoke(revocation({ value: String(changes++) }));
      return calls.every((one) => one > 0);
    });
    const before = [...calls];
    await store.revoke(revocation({ value: "mine" }));
    await eventually(() => calls.every((one, at) => one > (before[at] ?? 0)));
  });

  test("several may open an empty place at once, and write to it at once", async () => {
    await place[Symbol.asyncDispose]();
    place = await make();
    const stores = await Promise.all([open(), open(), open()]);
    await Promise.all(
      stores.flatMap((one, at) => [one.append(records(`w${at}`, 1, 50)), one.revoke(revocation())]),
    );
    expect(await stores[0]?.find({ limit: 1_000 })).toHaveLength(150);
    expect(new Set(await Promise.all(stores.map((one) => one.revision()))).size).toBe(1);
  });

  test("close() ends what was asked before and refuses what is asked after", async () => {
    const asked = store.append(records("a", 1, 100));
    const find = store.find({ limit: 200 });
    await Promise.all([asked, find]);
    await store.close();
    await store.close();
    expect(await faultOf(store.revision())).toBe("store_unavailable");
    expect(await faultOf(store.append(records("a", 101, 101)))).toBe("store_unavailable");
  });
}
