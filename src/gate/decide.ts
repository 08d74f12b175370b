/**
 * The decision for one request, read top to bottom:
 * route, credential, token, revocation, policies, identity.
 *
 * Pure but for reading: it changes nothing, so that a live request, a case and an
 * explanation all go through this one function.
 *
 * @module
 */
import { GateError } from "../errors.ts";
import { readings } from "../lib/path.ts";
import { sessionCookieName } from "../login/context.ts";
import { isOwnOrigin } from "../login/logout.ts";
import { isSecure } from "../login/origins.ts";
import { SIGN_OUT_AUTHOR } from "../login/sessions.ts";
import { type Err, err, ok, type Result } from "../result.ts";
import type { Revocation } from "../store/store.ts";
import type { Denial, Inquiry, PolicyOutcome, RateLimit, Refusal, Token } from "../types.ts";
import { authorize } from "./authorize.ts";
import { extractCredential, extractSession } from "./extract.ts";
import { identify } from "./identify.ts";
import { matchRoute } from "./match.ts";
import { RESERVED_PREFIX } from "./reserved.ts";
import type { Route, Rules } from "./site.ts";

/** What the gate would do, and what it looked at on the way. */
export type Decision = {
  readonly route?: Route;
  readonly token?: Token;
  readonly policies: readonly PolicyOutcome[];
  readonly result: Result<Approval, Denial>;
};

/** A decision to forward, with what the upstream is told. */
export type Approval = {
  readonly identity: readonly (readonly [header: string, value: string])[];
  /** Headers that policies asked for. */
  readonly policyHeaders: Readonly<Record<string, string>>;
  /** Limits that policies asked for. */
  readonly rateLimits?: readonly RateLimit[] | undefined;
};

const NO_POLICIES: readonly PolicyOutcome[] = [];
const NOTHING: Approval = { identity: [], policyHeaders: {} };

/**
 * @param ambiguousPath Whether the path has more than one reading (design, section 4).
 * @param tokenMs The time that tokens are judged by, where it is not the request's: since 1970.
 * @throws Only for a fault of ours; the caller answers 500 and closes.
 */
export async function decide(
  rules: Rules,
  inquiry: Inquiry,
  ambiguousPath: boolean,
  tokenMs: number = inquiry.nowMs,
): Promise<Decision> {
  const matched = matchUnambiguously(rules, inquiry, ambiguousPath);
  if (!matched.ok) return { policies: NO_POLICIES, result: matched };
  const route = matched.value;
  if (route.config.public) return { route, policies: NO_POLICIES, result: ok(NOTHING) };

  const credential = extractCredential(inquiry, route.config.credentials);
  const verifying = credential.ok
    ? verifyCredential(route, credential.value, tokenMs)
    : findSession(rules, route, inquiry, credential);
  const verified = verifying instanceof Promise ? await verifying : verifying;
  if (!verified.ok) return { route, policies: NO_POLICIES, result: verified };
  const token = verified.value;

  const refused = checkRevocation(rules, token) ?? checkCrossSite(rules, route, inquiry, token);
  if (refused !== undefined) return { route, token, policies: NO_POLICIES, result: err(refused) };

  const asking = authorize(rules, route, token, inquiry);
  const { outcomes: policies, result } = asking instanceof Promise ? await asking : asking;
  if (!result.ok) return { route, token, policies, result };

  const identity = identify(route, token);
  if (!identity.ok) return { route, token, policies, result: identity };
  const { headers: policyHeaders, rateLimits } = result.value;
  const approval = { identity: identity.value, policyHeaders, rateLimits };
  return { route, token, policies, result: ok(approval) };
}

/**
 * A path that can be read in two ways passes only where each reading is the same route. An
 * escape is enough for that: `/%40admin` is `/@admin` to most servers (RFC 3986 §6.2.2.2).
 */
function matchUnambiguously(
  rules: Rules,
  { host, path, method }: Inquiry,
  ambiguousPath: boolean,
): Result<Route, Denial> {
  const matched = matchRoute(rules.table, host, path, method);
  if (!ambiguousPath && !/[;%]/.test(path)) return matched;
  if (ambiguousPath && (!matched.ok || matched.value.config.ambiguousPaths === "refuse")) {
    return err(malformed("path_ambiguous"));
  }
  if (!matched.ok) return matched;
  for (const reading of readings(path)) {
    // What belongs to the gate is no route's, however it is written.
    if (reading.startsWith(RESERVED_PREFIX)) return err(malformed("path_readings_differ"));
    const other = matchRoute(rules.table, host, reading, method);
    if (!other.ok || other.value !== matched.value) return err(malformed("path_readings_differ"));
  }
  return matched;
}

