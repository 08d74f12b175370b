/**
 * An issuer's keys over time: read in the background, kept through outages, read again on
 * demand. Nothing here ever waits but who asks for `refetch`, and that is bounded.
 *
 * When keys count: they are fresh for `refreshMs` after they were fetched, stale for
 * `staleForMs` after that, and then gone, to the millisecond.
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { FETCH_LIMITS, type Fetch, type FetchLimits } from "./fetch-json.ts";
import { type KeptKeys, readKeptKeys, writeKeptKeys } from "./kept-keys.ts";
import { type ImportedKeys, isSameSet, type KeySet } from "./key-set.ts";
import { createKeyReader } from "./read-keys.ts";

export type KeySource = {
  /** The keys in force at this moment; the same object as long as they are the same keys. */
  current(): KeySet | undefined;
  /**
   * Joins a fetch that is under way, or starts one where the last that was asked for began
   * 10 s ago or more. Returns at once where neither is possible, and after 5 s in any case;
   * `current()` then tells what came of it.
   */
  refetch(): Promise<void>;
  state(): IssuerState;
};

/** For `/.claimgate/ready`: `error` has no address and no secret. */
type IssuerState = {
  readonly state: "fresh" | "stale" | "missing";
  /** How many can check signatures. */
  readonly keys: number;
  /** Milliseconds since 1970. */
  readonly fetchedAt?: number;
  /** Why the last attempt failed. */
  readonly error?: string;
};

export type KeyDependencies = {
  /** Of the configuration; keys are kept in `.claimgate` below it. */
  readonly folder: string;
  readonly fetch: Fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
  /** Of each answer; 5 s and 1 MB where absent. */
  readonly limits?: FetchLimits;
  /** A caller waits no longer than this, whatever the issuer does; 5 s where absent. */
  readonly longestWaitMs?: number;
};

