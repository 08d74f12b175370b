/**
 * Walks every writer's chain and says where it does not hold: a record that was changed, moved
 * or put in, records that are missing, an end that was cut off.
 *
 * What it cannot find: records removed together with the anchors that speak of them, by
 * someone who may write to the whole store.
 *
 * @module
 */
import type { Anchor, ChainedRecord, Store } from "../store/store.ts";
import { createMac, isWriterOf, type Mac } from "./chain.ts";
import { isoTime, recordIndex } from "./entry.ts";
import { newestFirst, readEntry } from "./scan.ts";

export type ChainProblem = {
  readonly writer: string;
  /** `changed`: not what was written there. `removed`: missing between others, or at the
   * beginning. `cut`: missing at the end. `mislabelled`: found under what it does not say.
   * `unanchored`: records that no anchor leads to: nothing vouches for them. `unknown_key`: signed with a key
   * that is not here. */
  readonly kind: "changed" | "removed" | "cut" | "mislabelled" | "unanchored" | "unknown_key";
  /** The first and last sequence number that it is about; equal for one record. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** ISO 8601: of the record itself, or of the one before what is missing. */
  readonly at?: string;
};

export type Verification = {
  readonly ok: boolean;
  readonly records: number;
  readonly writers: number;
  /** The first 1,000. */
  readonly problems: readonly ChainProblem[];
};

type ReadableStore = Pick<Store, "anchors" | "chain" | "find">;

const PAGE = 1_000;
const MOST_PROBLEMS = 1_000;

/** @param key `undefined` when there is none: then no record can be vouched for. */
export async function verifyChains(
  store: ReadableStore,
  key: Uint8Array | undefined,
): Promise<Verification> {
  const problems: ChainProblem[] = [];
  const anchors = await store.anchors();
  let records = 0;
  for (const anchor of anchors) {
    const walked =
      key === undefined || !isWriterOf(anchor.writer, key)
        ? unknownKey(anchor)
        : await walk(store, anchor, createMac(key));
    records += walked.records;
    const found = [...(await leftBehind(store, anchor)), ...walked.problems];
    problems.push(...found.slice(0, MOST_PROBLEMS - problems.length));
  }
  problems.push(...(await unanchored(store)).slice(0, MOST_PROBLEMS - problems.length));
  return { ok: problems.length === 0, records, writers: anchors.length, problems };
}

type Walk = { readonly records: number; readonly problems: readonly ChainProblem[] };

function unknownKey({ writer, sweptSeq, lastSeq }: Anchor): Walk {
  // Nothing of it is kept: nothing that would have to be vouched for.
  if (sweptSeq >= lastSeq) return { records: 0, problems: [] };
  const range = { firstSeq: sweptSeq + 1, lastSeq };
  return { records: 0, problems: [{ writer, kind: "unknown_key", ...range }] };
}

async function walk(store: ReadableStore, anchor: Anchor, mac: Mac): Promise<Walk> {
  const { writer } = anchor;
  const problems: ChainProblem[] = [];
  let records = 0;
  let seq = anchor.sweptSeq;
  // A writer's chain hangs on its name until its beginning has been swept.
  let former = seq === 0 ? writer : anchor.sweptMac;
  let at: string | undefined;
  for (;;) {
    const page = await store.chain(writer, seq, PAGE);
    for (const record of page) {
      const isNext = record.seq === seq + 1;
      if (!isNext) {
        const swept = records === 0 ? await sweptMeanwhile(store, anchor) : undefined;
        if (swept !== undefined) return walk(store, swept, mac);
        problems.push(missing(writer, "removed", seq + 1, record.seq - 1, at));
      }
      // What follows a gap is bound to a MAC that is not there: only its successor vouches for it.
      const isForged = isNext && mac(former, record.body) !== record.mac;
      const isOtherEnd = record.seq === anchor.lastSeq && record.mac !== anchor.lastMac;
      if (isForged || isOtherEnd) problems.push({ writer, kind: "changed", ...one(record) });
      else if (!isLabelledRight(record)) {
        problems.push({ writer, kind: "mislabelled", ...one(record) });
      }
      seq = record.seq;
      former = record.mac;
      at = timeOf(record);
      records += 1;
    }
    if (page.length < PAGE) break;
  }
  if (seq < anchor.lastSeq) {
    const swept = records === 0 ? await sweptMeanwhile(store, anchor) : undefined;
    if (swept !== undefined) return walk(store, swept, mac);
    problems.push(missing(writer, "cut", seq + 1, anchor.lastSeq, at));
  }
  return { records, problems };
}

/** A running gate may have swept the beginning since the anchors were read. */
async function sweptMeanwhile(
  store: ReadableStore,
  { writer, sweptSeq }: Anchor,
): Promise<Anchor | undefined> {
  const anchors = await store.anchors();
  return anchors.find((anchor) => anchor.writer === writer && anchor.sweptSeq > sweptSeq);
}

/**
 * A sweep moves the anchor and removes what it passes, all at once: what lies before it was put
 * there, or the anchor was moved to hide that it was changed.
 */
async function leftBehind(
  store: ReadableStore,
  { writer, sweptSeq }: Anchor,
): Promise<readonly ChainProblem[]> {
  if (sweptSeq === 0) return [];
  const found = (await store.chain(writer, 0, PAGE)).filter(({ seq }) => seq <= sweptSeq);
  const [first, last] = [found[0], found.at(-1)];
  if (first === undefined || last === undefined) return [];
  return [{ writer, kind: "unanchored", firstSeq: first.seq, lastSeq: last.seq }];
}

type Range = { firstSeq: number; lastSeq: number };

/** Looks at all records: those of a writer without an anchor are reached in no other way. */
async function unanchored(store: ReadableStore): Promise<readonly ChainProblem[]> {
  const before = new Set((await store.anchors()).map(({ writer }) => writer));
  const ranges = new Map<string, Range>();
  for await (const { writer, seq } of newestFirst(store, {})) {
    const range = before.has(writer) ? undefined : ranges.get(writer);
    if (range !== undefined) {
      range.firstSeq = Math.min(range.firstSeq, seq);
      range.lastSeq = Math.max(range.lastSeq, seq);
    } else if (!before.has(writer) && ranges.size < MOST_PROBLEMS) {
      ranges.set(writer, { firstSeq: seq, lastSeq: seq });
    }
  }
  // A gate that has started meanwhile is no forger.
  const after = new Set((await store.anchors()).map(({ writer }) => writer));
  return [...ranges]
    .filter(([writer]) => !after.has(writer))
    .map(([writer, range]) => ({ writer, kind: "unanchored", ...range }));
}

function missing(
  writer: string,
  kind: "removed" | "cut",
  firstSeq: number,
  lastSeq: number,
  at: string | undefined,
): ChainProblem {
  return { writer, kind, firstSeq, lastSeq, ...(at !== undefined && { at }) };
}

function one(record: ChainedRecord) {
  return { firstSeq: record.seq, lastSeq: record.seq, at: timeOf(record) };
}

function timeOf({ atMs }: ChainedRecord): string {
  return isoTime(atMs);
}

/** Whether search and retention see the record as its body, which the MAC covers, describes it. */
function isLabelledRight(record: ChainedRecord): boolean {
  const entry = readEntry(record);
  if (entry === undefined || Date.parse(entry.at) !== record.atMs) return false;
  const expected = recordIndex(entry);
  const { index } = record;
  return (
    index.kind === expected.kind &&
    index.denied === expected.denied &&
    index.requestId === expected.requestId &&
    index.subject === expected.subject &&
    index.route === expected.route &&
    index.code === expected.code
  );
}
