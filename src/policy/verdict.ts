/**
 * Reads what a policy answered. Policies are trusted to mean well, not to answer well: what
 * is not exactly a verdict is nonsense, and nonsense closes the gate.
 *
 * @module
 */
import { parseDuration } from "../lib/duration.ts";
import type { Challenge, RateLimit } from "../types.ts";
import type { Revoke } from "./definition.ts";

/** The answer of one policy, or of a whole route's. */
export type Verdict =
  | {
      readonly kind: "allow";
      readonly headers: Readonly<Record<string, string>>;
      /** Absent where there are none. */
      readonly rateLimits?: readonly RateLimit[];
      /** Of one policy alone, never of a whole route: outcomes carry both from there on. */
      readonly detail?: string;
      readonly unusual?: readonly string[];
    }
  | {
      readonly kind: "deny";
      readonly policy: string;
      readonly code: string;
      readonly detail?: string;
      readonly revoke?: Revoke;
      readonly unusual?: readonly string[];
    }
  | {
      readonly kind: "challenge";
      readonly policy: string;
      readonly challenge: Challenge;
      readonly unusual?: readonly string[];
    }
  | {
      readonly kind: "fault";
      readonly policy: string;
      readonly code: "threw" | "timeout" | "nonsense";
      readonly detail: string;
      readonly stack?: string;
    };

export const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

const CODE = /^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/;
const CODE_LIMIT = 64;
const DETAIL_LIMIT = 1_000;
/** A field name: RFC 9110 §5.6.2 `token`. */
export const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: controls are what is refused (RFC 9110 §5.5)
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
const HEADERS_LIMIT = 64;
const HEADER_VALUE_LIMIT = 8_192;
/** Printable ASCII without space, quote and backslash: RFC 6749 §3.3, and safe in a quoted string. */
const CHALLENGE_WORD = /^[\x21\x23-\x5b\x5d-\x7e]+$/;
const CHALLENGE_WORDS_LIMIT = 32;
/** With `RATE_WINDOW_LIMIT_MS`, the most for which counting stays exact. */
const RATE_LIMIT = 1_000_000;
const RATE_WINDOW_LIMIT_MS = 31 * 86_400_000;
const RATE_KEY_LIMIT = 512;
/** Signals in one answer: more than any policy has. */
const UNUSUAL_LIMIT = 16;

/** Fields that a policy may not set, each with the rule that says so. */
const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  "connection", // RFC 9110 §7.6.1: this hop's
  "keep-alive", // RFC 9110 §7.6.1
  "proxy-connection", // RFC 9110 §7.6.1
  "proxy-authenticate", // RFC 9110 §11.7.1
  "proxy-authorization", // RFC 9110 §11.7.2
  "te", // RFC 9110 §10.1.4
  "trailer", // RFC 9110 §6.6.2
  "transfer-encoding", // RFC 9112 §6.1: framing is fetch's
  "upgrade", // RFC 9110 §7.8
  "content-length", // RFC 9112 §6.2: framing is fetch's
  "host", // RFC 9110 §7.2: the route's `preserveHost` decides
  "expect", // RFC 9110 §10.1.1: answered by this hop
  "forwarded", // RFC 7239: the gate's own word
  "x-real-ip", // the gate's own word
  "x-request-id", // the gate's own word
  "x-original-url", // upstreams may route by it: the path decided on is the path forwarded
  "x-original-uri", // upstreams may route by it
  "x-rewrite-url", // upstreams may route by it
  "x-http-method-override", // upstreams may act by it
  "x-http-method", // upstreams may act by it
  "x-method-override", // upstreams may act by it
]);

/** @param policy Its name, for the verdict. @param answer Whatever `evaluate` gave. */
export function readVerdict(policy: string, answer: unknown): Verdict {
  let read: Verdict | string;
  try {
    read = readAnswer(policy, answer);
  } catch {
    read = "its answer cannot be read"; // a getter of the answer's own threw: that is no verdict
  }
  if (typeof read !== "string") return read;
  return { kind: "fault", policy, code: "nonsense", detail: read };
}

type Answer = Readonly<Record<string, unknown>>;

/** @returns The verdict, or what is wrong with it. */
function readAnswer(policy: string, answer: unknown): Verdict | string {
  if (!isAnswer(answer)) {
    const what = answer === undefined ? "nothing" : "something else than a verdict";
    return `it answered ${what}: return allow(), deny() or challenge()`;
  }
  switch (answer.verdict) {
    case "allow":
      return readAllow(policy, answer);
    case "deny":
      return readDeny(policy, answer);
    case "challenge":
      return readChallenge(policy, answer);
    default:
      return "it answered a verdict of no known kind";
  }
}

function isAnswer(answer: unknown): answer is Answer {
  return typeof answer === "object" && answer !== null && !Array.isArray(answer);
}

type Allowed = Extract<Verdict, { kind: "allow" }>;

const ALLOW: Allowed = Object.freeze({ kind: "allow", headers: NO_HEADERS });

function readAllow(policy: string, answer: Answer): Verdict | string {
  const { headers, rateLimit, detail, unusual } = answer;
  let read: Allowed | string = headers === undefined ? ALLOW : readHeaders(headers);
  if (typeof read === "string") return read;
  if (rateLimit !== undefined) {
    const limit = readRateLimit(policy, rateLimit);
    if (typeof limit === "string") return limit;
    read = { ...read, rateLimits: [limit] };
  }
  if (detail === undefined && unusual === undefined) return read;
  if (!isDetail(detail)) return "allow() wants its detail as a string";
  const signals = readSignals(unusual ?? []);
  return typeof signals === "string" ? signals : { ...read, ...shortened(detail), ...signals };
}