/** Between two fetches that unknown keys may cause, from start to start. */
const COOLDOWN_MS = 10_000;
const LONGEST_WAIT_MS = 5_000;
/** Callers beyond this do not wait at all. */
const MOST_WAITING = 1_000;
/** How often the date of a local file is looked at. */
const LOCAL_INTERVAL_MS = 2_000;
/** After failures, doubling: without keys each second counts; with good ones it does not. */
const RETRY_MS = { without: { first: 1_000, last: 30_000 }, with: { first: 10_000, last: 60_000 } };
/** The most that a timer takes; refreshing sooner than asked does no harm. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Starts reading at once; `close` ends it and stops what is under way. */
export function openKeySource(
  config: IssuerConfig,
  dependencies: KeyDependencies,
): KeySource & { close(): void } {
  const { folder, fetch, now, warn } = dependencies;
  const { limits = FETCH_LIMITS, longestWaitMs = LONGEST_WAIT_MS } = dependencies;
  const reader = createKeyReader(config, fetch, limits);
  const usableForMs = config.refreshMs + config.staleForMs;
  const stop = new AbortController();
  const warnings = new Map<string, string>();

  let held: KeptKeys | undefined;
  let error: string | undefined;
  let failures = 0;
  let flight: Promise<void> | undefined;
  let restoring: Promise<void> | undefined;
  let writing: Promise<void> = Promise.resolve();
  let timer: Timer | undefined;
  let lastAskedMs = Number.NEGATIVE_INFINITY;
  let waiting = 0;

  function current(): KeySet | undefined {
    return held !== undefined && now() - held.fetchedAtMs < usableForMs ? held.set : undefined;
  }

  async function refetch(): Promise<void> {
    // Keys that lie on disk may do; where there are others already, they did not.
    if (restoring !== undefined && current() === undefined) {
      await restoring;
      if (current() !== undefined) return;
    }
    if (flight === undefined) {
      const sinceMs = now() - lastAskedMs;
      // A clock that was set back must not hold up the next fetch for as long.
      if (stop.signal.aborted || (sinceMs >= 0 && sinceMs < COOLDOWN_MS)) return;
      lastAskedMs = now();
    }
    if (waiting >= MOST_WAITING) return;
    waiting++;
    await inTime(read("asked"), longestWaitMs, () => undefined);
    waiting--;
  }

  /** One at a time; never rejects. */
  function read(occasion: "scheduled" | "asked"): Promise<void> {
    flight ??= attempt(occasion).finally(() => {
      flight = undefined;
      schedule();
    });
    return flight;
  }

  async function attempt(occasion: "scheduled" | "asked"): Promise<void> {
    const startedAtMs = now();
    try {
      const answer = await reader.read(occasion, stop.signal);
      if (!stop.signal.aborted) adopt(answer, startedAtMs);
    } catch (failure) {
      if (stop.signal.aborted) return;
      failures++;
      const message = failure instanceof GateError ? failure.message : "failed";
      const isOurFile = failure instanceof GateError && failure.code === "state_unusable";
      error = isOurFile ? "a key file of ours cannot be used" : message;
      const rest = current() === undefined ? "no keys are at hand" : "the last good keys go on";
      warnOnce("read", `keys could not be read: ${message}; ${rest}`);
    }
  }

  function adopt(answer: ImportedKeys | "unchanged", fetchedAtMs: number): void {
    failures = 0;
    error = undefined;
    warnings.delete("read");
    if (answer === "unchanged") {
      if (held !== undefined) held = { set: held.set, fetchedAtMs };
      return;
    }
    if (answer.leftOut.length > 0) warnOnce("left out", answer.leftOut.join("; "));
    // The same keys stay the same object, so that what was verified with them stays good.
    const isSame = held !== undefined && isSameSet(held.set, answer.set);
    const kept = { set: isSame && held !== undefined ? held.set : answer.set, fetchedAtMs };
    held = kept;
    if (reader.where === "remote") writing = writing.then(() => keep(kept));
  }

  async function keep(kept: KeptKeys): Promise<void> {
    if (stop.signal.aborted) return;
    try {
      await writeKeptKeys(folder, config, kept);
      warnings.delete("keep");
    } catch (failure) {
      const code = failure instanceof Error && "code" in failure ? String(failure.code) : "failed";
      warnOnce("keep", `keys cannot be kept on disk (${code}): a restart needs the issuer`);
    }
  }

  async function restore(): Promise<void> {
    const kept = await readKeptKeys(folder, config, now());
    if (!kept.ok) warnOnce("kept", kept.error);
    else if (held === undefined) held = kept.value;
  }

  function schedule(): void {
    if (stop.signal.aborted) return;
    timer = setTimeout(() => read("scheduled"), Math.min(delayMs(), LONGEST_TIMER_MS));
    timer.unref();
  }

  /** Jittered, so that a fleet does not ask all at once; always before the keys age. */
  function delayMs(): number {
    const jitter = 0.8 + Math.random() * 0.15;
    const isLocal = reader.where === "local";
    if (failures === 0 || isLocal) {
      return jitter * (isLocal ? Math.min(LOCAL_INTERVAL_MS, config.refreshMs) : config.refreshMs);
    }
    const { first, last } = current() === undefined ? RETRY_MS.without : RETRY_MS.with;
    return jitter * Math.min(first * 2 ** (failures - 1), last);
  }

  /** The same line is not said at each attempt. */
  function warnOnce(subject: string, message: string): void {
    if (warnings.get(subject) === message) return;
    warnings.set(subject, message);
    warn(`issuer ${config.name}: ${message}`);
  }

  if (reader.where === "remote") {
    restoring = restore().finally(() => {
      restoring = undefined;
    });
  }
  void read("scheduled");

  return {
    current,
    refetch,
    state() {
      const set = current();
      const isFresh = held !== undefined && now() - held.fetchedAtMs < config.refreshMs;
      return {
        state: set === undefined ? "missing" : isFresh ? "fresh" : "stale",
        keys: set?.keys.length ?? 0,
        ...(held !== undefined && { fetchedAt: held.fetchedAtMs }),
        ...(error !== undefined && { error }),
      };
    },
    close() {
      stop.abort();
      clearTimeout(timer);
    },
  };
}
