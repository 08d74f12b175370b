/**
 * The servers behind a route: which one gets the next request, and which is left in peace
 * for a while because it could not be reached. Health is passive: only requests tell.
 *
 * @module
 */
import type { UpstreamAddress } from "../config/resolved.ts";

/** One address of an upstream, with its own pool of connections. */
export type Target = {
  readonly address: UpstreamAddress;
  /** What a URL for this target begins with. */
  readonly origin: string;
  readonly session: Bun.FetchSession;
  /** Requests that have been sent and whose answer has not begun. */
  inFlight: number;
  /** Failures without a success since. */
  failures: number;
  /** Set aside until then; 0 when in use. */
  asideUntilMs: number;
};

export type Upstream = {
  /**
   * The target for the next request: the one with the fewest requests in flight, in turn
   * where several have as few; the one that comes back first if all are set aside.
   *
   * @param tried Not to be chosen again.
   * @returns `undefined` only when every target has been tried.
   */
  readonly choose: (tried?: ReadonlySet<Target>) => Target | undefined;
  readonly report: (target: Target, outcome: TargetOutcome) => void;
  /** Closes idle connections; requests under way finish. */
  readonly close: () => void;
};

/** `unreachable`: no connection. `failed`: a connection, but no answer, or none in time. */
type TargetOutcome = "answered" | "unreachable" | "failed";

/** Seconds; under the 60 s and more after which servers commonly close idle connections. */
const KEEP_ALIVE_SECONDS = 50;
/** A target is first set aside for this long; each further failure doubles it. */
const ASIDE_FIRST_MS = 1_000;
const ASIDE_LONGEST_MS = 30_000;
/** A missing answer may be the request's fault, several in a row are the target's. */
const FAILED_IN_A_ROW = 3;

/**
 * @param addresses At least one.
 * @param clock `now` in milliseconds.
 */
export function openUpstream(
  addresses: readonly UpstreamAddress[],
  { now }: { readonly now: () => number },
): Upstream {
  const targets = addresses.map(openTarget);
  let turn = 0;

  function choose(tried?: ReadonlySet<Target>): Target | undefined {
    // The usual case of a single target needs no looking around.
    if (targets.length === 1) return tried?.size ? undefined : targets[0];
    const nowMs = now();
    turn = (turn + 1) % targets.length;
    let best: Target | undefined;
    for (let offset = 0; offset < targets.length; offset += 1) {
      const target = targets[(turn + offset) % targets.length];
      if (target === undefined || tried?.has(target)) continue;
      if (best === undefined || isBetter(target, best, nowMs)) best = target;
    }
    return best;
  }

  function report(target: Target, outcome: TargetOutcome): void {
    if (outcome === "answered") {
      target.failures = 0;
      target.asideUntilMs = 0;
      return;
    }
    target.failures += 1;
    const patience = outcome === "failed" ? FAILED_IN_A_ROW : 1;
    if (target.failures < patience) return;
    // Requests that were under way when it failed are one failure, not many.
    const nowMs = now();
    if (target.asideUntilMs > nowMs) return;
    const doublings = Math.min(target.failures - patience, 10);
    target.asideUntilMs = nowMs + Math.min(ASIDE_FIRST_MS * 2 ** doublings, ASIDE_LONGEST_MS);
  }

  return {
    choose,
    report,
    close: () => {
      for (const { session } of targets) session.close();
    },
  };
}

function isBetter(target: Target, best: Target, nowMs: number): boolean {
  const isAside = target.asideUntilMs > nowMs;
  const bestIsAside = best.asideUntilMs > nowMs;
  if (isAside !== bestIsAside) return bestIsAside;
  if (isAside) return target.asideUntilMs < best.asideUntilMs;
  return target.inFlight < best.inFlight;
}

function openTarget(address: UpstreamAddress): Target {
  const isUnix = address.kind === "unix";
  const session = new Bun.FetchSession({
    // Nothing in the environment may send our requests elsewhere.
    proxy: false,
    keepAlive: { idleTimeout: KEEP_ALIVE_SECONDS },
    ...(isUnix ? { unix: address.socket } : {}),
  });
  const origin = address.kind === "http" ? address.origin : "http://localhost";
  return { address, origin, session, inFlight: 0, failures: 0, asideUntilMs: 0 };
}
