/**
 * The store for one machine, as the main thread sees it: every call is a message to the Worker.
 *
 * **Durability.** What `append`, `revoke` and `unrevoke` resolved for survives a `kill -9` and a
 * power cut, as far as the disk keeps its word on fsync. What had not resolved is there whole or
 * not at all.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import type { Answer, Ask } from "./sqlite-messages.ts";
import type { Operations } from "./sqlite-operations.ts";
import type { WriteCondition } from "./sqlite-values.ts";
import type { Store } from "./store.ts";
import { assertFits } from "./value-bounds.ts";

/** How long what was asked before may take at the end. */
const CLOSE_MS = 5_000;

type Waiting = { resolve(value: never): void; reject(reason: GateError): void };

/**
 * Several processes, and several stores in one, may have the same file open.
 *
 * @param file Absolute; it appears by itself, for its owner alone (0600, `-wal` and `-shm` too).
 * @throws GateError `store_unavailable` (locked, no place, not writable, another user's) or
 *   `store_damaged` (corrupted, newer than we know, not ours): the file is left as it was.
 */
export async function openSqliteStore(file: string, deps: { now: () => number }): Promise<Store> {
  const { now } = deps;
  const listeners: (() => void)[] = [];
  const worker = startWorker(file, () => {
    for (const listener of listeners) listener();
  });
  const { call } = worker;
  try {
    await worker.ask("open", [file]);
  } catch (fault) {
    worker.end();
    throw fault;
  }
  let closing: Promise<void> | undefined;

  async function write(key: string, value: string, untilMs: number, when: WriteCondition) {
    assertFits(key, value);
    return call("writeValue", { key, value, untilMs: Math.trunc(untilMs), when }, now());
  }

  return {
    kind: "sqlite",
    append: async (records) => {
      if (records.length > 0) await call("append", records);
    },
    find: (query) => call("find", query),
    anchors: () => call("anchors"),
    chain: (writer, afterSeq, limit) => call("chain", writer, afterSeq, limit),
    async sweep(beforeMs) {
      await call("forget", now());
      let swept = 0;
      // A part at a time: what others ask for in between need not wait for the whole.
      for (;;) {
        const part = await call("sweepSome", beforeMs);
        if (part === 0) return swept;
        swept += part;
      }
    },
    revoke: (revocation) => call("revoke", revocation, now()),
    unrevoke: (kind, issuer, value) => call("unrevoke", kind, issuer, value),
    revocations: (nowMs) => call("revocations", nowMs),
    revision: () => call("revision"),
    onRevocation: (listener) => void listeners.push(listener),
    noteSightings: async (batch) => {
      if (batch.length > 0) await call("noteSightings", batch);
    },
    sightings: (query) => call("findSightings", query),
    async sweepSightings(beforeMs) {
      let swept = 0;
      for (;;) {
        const part = await call("sweepSomeSightings", beforeMs);
        if (part === 0) return swept;
        swept += part;
      }
    },
    get: (key) => call("getValue", key, now()),
    async put(key, value, untilMs) {
      await write(key, value, untilMs, "any");
    },
    putNew: (key, value, untilMs) => write(key, value, untilMs, "new"),
    replace: (key, expected, value, untilMs) => write(key, value, untilMs, { expected }),
    take: (key) => call("takeValue", key, now()),
    async remove(key) {
      await call("takeValue", key, now());
    },
    close() {
      // Whatever becomes of it: a disk that hangs must not keep the gate from ending.
      closing ??= inTime(worker.ask("close", []), CLOSE_MS, () => undefined)
        .then(
          () => undefined,
          () => undefined,
        )
        .finally(worker.end);
      return closing;
    },
  };
}

type StoreWorker = {
  ask(name: Ask["name"], args: readonly unknown[]): Promise<unknown>;
  call<Name extends keyof Operations>(
    name: Name,
    ...args: Parameters<Operations[Name]>
  ): Promise<ReturnType<Operations[Name]>>;
  /** Whoever waits is refused; nothing of it keeps the process alive. */
  end(): void;
};

/** @param onChanged Called soon after each change of revocations. */
function startWorker(file: string, onChanged: () => void): StoreWorker {
  const worker = new Worker(new URL("./sqlite-worker.ts", import.meta.url), { ref: false });
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let ended: GateError | undefined;

  function end(why: string): void {
    ended ??= new GateError("store_unavailable", `Cannot use the store ${file}: ${why}`);
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
    worker.unref();
    worker.terminate();
  }

  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    if (data.kind === "changed") return onChanged();
    const one = waiting.get(data.id);
    waiting.delete(data.id);
    if (waiting.size === 0) worker.unref();
    if (data.kind === "done") one?.resolve(data.value as never);
    else one?.reject(new GateError(data.code, data.message));
  };
  worker.onerror = ({ message }) => end(`its worker failed: ${message.slice(0, 200)}`);
  worker.addEventListener("close", () => end("its worker has ended"));

  function ask(name: Ask["name"], args: readonly unknown[]): Promise<unknown> {
    if (ended !== undefined) return Promise.reject(ended);
    const id = ++lastId;
    return new Promise((resolve, reject) => {
      waiting.set(id, { resolve, reject });
      // Only while an answer is due: a command must not end before it, nor live on after it.
      if (waiting.size === 1) worker.ref();
      worker.postMessage({ id, name, args } satisfies Ask);
    });
  }

  return {
    ask,
    call: (name, ...args) => ask(name, args) as Promise<ReturnType<Operations[typeof name]>>,
    end: () => end("it is closed"),
  };
}
