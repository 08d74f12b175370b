/**
 * What is open at the moment with a token: WebSockets, event streams, answers that go on for
 * long. Each is closed when its token expires or is revoked, or when the gate would no longer
 * let its request pass.
 *
 * One coarse timer looks after all of them, and only while there are any.
 *
 * @module
 */
import type { Log } from "../telemetry/log.ts";
import type { Denial, Inquiry, Token } from "../types.ts";
import { checkRevocation, decide } from "./decide.ts";
import { TITLES } from "./denial.ts";
import type { ReadInquiry } from "./inquire.ts";
import type { Ledger } from "./ledger.ts";
import { applyRevocations } from "./revoke.ts";
import type { Route, Site } from "./site.ts";

export type LiveStreams = {
  /**
   * @param end Ends it, with a reason that its client may read.
   * @returns To be called when it has ended by itself; `undefined` when there are too many.
   */
  watch(opened: Opened, end: (reason: string) => void): (() => void) | undefined;
  /** How many are open. */
  count(): number;
  /** Looks no more; what is open stays open. */
  stop(): void;
};

/** How a stream came to be. */
type Opened = {
  readonly site: Site;
  readonly route: Route;
  readonly token: Token;
  readonly read: Pick<ReadInquiry, "inquiry" | "ambiguousPath">;
};

type StreamDependencies = {
  /** The one in force. */
  readonly site: () => Site;
  readonly ledger: Ledger;
  readonly log: Pick<Log, "event">;
  readonly now: () => number;
  /** A clock that nobody sets, in milliseconds. */
  readonly uptimeMs?: () => number;
};

type Stream = {
  readonly inquiry: Inquiry;
  readonly ambiguousPath: boolean;
  readonly token: Token;
  /** When its token no longer counts, since 1970; without the route's grace. */
  readonly expiresMs: number;
  readonly end: (reason: string) => void;
  /** The site and route that it was last allowed by, and when, by the clock that nobody sets. */
  site: Site;
  route: Route;
  allowedMs: number;
};

/** What expires or is revoked is closed as late as this, and nothing later than two seconds. */
const LOOK_MS = 500;
const MOST_STREAMS = 100_000;
/** Streams that are looked at before requests have their turn. */
const STEP = 2_000;
/** Policies may wait for something; so many may at once. */
const ASKERS = 64;
/** Decisions in a row, each some microseconds where no policy waits. */
const ASK_STEP = 50;

export function openStreams(deps: StreamDependencies): LiveStreams {
  const { log, now, ledger, uptimeMs = () => performance.now() } = deps;
  const open = new Set<Stream>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isAsking = false;
  let isStopped = false;

  function watch({ site, route, token, read }: Opened, end: Stream["end"]) {
    if (open.size >= MOST_STREAMS) return undefined;
    const { inquiry, ambiguousPath } = read;
    const expiresMs = expiryOf(site, token, inquiry.nowMs);
    const allowedMs = uptimeMs();
    const stream = { inquiry, ambiguousPath, token, expiresMs, end, site, route, allowedMs };
    open.add(stream);
    lookLater();
    return () => void open.delete(stream);
  }

  function lookLater(): void {
    if (isStopped || timer !== undefined || open.size === 0) return;
    timer = setTimeout(async () => {
      await look();
      timer = undefined;
      lookLater();
    }, LOOK_MS);
    timer.unref();
  }

  async function look(): Promise<void> {
    const due: Stream[] = [];
    let looked = 0;
    for (const stream of open) {
      looked += 1;
      if (looked % STEP === 0) await nextTurn();
      const site = deps.site();
      const denial = findLoss(site, stream, now());
      if (denial !== undefined) close(stream, denial);
      else if (isDue(site, stream, uptimeMs())) due.push(stream);
    }
    // Not waited for: who is slow to answer must not delay what needs no answer.
    if (due.length > 0 && !isAsking) void askAll(due);
  }

  async function askAll(due: Stream[]): Promise<void> {
    isAsking = true;
    let asked = 0;
    const askSome = async (): Promise<void> => {
      for (let stream = due.pop(); stream !== undefined; stream = due.pop()) {
        asked += 1;
        if (asked % ASK_STEP === 0) await nextTurn();
        if (open.has(stream)) await ask(stream);
      }
    };
    await Promise.all(Array.from({ length: Math.min(ASKERS, due.length) }, askSome));
    isAsking = false;
  }

  /** As if its request came now, but that its token may have expired within the grace. */
  async function ask(stream: Stream): Promise<void> {
    const site = deps.site();
    const askedMs = uptimeMs();
    const inquiry = { ...stream.inquiry, nowMs: now() };
    const tokenMs = Math.min(inquiry.nowMs, stream.token.expiresAt * 1_000 - 1);
    try {
      const decision = await decide(site, inquiry, stream.ambiguousPath, tokenMs);
      const { route, result } = decision;
      if (!result.ok) {
        close(stream, result.error);
        applyRevocations({ ledger, now }, inquiry, decision);
      } else if (route === undefined || route.config.name !== stream.route.config.name) {
        close(stream, ROUTE_GONE);
      } else {
        stream.site = site;
        stream.route = route;
        stream.allowedMs = askedMs;
      }
    } catch (fault) {
      const stack = fault instanceof Error ? fault.stack : String(fault);
      const message = "a stream met a fault of ours and was closed";
      log.event("error", "internal_fault", message, { requestId: inquiry.id, stack });
      close(stream, INTERNAL_FAULT);
    }
  }

  function close(stream: Stream, denial: Denial): void {
    // It may have ended by itself while a policy was thinking.
    if (isStopped || !open.delete(stream)) return;
    const { inquiry, route } = stream;
    const { code, reason, policy } = denial;
    stream.end(TITLES[code]);
    const fields = { requestId: inquiry.id, route: route.config.name, code, reason, policy };
    log.event("info", "stream_closed", "closed what its token may no longer have", fields);
    const at = new Date(now()).toISOString();
    const act = { actor: "gate", act: "close_stream", target: inquiry.id, reason: code };
    ledger.audit.record({ kind: "act", at, ...act });
  }

  return {
    watch,
    count: () => open.size,
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}

const EXPIRED: Denial = { status: 401, code: "token_expired", reason: "expired" };
const ROUTE_GONE: Denial = { status: 404, code: "route_not_found" };
const INTERNAL_FAULT: Denial = { status: 500, code: "internal_fault" };

/** What takes a token's force away without anybody being asked. */
function findLoss(site: Site, { route, token, expiresMs }: Stream, nowMs: number) {
  if (route.config.public) return undefined;
  if (nowMs >= expiresMs + route.config.streams.graceOnExpiryMs) return EXPIRED;
  return checkRevocation(site, token);
}

function isDue(site: Site, stream: Stream, uptimeMs: number): boolean {
  const { recheckMs } = stream.route.config.streams;
  return stream.site !== site || uptimeMs - stream.allowedMs >= recheckMs;
}

/**
 * What was opened after the token's own end, by the tolerance for clocks that differ, has the
 * whole of that tolerance: else its client would come again and again.
 */
function expiryOf({ issuers }: Site, { expiresAt, issuerName }: Token, nowMs: number): number {
  const expiresMs = expiresAt * 1_000;
  if (nowMs < expiresMs) return expiresMs;
  return expiresMs + (issuers.get(issuerName)?.config.clockToleranceSeconds ?? 0) * 1_000;
}

/** Lets the event loop take what has arrived. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
