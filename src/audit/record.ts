/**
 * Takes entries from the request path and brings them to the store: chained, in order, in
 * batches. A record waits at most 100 ms before its batch is on its way, so that a `kill -9`
 * loses the last 200 ms at most. When the store is behind, the gate waits (`room`); nothing is
 * dropped before `close` has run out of time.
 *
 * @module
 */
import type { AuditConfig } from "../config/resolved.ts";
import { inTime } from "../lib/in-time.ts";
import type { ChainedRecord, Store } from "../store/store.ts";
import { openChain } from "./chain.ts";
import type { AuditEntry } from "./entry.ts";
import { openAuditFile } from "./file.ts";
import { openSweeper } from "./sweep.ts";

export type Audit = {
  /** Costs the caller a push to a list. Whoever answers requests asks `room` first. */
  record(entry: AuditEntry): void;
  /**
   * `undefined` while there is room; else a promise to await before the next request: of whether
   * there is room now.
   *
   * @param client Looked at only to wait: once it is gone, or after `limitMs`, the waiting ends and
   *   nothing of it is kept, for strangers can make requests without end.
   */
  room(client: Pick<Request, "signal">, limitMs: number): Promise<boolean> | undefined;
  /** How many records are not in the store yet. */
  backlog(): number;
  /** Resolves when everything recorded before is in the store; waits as long as that takes. */
  flush(): Promise<void>;
  /**
   * Writes what is left, for up to `closeMs`, 5 s. What then remains is told; it goes to the file,
   * if there is one, and is lost if not.
   */
  close(): Promise<void>;
};

type AuditDeps = {
  readonly store: Pick<Store, "append" | "anchors" | "sweep">;
  readonly key: Uint8Array;
  readonly now: () => number;
  /** Read at each use, so that a reload can change the file and the retention. */
  readonly config: () => Pick<AuditConfig, "file" | "retainMs">;
  /** For the log: told once when the store or the file fails, and once when it works again. */
  readonly warn: (message: string) => void;
  /** Told of each entry, on the way of a request: it must be quick, and never throw. */
  readonly onRecord?: (entry: AuditEntry) => void;
  /** Records were dropped at the end. */
  readonly onLoss: (message: string) => void;
  /** How long `close` may take. */
  readonly closeMs?: number;
};

const BATCH_MS = 100;
/** Copying a batch to the store's Worker holds the event loop: these take about a millisecond. */
const MOST_IN_BATCH = 500;
const MOST_WAITING = 50_000;
/** UTF-16 code units: few entries can be a great deal of text. */
const MOST_WAITING_LENGTH = 64 * 1024 * 1024;
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 5_000;
const CLOSE_MS = 5_000;
/** How long chaining may hold the event loop. */
const SLICE_MS = 1;
const SLICE_CHECK = 16;

