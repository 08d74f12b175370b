/**
 * Who may use the admin API. On a unix socket whoever may open it; over TCP whoever has the
 * token, asking by a name that no foreign page can have made up.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { ListenAddress } from "../config/resolved.ts";
import { canonicalAddress } from "../lib/cidr.ts";
import { canonicalHost, isLoopbackHost } from "../lib/host.ts";
import { networkOfClient } from "../limits/network.ts";
import { ProblemError } from "./problem.ts";

export type Door = {
  /**
   * @param address Of the peer; `null` on a unix socket.
   * @throws ProblemError
   */
  check(request: Request, address: string | null): void;
};

type DoorOptions = {
  readonly listen: ListenAddress;
  /** Read at each request, so that a reload can change it. */
  readonly token: () => string | undefined;
  readonly now: () => number;
  readonly warn: (message: string) => void;
};

const MOST_WRONG = 10;
const WINDOW_MS = 60_000;
/** Whoever guesses from more networks than these at once has pushed out the oldest of them. */
const MOST_ADDRESSES = 10_000;

type Guesses = { wrong: number; readonly sinceMs: number };

export function createDoor({ listen, token, now, warn }: DoorOptions): Door {
  const guesses = new LRUCache<string, Guesses>({ max: MOST_ADDRESSES });

  function checkToken(request: Request, address: string | null): void {
    const wanted = token();
    if (wanted === undefined) {
      // The configuration refuses TCP without one; were it to slip through, nobody would get in.
      if (listen.kind === "unix") return;
      throw new ProblemError("token_missing");
    }
    const from = networkOf(address);
    const nowMs = now();
    const before = guesses.get(from);
    const isCurrent = before !== undefined && Math.abs(nowMs - before.sinceMs) < WINDOW_MS;
    // The right token, too: else guessing would go on, just without an answer.
    if (isCurrent && before.wrong >= MOST_WRONG) {
      const waitMs = WINDOW_MS - (nowMs - before.sinceMs);
      const seconds = String(Math.max(1, Math.ceil(waitMs / 1_000)));
      throw new ProblemError("rate_limited", undefined, { "Retry-After": seconds });
    }
    const given = bearerToken(request.headers.get("authorization"));
    if (given === undefined) throw new ProblemError("token_missing");
    if (isSame(given, wanted)) return;
    const counted = isCurrent ? before : { wrong: 0, sinceMs: nowMs };
    counted.wrong += 1;
    guesses.set(from, counted);
    if (counted.wrong === 1 || counted.wrong === MOST_WRONG) {
      warn(
        `${counted.wrong === 1 ? "a wrong admin token" : "many wrong admin tokens"} from ${from}`,
      );
    }
    throw new ProblemError("token_invalid");
  }

  return {
    check(request, address) {
      if (listen.kind === "tcp") checkHost(request, listen.hostname);
      checkOrigin(request);
      checkToken(request, address);
    },
  };
}

const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/**
 * A foreign name that was made to point here (DNS rebinding) would give that site's pages the run
 * of the API. An address is no name.
 */
function checkHost(request: Request, hostname: string): void {
  const host = canonicalHost(request.headers.get("host") ?? "");
  if (host === undefined) throw new ProblemError("misdirected");
  if (isLoopbackHost(host) || host === hostname) return;
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  const address = canonicalAddress(bare);
  if (address !== undefined && (address === hostname || WILDCARDS.has(hostname))) return;
  throw new ProblemError("misdirected");
}

/** Browsers put these on what a page asks for, and no page but our own has business here. */
function checkOrigin({ headers }: Request): void {
  const site = headers.get("sec-fetch-site");
  const isForeign = site !== null && site !== "same-origin" && site !== "none";
  const origin = headers.get("origin");
  const isOther = origin !== null && URL.parse(origin)?.host !== headers.get("host");
  if (isForeign || isOther) throw new ProblemError("cross_site");
}

/** RFC 6750 §2.1; the longest that is looked at is longer than any that is configured. */
function bearerToken(header: string | null): string | undefined {
  return /^bearer +([\x21-\x7e]{1,4096}) *$/i.exec(header ?? "")?.[1];
}

/** In a time that tells nothing of how much of it is right, nor how long it is. */
function isSame(given: string, wanted: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(wanted));
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function networkOf(address: string | null): string {
  if (address === null) return "unix";
  const canonical = canonicalAddress(address);
  return canonical === undefined ? "unknown" : networkOfClient(canonical);
}
