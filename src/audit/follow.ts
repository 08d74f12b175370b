/**
 * Hands out records as they come, from every writer: by their places in the chains and not by
 * the clock, so that none is missed or told twice.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import type { Anchor, ChainedRecord, Store } from "../store/store.ts";

const POLL_MS = 500;
const PAGE = 1_000;

/**
 * @param from Where the chains ended when the reader began; what came before is not told.
 * @param signal Ends the following.
 * @param onLost Told once for each time that the store cannot be reached; it is tried again.
 * @throws GateError `store_damaged`.
 */
export async function* followChains(
  store: Pick<Store, "anchors" | "chain">,
  from: readonly Anchor[],
  signal: AbortSignal,
  onLost: (fault: GateError) => void,
): AsyncGenerator<readonly ChainedRecord[]> {
  const told = new Map(from.map(({ writer, lastSeq }) => [writer, lastSeq]));
  let isLost = false;
  while (!signal.aborted) {
    try {
      yield* news(store, told, signal);
      isLost = false;
    } catch (fault) {
      if (!(fault instanceof GateError) || fault.code !== "store_unavailable") throw fault;
      if (!isLost) onLost(fault);
      isLost = true;
    }
    await pause(signal);
  }
}

/** @param told The last sequence number told, by writer; moved on. */
async function* news(
  store: Pick<Store, "anchors" | "chain">,
  told: Map<string, number>,
  signal: AbortSignal,
): AsyncGenerator<readonly ChainedRecord[]> {
  for (const { writer, lastSeq, sweptSeq } of await store.anchors()) {
    let seq = told.get(writer) ?? sweptSeq;
    while (seq < lastSeq && !signal.aborted) {
      const page = await store.chain(writer, seq, PAGE);
      const last = page.at(-1);
      if (last === undefined) break;
      seq = last.seq;
      told.set(writer, seq);
      yield page;
    }
  }
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, POLL_MS);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