/** At once for a token that is known already, as nearly all are. */
function verifyCredential(
  { verifier }: Route,
  credential: string,
  nowMs: number,
): Result<Token, Denial> | Promise<Result<Token, Denial>> {
  if (verifier === undefined) throw new Error("a guarded route has no verifier");
  const verified = verifier.verify(credential, nowMs);
  return verified instanceof Promise ? verified.then(inDenials) : inDenials(verified);
}

function inDenials(verified: Result<Token, Refusal>): Result<Token, Denial> {
  if (verified.ok) return verified;
  const { code, reason, detail } = verified.error;
  return err({ status: code === "keys_unavailable" ? 503 : 401, code, reason, detail });
}

/**
 * The browser's session, where the route takes one and nothing was sent on purpose.
 *
 * @param missing What the request gets without.
 */
function findSession(
  { sessions, config }: Rules,
  route: Route,
  inquiry: Inquiry,
  missing: Err<Denial>,
): Result<Token, Denial> | Promise<Result<Token, Denial>> {
  if (missing.error.code !== "token_missing" || sessions === undefined) return missing;
  const name = sessionCookieName({ secure: isSecure(config) });
  const id = extractSession(inquiry, route.config.credentials, name);
  if (!id.ok) return id;
  if (id.value === undefined) return missing;
  const found = sessions.find(id.value, inquiry.host, inquiry.nowMs);
  return found instanceof Promise
    ? found.then((token) => asCredential(route, token), storeUnavailable)
    : asCredential(route, found);
}

/** One that is unknown, has ended or is of an issuer that the route does not take is none. */
function asCredential({ config }: Route, token: Token | undefined): Result<Token, Denial> {
  if (token === undefined) return err(noSession("session_unknown"));
  return config.issuers.includes(token.issuerName)
    ? ok(token)
    : err(noSession("session_issuer_other"));
}

function noSession(reason: string): Denial {
  return { status: 401, code: "token_missing", reason };
}

/** @throws Whatever is not the store's failure. */
function storeUnavailable(fault: unknown): Result<Token, Denial> {
  if (!(fault instanceof GateError) || fault.code !== "store_unavailable") throw fault;
  return err({ status: 503, code: "store_unavailable", reason: "session_unread" });
}

/**
 * What another site makes a browser send comes with the person's cookie, too: it may look, and
 * change nothing (design, section 7).
 */
function checkCrossSite(
  { config }: Rules,
  route: Route,
  inquiry: Inquiry,
  token: Token,
): Denial | undefined {
  if (token.session === undefined || route.config.crossSite === "allow") return undefined;
  const { method, headers } = inquiry;
  const isSafe = SAFE_METHODS.includes(method) && !headers.has("upgrade");
  if (isSafe) return undefined;
  const origin = headers.get("origin");
  const isForeign =
    origin === null
      ? headers.get("sec-fetch-site") === "cross-site"
      : !isOwnOrigin({ secure: isSecure(config) }, origin, inquiry);
  return isForeign ? { status: 403, code: "cross_site", reason: "origin_foreign" } : undefined;
}

/** RFC 9110 §9.2.1, but for TRACE, which nobody gets. */
const SAFE_METHODS: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/**
 * What is known to be revoked is refused whatever became of the store. While the store has
 * been lost for too long nobody knows what else is, and the gate closes unless told not to.
 */
export function checkRevocation({ revocations, config }: Rules, token: Token): Denial | undefined {
  const revocation = revocations.check(token);
  if (revocation !== undefined) {
    if (hasEnded(token, revocation)) return noSession("session_ended");
    return { status: 401, code: "token_revoked", reason: `${revocation.kind}_revoked` };
  }
  if (config.revocation.onStoreLoss === "serve" || revocations.state().fresh) return undefined;
  return { status: 503, code: "store_unavailable", reason: "revocations_stale" };
}

/** A session that its owner or the provider has ended was not taken from anybody: there is none. */
function hasEnded({ session }: Token, { kind, author }: Revocation): boolean {
  return session !== undefined && (kind === "logout" || author === SIGN_OUT_AUTHOR);
}

function malformed(reason: string): Denial {
  return { status: 400, code: "request_malformed", reason };
}
