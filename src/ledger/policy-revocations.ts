/**
 * Revokes what policies ask for, after the decision. A policy that goes wrong must not lock
 * everybody out unnoticed: each may revoke a few times a minute, and beyond that its denials
 * are denials and nothing more, told loudly.
 *
 * @module
 */
import type { Revocation } from "../store/store.ts";
import type { Log } from "../telemetry/log.ts";
import type { Denial, Token } from "../types.ts";
import { type IssuerTimes, LONGEST_VALUE, revocationOf, type Target } from "./revocation.ts";
import type { Revocations } from "./revocations.ts";
import type { TokenHash } from "./token-hash.ts";

/** What a policy asked for when it denied. */
export type Wish = {
  readonly policy: string;
  readonly revoke: NonNullable<Denial["revoke"]>;
  /** The policy's own code. */
  readonly code: string;
  readonly token: Token;
  readonly requestId: string;
};

export type PolicyRevocations = {
  /**
   * Never throws and never waits: what was revoked is in force when this returns.
   *
   * @returns For the audit: what was revoked; nothing where it was already, or where the policy
   *   has used up its revocations.
   */
  apply(wish: Wish): readonly Revocation[];
};

type Dependencies = {
  readonly revocations: Pick<Revocations, "check" | "revoke">;
  readonly tokenHash: Pick<TokenHash, "of">;
  /** Those in force. */
  readonly issuers: () => readonly IssuerTimes[];
  /** The one in force. */
  readonly sessionLifetimeMs: () => number;
  readonly log: Pick<Log, "event">;
  readonly now: () => number;
  /** A clock that nobody sets, in milliseconds. */
  readonly uptimeMs?: () => number;
};

const MOST = 10;
const PER_MS = 60_000;
/** More policies than anyone has: those of former configurations are forgotten. */
const MOST_POLICIES = 1_000;

/** The times of those within the last minute, and of what was told of those beyond. */
type Count = { revokedMs: number[]; toldMs: number; untold: number };

export function createPolicyRevocations(deps: Dependencies): PolicyRevocations {
  const { revocations, tokenHash, issuers, sessionLifetimeMs, log, now } = deps;
  const { uptimeMs = () => performance.now() } = deps;
  const counts = new Map<string, Count>();

  function countOf(policy: string): Count {
    const known = counts.get(policy);
    if (known !== undefined) return known;
    if (counts.size >= MOST_POLICIES) counts.clear();
    const count = { revokedMs: [], toldMs: Number.NEGATIVE_INFINITY, untold: 0 };
    counts.set(policy, count);
    return count;
  }

  function isAllowed(policy: string): boolean {
    const count = countOf(policy);
    const nowMs = uptimeMs();
    count.revokedMs = count.revokedMs.filter((atMs) => atMs > nowMs - PER_MS);
    if (count.revokedMs.length < MOST) {
      count.revokedMs.push(nowMs);
      return true;
    }
    count.untold += 1;
    if (nowMs - count.toldMs < PER_MS) return false;
    const message = `policy ${policy} asks for more than ${MOST} revocations a minute: these requests are denied and nothing is revoked; see whether the policy is right`;
    log.event("error", "policy_revocations_limited", message, { policy, refused: count.untold });
    count.toldMs = nowMs;
    count.untold = 0;
    return false;
  }

  function revoke(revocation: Revocation, { policy, code, requestId }: Wish): void {
    const fields = { policy, code, requestId, kind: revocation.kind };
    revocations.revoke(revocation).then(
      () => log.event("warn", "policy_revocation", `policy ${policy} has revoked`, fields),
      (fault: unknown) => {
        const why = fault instanceof Error ? fault.message : String(fault);
        log.event("error", "policy_revocation_failed", `policy ${policy} revokes: ${why}`, fields);
      },
    );
  }

  return {
    apply(wish) {
      const { policy, token, code } = wish;
      // Several requests of one token are under way at once: it is revoked once.
      if (isCovered(wish, revocations.check(token)) || !isAllowed(policy)) return [];
      const nowMs = now();
      const circumstances = {
        reason: code,
        author: `policy ${policy}`,
        nowMs,
        issuers: issuers(),
        sessionLifetimeMs: sessionLifetimeMs(),
      };
      const made = targetsOf(wish, tokenHash, nowMs).map((one) => revocationOf(one, circumstances));
      for (const revocation of made) revoke(revocation, wish);
      return revocations.check(token) === undefined ? [] : made;
    },
  };
}

function isCovered({ revoke }: Wish, known: Revocation | undefined): boolean {
  if (known === undefined) return false;
  return revoke !== "subject" || known.kind === "subject" || known.kind === "issuer";
}

/** A bearer token has no session: it is its own. Of a session's tokens the next would pass again. */
function targetsOf(
  { revoke, token }: Wish,
  tokenHash: Pick<TokenHash, "of">,
  nowMs: number,
): readonly Target[] {
  const { issuer, subject, issuedAt = 0 } = token;
  const own = targetOf(token, tokenHash);
  // No subject is no name: it would stand for all who have none.
  if (revoke !== "subject" || subject === "" || subject.length > LONGEST_VALUE) return own;
  const whole: Target = { kind: "subject", issuer, subject };
  // By an issuer's clock that is ahead of ours, this token is none of those issued until now.
  return issuedAt * 1_000 < nowMs ? [whole] : [whole, ...own];
}

/** @returns One, or none for a token that was made up and can be named by nothing. */
function targetOf(token: Token, tokenHash: Pick<TokenHash, "of">): readonly Target[] {
  const { issuer, id, expiresAt, session } = token;
  if (session !== undefined) return [{ kind: "session", id: session, expiresAt }];
  if (id !== undefined && id !== "" && id.length <= LONGEST_VALUE) {
    return [{ kind: "jti", issuer, id, expiresAt }];
  }
  const hash = tokenHash.of(token);
  return hash === undefined ? [] : [{ kind: "token", hash, expiresAt }];
}
