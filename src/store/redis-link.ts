/**
 * One connection to Redis that comes back by itself. While there is none, every command is
 * refused at once: nothing queues up behind a server that is paused or gone.
 *
 * @module
 */
import { RedisClient } from "bun";
import { inTime } from "../lib/in-time.ts";
import { Closed, isConnectionLost, NoAnswer, redisFault } from "./redis-fault.ts";
import { whyNot } from "./redis-probe.ts";
import type { Script } from "./redis-scripts.ts";

/** A command without an answer for so long has failed, and the connection is made anew. */
const ANSWER_LIMIT_MS = 1_000;
/** Connecting, TLS, authentication, and what `prepare` does. */
const CONNECT_LIMIT_MS = 2_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

export type RedisLink = {
  /** How the first try to connect went; more follow by themselves. */
  readonly first: Promise<void>;
  /** @throws GateError `store_unavailable`, `store_damaged` */
  send(command: string, args: readonly string[]): Promise<unknown>;
  /** As `send`; one round trip once the server has the script. */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Begins anew: the other side may be gone without our having been told. */
  reset(): void;
  close(): void;
};

type LinkOptions = {
  readonly url: string;
  /** Names the store in messages, without a password. */
  readonly where: string;
  /** What a new connection needs before it is used: a subscription. */
  readonly prepare?: (client: RedisClient) => Promise<unknown>;
  /** A connection is there again after one was lost, or could not be made at first. */
  readonly onReturn?: () => void;
  readonly onLoss?: () => void;
};

/** Connects at once, in the background. */
export function openLink({ url, where, prepare, onReturn, onLoss }: LinkOptions): RedisLink {
  let client: RedisClient | undefined;
  let connecting: RedisClient | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let pauseMs = FIRST_PAUSE_MS;
  let closed = false;
  let lastError: unknown;

  async function connect(): Promise<void> {
    const next = new RedisClient(url, {
      autoReconnect: false,
      enableOfflineQueue: false,
      connectionTimeout: CONNECT_LIMIT_MS,
    });
    next.onclose = (error) => {
      if (client === next) lose(error);
    };
    connecting = next;
    try {
      await within(
        CONNECT_LIMIT_MS,
        next.connect().then(() => prepare?.(next)),
      );
      if (closed || !next.connected) throw new Closed();
    } catch (error) {
      next.close();
      throw isConnectionLost(error) ? ((await whyNot(url)) ?? error) : error;
    } finally {
      connecting = undefined;
    }
    client = next;
    pauseMs = FIRST_PAUSE_MS;
  }

  function lose(error: unknown): void {
    const former = client;
    client = undefined;
    lastError = error;
    former?.close();
    onLoss?.();
    connectLater();
  }

  function connectLater(): void {
    if (closed || retry !== undefined) return;
    retry = setTimeout(tryAgain, pauseMs);
    retry.unref();
  }

  async function tryAgain(): Promise<void> {
    try {
      await connect();
      retry = undefined;
      onReturn?.();
    } catch (error) {
      lastError = error;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      retry = undefined;
      connectLater();
    }
  }

  async function ask(question: (client: RedisClient) => Promise<unknown>): Promise<unknown> {
    const current = client;
    if (current === undefined) throw redisFault(where, closed ? new Closed() : lastError);
    try {
      return await within(ANSWER_LIMIT_MS, question(current));
    } catch (error) {
      if (error instanceof NoAnswer && client === current) lose(error);
      throw redisFault(where, error);
    }
  }

  const first = connect().catch((error: unknown) => {
    lastError = error;
    connectLater();
    throw redisFault(where, error);
  });

  return {
    first,
    send: (command, args) => ask((current) => current.send(command, [...args])),
    run: (script, keys, args) => ask((current) => runOn(current, script, keys, args)),
    reset() {
      if (client !== undefined) lose(new NoAnswer());
    },
    close() {
      closed = true;
      clearTimeout(retry);
      const former = client;
      client = undefined;
      former?.close();
      connecting?.close();
    },
  };
}

async function runOn(
  client: RedisClient,
  { sha1, text }: Script,
  keys: readonly string[],
  args: readonly string[],
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...args];
  try {
    return await client.send("EVALSHA", [sha1, ...rest]);
  } catch (error) {
    const isUnknown = error instanceof Error && error.message.startsWith("NOSCRIPT");
    if (!isUnknown) throw error;
    return client.send("EVAL", [text, ...rest]);
  }
}

/** @throws NoAnswer */
function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  return inTime(work, limitMs, () => {
    throw new NoAnswer();
  });
}