/** @returns Nothing to note for an empty list. */
function readSignals(unusual: unknown): { readonly unusual?: readonly string[] } | string {
  if (!Array.isArray(unusual) || unusual.length > UNUSUAL_LIMIT || !unusual.every(isCode)) {
    return `unusual must be a list of at most ${UNUSUAL_LIMIT} words in snake_case`;
  }
  return unusual.length === 0 ? {} : { unusual: Object.freeze([...unusual]) };
}

function isCode(value: unknown): value is string {
  return typeof value === "string" && value.length <= CODE_LIMIT && CODE.test(value);
}

function readHeaders(headers: unknown): Allowed | string {
  if (typeof headers !== "object" || headers === null || headers instanceof Headers) {
    return "headers must be a plain object of strings";
  }
  const entries = Object.entries(headers);
  if (entries.length > HEADERS_LIMIT) return `more than ${HEADERS_LIMIT} headers`;
  const problem = entries.map(([name, value]) => headerProblem(name, value)).find(Boolean);
  if (problem !== undefined) return problem;
  return { kind: "allow", headers: Object.fromEntries(entries) };
}

/** Names the header, never its value. */
export function headerProblem(name: string, value: unknown): string | undefined {
  if (name.length > 128 || !HEADER_NAME.test(name)) return "a header's name is not a field name";
  // Upstreams may take `X_Real_IP` or `X.Real.IP` for `X-Real-IP`.
  const alike = name.toLowerCase().replaceAll(/[^a-z0-9-]/g, "-");
  if (RESERVED_HEADERS.has(alike) || alike.startsWith("x-forwarded-")) {
    return `header ${name} is not a policy's to set`;
  }
  if (typeof value !== "string") return `header ${name} must be a string`;
  if (value.length > HEADER_VALUE_LIMIT) return `header ${name} is too long`;
  return CONTROL.test(value) ? `header ${name} holds control characters` : undefined;
}

function readRateLimit(policy: string, rateLimit: unknown): RateLimit | string {
  if (!isAnswer(rateLimit)) return "rateLimit must be an object of limit, per and by";
  const { limit, per, by } = rateLimit;
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1 || limit > RATE_LIMIT) {
    return `rateLimit.limit must be a whole number from 1 to ${RATE_LIMIT}`;
  }
  const perMs = typeof per === "string" ? parseDuration(per) : undefined;
  if (perMs === undefined || perMs < 1 || perMs > RATE_WINDOW_LIMIT_MS) {
    return "rateLimit.per must be a duration such as 1m, up to 31d";
  }
  if (by === "subject" || by === "token" || by === "address") return { policy, limit, perMs, by };
  const key = isAnswer(by) ? by.key : undefined;
  if (typeof key !== "string" || key === "" || key.length > RATE_KEY_LIMIT) {
    return "rateLimit.by must be subject, token, address or { key } with a string";
  }
  return { policy, limit, perMs, by: { key } };
}

function readDeny(policy: string, answer: Answer): Verdict | string {
  const { code, detail, revoke } = answer;
  if (!isCode(code)) return "deny() wants a code in snake_case";
  if (!isDetail(detail)) return "deny() wants its detail as a string";
  if (revoke !== undefined && !isRevoke(revoke)) {
    return 'deny() wants revoke as "token", "session" or "subject"';
  }
  const isUnusual = answer.unusual === true || (answer.unusual === undefined && revoke);
  const signals = isUnusual ? { unusual: [code] } : readSignals(answer.unusual ?? []);
  if (typeof signals === "string") return signals;
  return {
    kind: "deny",
    policy,
    code,
    ...shortened(detail),
    ...(revoke !== undefined && { revoke }),
    ...signals,
  };
}

function isDetail(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}

function shortened(detail: string | undefined): { readonly detail?: string } {
  return detail === undefined ? {} : { detail: detail.slice(0, DETAIL_LIMIT) };
}

function isRevoke(value: unknown): value is Revoke {
  return value === "token" || value === "session" || value === "subject";
}

function readChallenge(policy: string, answer: Answer): Verdict | string {
  const { acr, maxAge, scope } = answer;
  const challenge: { acr?: string[]; maxAge?: number; scope?: string[] } = {};
  if (acr !== undefined) {
    const words = challengeWords(acr);
    if (words === undefined) return "challenge() wants acr as words without spaces or quotes";
    challenge.acr = words;
  }
  if (scope !== undefined) {
    const words = challengeWords(scope);
    if (words === undefined) return "challenge() wants scope as words without quotes";
    challenge.scope = words;
  }
  if (maxAge !== undefined) {
    if (typeof maxAge !== "number" || !Number.isSafeInteger(maxAge) || maxAge < 0) {
      return "challenge() wants maxAge as whole seconds";
    }
    challenge.maxAge = maxAge;
  }
  if (Object.keys(challenge).length === 0) return "challenge() wants acr, maxAge or scope";
  const signals = readSignals(answer.unusual ?? []);
  return typeof signals === "string"
    ? signals
    : { kind: "challenge", policy, challenge, ...signals };
}

function challengeWords(value: unknown): string[] | undefined {
  const words: unknown[] =
    typeof value === "string" ? value.split(" ") : Array.isArray(value) ? value : [];
  if (words.length === 0 || words.length > CHALLENGE_WORDS_LIMIT) return undefined;
  const good = words.filter(
    (word): word is string =>
      typeof word === "string" && word.length <= 256 && CHALLENGE_WORD.test(word),
  );
  return good.length === words.length ? good : undefined;
}