export function openAudit(deps: AuditDeps): Audit {
  const { store, warn, onLoss, closeMs = CLOSE_MS } = deps;
  const chain = openChain(deps.key);
  const file = openAuditFile({ path: () => deps.config().file, warn });
  const retainMs = () => deps.config().retainMs;
  const sweeper = openSweeper({ store, now: deps.now, retainMs, warn });

  let waiting: AuditEntry[] = [];
  let waitingLength = 0;
  /** When the oldest of `waiting` came, by the monotonic clock. */
  let oldestMs = 0;
  /** Taken from `waiting` and not yet in the store. */
  let underWay = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let pumping: Promise<void> | undefined;
  let recorded = 0;
  let written = 0;
  /** What somebody waits for: as many as these are written without delay. */
  let urgent = 0;
  let ending: "no" | "closing" | "closed" = "no";
  /** Each ends the waiting of one request. */
  const waiters = new Set<(hasRoom: boolean) => void>();
  /** Ends a pause between two attempts. */
  let hurry: () => void = () => {};

  function record(entry: AuditEntry): void {
    if (ending === "closed") {
      onLoss("1 audit record came after the audit was closed");
      return;
    }
    if (waiting.length === 0) oldestMs = performance.now();
    waiting.push(entry);
    recorded += 1;
    waitingLength += lengthOf(entry);
    deps.onRecord?.(entry);
    if (pumping !== undefined) return;
    if (waiting.length >= MOST_IN_BATCH || ending !== "no") start();
    else timer ??= setTimeout(start, BATCH_MS);
  }

  function start(): void {
    clearTimeout(timer);
    timer = undefined;
    pumping ??= pump().finally(() => {
      pumping = undefined;
      if (waiting.length === 0 || ending === "closed") return;
      timer ??= setTimeout(start, Math.max(0, oldestMs + BATCH_MS - performance.now()));
    });
  }

  function isDue(): boolean {
    if (waiting.length === 0) return false;
    if (written < urgent || ending !== "no" || waiting.length >= MOST_IN_BATCH) return true;
    return performance.now() - oldestMs >= BATCH_MS;
  }

  async function pump(): Promise<void> {
    do {
      // Whoever has just recorded is answering a request.
      await nextTurn();
      const batch = await takeBatch();
      file.write(batch.map(({ body }) => `${body}\n`).join(""));
      await bring(batch);
      underWay = 0;
      written += batch.length;
      if (hasRoom()) endWaiting(true);
    } while (isDue() && ending !== "closed");
  }

  async function takeBatch(): Promise<readonly ChainedRecord[]> {
    const taken = waiting.splice(0, MOST_IN_BATCH);
    underWay = taken.length;
    for (const entry of taken) waitingLength -= lengthOf(entry);
    const batch: ChainedRecord[] = [];
    let sliceMs = performance.now();
    for (const entry of taken) {
      batch.push(chain.link(entry));
      if (batch.length % SLICE_CHECK !== 0 || performance.now() - sliceMs < SLICE_MS) continue;
      await nextTurn();
      sliceMs = performance.now();
    }
    return batch;
  }

  /** Tries until the batch is in the store, or the audit is closed. */
  async function bring(batch: readonly ChainedRecord[]): Promise<void> {
    let pauseMs = RETRY_FIRST_MS;
    let isTold = false;
    while (ending !== "closed") {
      try {
        await store.append(batch);
        break;
      } catch (fault) {
        if (await hasArrived(batch)) break;
        if (!isTold) {
          const why = fault instanceof Error ? fault.message : String(fault);
          warn(`the audit cannot be written; records wait and the gate slows down: ${why}`);
        }
        isTold = true;
        await pause(ending === "no" ? pauseMs : RETRY_FIRST_MS);
        pauseMs = Math.min(pauseMs * 2, RETRY_LAST_MS);
      }
    }
    if (isTold && ending !== "closed") warn("the audit is written again; no record was lost");
  }

  /** Whether a batch landed although the store's answer was lost: it moves the anchor, too. */
  async function hasArrived(batch: readonly ChainedRecord[]): Promise<boolean> {
    const last = batch.at(-1)?.seq ?? 0;
    try {
      const anchors = await store.anchors();
      return anchors.some(({ writer, lastSeq }) => writer === chain.writer && lastSeq >= last);
    } catch {
      // As unknown as before: it is tried again.
      return false;
    }
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const pauseTimer = setTimeout(resolve, ms);
      hurry = () => {
        clearTimeout(pauseTimer);
        resolve();
      };
    });
  }

  function hasRoom(): boolean {
    return waiting.length + underWay < MOST_WAITING && waitingLength < MOST_WAITING_LENGTH;
  }

  function endWaiting(hasRoom: boolean): void {
    for (const end of waiters) end(hasRoom);
  }

  function waitForRoom(signal: AbortSignal, limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const giveUp = () => end(false);
      const end = (hasRoom: boolean) => {
        waiters.delete(end);
        clearTimeout(waitTimer);
        signal.removeEventListener("abort", giveUp);
        resolve(hasRoom);
      };
      const waitTimer = setTimeout(giveUp, limitMs);
      waiters.add(end);
      signal.addEventListener("abort", giveUp);
      if (signal.aborted) giveUp();
    });
  }

  async function flush(): Promise<void> {
    const wanted = recorded;
    urgent = Math.max(urgent, wanted);
    while (written < wanted && ending !== "closed") {
      start();
      await pumping;
    }
    await file.flush();
  }

  async function close(): Promise<void> {
    if (ending !== "no") return;
    ending = "closing";
    sweeper.close();
    hurry();
    const done = flush().then(() => true);
    const isDone = await inTime(done, closeMs, () => false);
    ending = "closed";
    clearTimeout(timer);
    hurry();
    endWaiting(false);
    if (!isDone) {
      const lost = waiting.length + underWay;
      // Those under way are in the file already.
      file.write(waiting.map((entry) => `${chain.link(entry).body}\n`).join(""));
      waiting = [];
      const kept = deps.config().file === undefined ? "lost" : "in the audit file alone";
      onLoss(`${lost} audit records are ${kept}: the store did not take them before the end`);
    }
    await inTime(file.close(), closeMs, () => undefined);
  }

  return {
    record,
    room(client, limitMs) {
      return hasRoom() || ending === "closed" ? undefined : waitForRoom(client.signal, limitMs);
    },
    backlog: () => waiting.length + underWay,
    flush,
    close,
  };
}

/** Of what strangers, tokens and policies make as long as they like. */
function lengthOf(entry: AuditEntry): number {
  if (entry.kind === "act") return 0;
  const { path, query, claims, detail, stack, policies } = entry;
  let length = path.length + lengthWithin(query) + lengthWithin(claims);
  length += (detail?.length ?? 0) + (stack?.length ?? 0);
  for (const policy of policies) length += policy.detail?.length ?? 0;
  return length;
}

/** @param value As JSON has it; a token's are nested no deeper than its reader allows. */
function lengthWithin(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null) return 0;
  let length = 0;
  // Twice for each request: Object.entries would take five times as long.
  if (Array.isArray(value)) {
    for (const member of value) length += lengthWithin(member);
  } else {
    const members = value as Readonly<Record<string, unknown>>;
    for (const name of Object.keys(members)) length += name.length + lengthWithin(members[name]);
  }
  return length;
}

/** Lets the event loop take what has arrived. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
