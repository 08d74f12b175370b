/**
 * Verifies opaque tokens: those that say nothing by themselves, which the route's issuers are
 * asked about. An answer holds for as long as its issuer's `introspection.cache`, and never
 * beyond the token's own end; nothing is kept by the token itself, only by its digest.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import type { Err, Result } from "../result.ts";
import type { Refusal, Token } from "../types.ts";
import { type AcceptedToken, judge } from "./accept.ts";
import type { Introspection } from "./introspection.ts";
import type { Issuer } from "./issuers.ts";
import { refuse } from "./refusal.ts";
import { digestToken } from "./token-digest.ts";

type OpaqueVerifier = {
  /** @returns At once where an answer is known that still holds, with the same object each time. */
  verify(
    credential: string,
    nowMs: number,
  ): Result<Token, Refusal> | Promise<Result<Token, Refusal>>;
};

/** Of a process, for one list of issuers. */
type OpaqueLimits = {
  readonly active: number;
  readonly refused: number;
  /** Tokens never seen active that issuers are asked about at the same time. */
  readonly underWay: number;
};

const LIMITS: OpaqueLimits = { active: 20_000, refused: 5_000, underWay: 256 };

/** What is no token now may be one soon: a copy of the issuer that was behind, a clock. */
const LONGEST_REFUSAL_MS = 10_000;

/** An issuer that can be asked. */
type Asked = Issuer & { readonly introspection: Introspection };

type Active = AcceptedToken & { readonly issuer: Asked };
type Answer = Result<Active, Refusal>;
type Known<T> = { readonly of: T; readonly askedMs: number; readonly untilMs: number };

/** Whether only its issuer can tell what it is: neither JWS nor JWE by its form. */
export function isOpaque(credential: string): boolean {
  const { length } = credential.split(".", 6);
  return length !== 3 && length !== 5;
}

/** @returns `undefined` where none of the issuers can be asked. */
export function createOpaqueVerifier(
  issuers: readonly Issuer[],
  limits: OpaqueLimits = LIMITS,
): OpaqueVerifier | undefined {
  const asked = issuers.filter((issuer): issuer is Asked => issuer.introspection !== undefined);
  if (asked.length === 0) return undefined;
  const active = new LRUCache<string, Known<Active>>({ max: limits.active });
  const refused = new LRUCache<string, Known<Err<Refusal>>>({ max: limits.refused });
  const underWay = new Map<string, Promise<Answer>>();
  const cacheMs = Math.min(...asked.map(({ introspection }) => introspection.config.cacheMs));

  function verify(credential: string, nowMs: number): ReturnType<OpaqueVerifier["verify"]> {
    const digest = digestToken(credential);
    const known = active.get(digest);
    if (known !== undefined && holds(known, nowMs)) {
      return judge(known.of, known.of.issuer.config, nowMs);
    }
    const failure = refused.get(digest);
    if (failure !== undefined && holds(failure, nowMs)) return failure.of;
    return askOnce(credential, digest, nowMs, known !== undefined).then((answer) =>
      answer.ok ? judge(answer.value, answer.value.issuer.config, nowMs) : answer,
    );
  }

  /** Who passed before has room of its own: a flood of made-up tokens cannot take it. */
  function askOnce(
    credential: string,
    digest: string,
    nowMs: number,
    passedBefore: boolean,
  ): Promise<Answer> {
    const before = underWay.get(digest);
    if (before !== undefined) return before;
    const most = passedBefore ? limits.underWay * 2 : limits.underWay;
    if (underWay.size >= most) return Promise.resolve(refuse("introspection_busy"));
    const asking = askInOrder(credential, asked)
      .then((answer) => {
        remember(digest, answer, nowMs);
        return answer;
      })
      .finally(() => underWay.delete(digest));
    underWay.set(digest, asking);
    return asking;
  }

  /** @param askedMs When the issuer was asked: whatever happens later, it did not know yet. */
  function remember(digest: string, answer: Answer, askedMs: number): void {
    if (answer.ok) {
      const { issuer, times } = answer.value;
      const { cacheMs: ofIssuer } = issuer.introspection.config;
      const untilMs = Math.min(askedMs + ofIssuer, times.expiresAt * 1_000);
      active.set(digest, { of: answer.value, askedMs, untilMs });
      refused.delete(digest);
      return;
    }
    if (answer.error.code === "keys_unavailable") return;
    active.delete(digest);
    const untilMs = askedMs + Math.min(cacheMs, LONGEST_REFUSAL_MS);
    refused.set(digest, { of: answer, askedMs, untilMs });
  }

  return { verify };
}

/** A clock that was set back must not let an answer hold for longer. */
function holds({ askedMs, untilMs }: Known<unknown>, nowMs: number): boolean {
  return nowMs >= askedMs && nowMs < untilMs;
}

/**
 * The first issuer that says the token is good wins. Where none does, one that could not be asked
 * counts more than the others' no, and a token that was refused for what is in it more than one
 * that nobody knows.
 */
async function askInOrder(credential: string, issuers: readonly Asked[]): Promise<Answer> {
  let refusal: Err<Refusal> | undefined;
  for (const issuer of issuers) {
    const answer = await issuer.introspection.ask(credential);
    if (answer.ok) return { ok: true, value: { ...answer.value, issuer } };
    if (refusal === undefined || weightOf(answer.error) > weightOf(refusal.error)) {
      refusal = answer;
    }
  }
  return refusal ?? refuse("token_inactive");
}

function weightOf({ code, reason }: Refusal): number {
  if (code === "keys_unavailable") return 2;
  return reason === "token_inactive" ? 0 : 1;
}
