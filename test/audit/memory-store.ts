/**
 * A store in memory that keeps the contract, for tests of what stands above it.
 *
 * @module
 */
import { GateError } from "../../src/errors.ts";
import type { Anchor, ChainedRecord, RecordQuery, Store } from "../../src/store/store.ts";

type AuditStore = Pick<Store, "append" | "anchors" | "chain" | "find" | "sweep">;

export type MemoryStore = AuditStore & {
  /** What lies there, to be looked at and tampered with. */
  readonly records: ChainedRecord[];
  readonly kept: Map<string, Anchor>;
  /** As a store that cannot be reached, or one whose answer to an append is lost. */
  mode: "works" | "is gone" | "loses answers";
  /** Called at each append, before it does anything. */
  onAppend: (records: readonly ChainedRecord[]) => void | Promise<void>;
};

export function memoryStore(): MemoryStore {
  const records: ChainedRecord[] = [];
  const kept = new Map<string, Anchor>();
  const gone = () => new GateError("store_unavailable", "the store does not answer");

  function add(batch: readonly ChainedRecord[]): void {
    for (const { writer, seq } of batch) {
      if (seq <= (kept.get(writer)?.lastSeq ?? 0))
        throw new GateError("store_damaged", "there is such a record already");
    }
    for (const record of batch) {
      const { writer, seq, mac } = record;
      records.push(record);
      const { sweptSeq = 0, sweptMac = "" } = kept.get(writer) ?? {};
      kept.set(writer, { writer, sweptSeq, sweptMac, lastSeq: seq, lastMac: mac });
    }
  }

  function fits(record: ChainedRecord, query: RecordQuery): boolean {
    const { index, atMs } = record;
    return (
      atMs >= (query.sinceMs ?? 0) &&
      atMs <= (query.untilMs ?? Number.POSITIVE_INFINITY) &&
      (query.denied === undefined || index.denied) &&
      (["kind", "requestId", "subject", "route", "code"] as const).every(
        (name) => query[name] === undefined || query[name] === index[name],
      )
    );
  }

  const store: MemoryStore = {
    records,
    kept,
    mode: "works",
    onAppend: () => {},
    async append(batch) {
      await store.onAppend(batch);
      if (store.mode === "is gone") throw gone();
      add(batch);
      if (store.mode === "loses answers") throw gone();
    },
    async find(query) {
      return records
        .filter((record) => fits(record, query))
        .sort((a, b) => b.atMs - a.atMs || b.seq - a.seq)
        .slice(0, query.limit);
    },
    async anchors() {
      if (store.mode === "is gone") throw gone();
      return [...kept.values()];
    },
    async chain(writer, afterSeq, limit) {
      return records
        .filter((record) => record.writer === writer && record.seq > afterSeq)
        .sort((a, b) => a.seq - b.seq)
        .slice(0, limit);
    },
    async sweep(beforeMs) {
      let count = 0;
      for (const [writer, anchor] of kept) {
        const chain = await store.chain(writer, anchor.sweptSeq, records.length);
        const end = chain.findIndex(({ atMs }) => atMs >= beforeMs);
        const swept = chain.slice(0, end < 0 ? chain.length : end);
        const last = swept.at(-1);
        if (last === undefined) continue;
        kept.set(writer, { ...anchor, sweptSeq: last.seq, sweptMac: last.mac });
        for (const record of swept) records.splice(records.indexOf(record), 1);
        count += swept.length;
      }
      return count;
    },
  };
  return store;
}
