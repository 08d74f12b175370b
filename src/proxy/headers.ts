/**
 * What the upstream is told and what the client gets back. Pure: no I/O, clock or
 * configuration. Fields of this hop and everything a client could claim in our name go
 * first; ours are set afterwards, so that no `Connection` option can take them away.
 *
 * @module
 */
import type { HeaderEdits, RouteConfig } from "../config/resolved.ts";
import { err, ok, type Result } from "../result.ts";
import { withoutCookies } from "./credential.ts";

/** Fields that end at this hop, each with the rule that says so. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  "connection", // RFC 9110 §7.6.1: removed once its options are applied
  "keep-alive", // RFC 9110 §7.6.1
  "proxy-connection", // RFC 9110 §7.6.1: non-standard, still sent
  "te", // RFC 9110 §10.1.4
  "transfer-encoding", // RFC 9112 §6.1: fetch frames the body again
  "upgrade", // RFC 9110 §7.8: tunnels set it anew
  "trailer", // RFC 9110 §6.6.2: we do not relay trailers
  "proxy-authenticate", // RFC 9110 §11.7.1
  "proxy-authorization", // RFC 9110 §11.7.2: meant for us, not upstream
  "http2-settings", // RFC 7540 §3.2.1: belongs to an h2c upgrade, which we do not do
]);

/** Fields of a request by which a client could speak in our name, or that are ours to set. */
const OURS: ReadonlySet<string> = new Set([
  "host", // set by fetch from the upstream's address, or from `preserveHost`
  "expect", // RFC 9110 §10.1.1: our listener has already answered 100
  "forwarded", // RFC 7239
  "x-forwarded",
  "x-real-ip",
  "x-request-id",
  "x-original-url", // rewrites the path in IIS, Symfony, Zend
  "x-original-uri",
  "x-rewrite-url",
  "x-http-method-override", // would change the method after the decision
  "x-http-method",
  "x-method-override",
]);

/** The gate's session cookies, which no upstream sees. */
const GATE_COOKIES: readonly string[] = ["claimgate", "__Host-claimgate"];

/** Cookies of sign-ins under way. */
const GATE_COOKIE_BEGINNINGS: readonly string[] = ["claimgate-login-", "__Host-claimgate-login-"];

const NOTHING_WRONG = ok(undefined);

/** A field name: RFC 9110 §5.6.2 `token`. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/i;
/** A lower-case name of letters, digits and hyphens, which is nobody's look-alike. */
const PLAIN_NAME = /^[a-z0-9-]*$/;
const ODD_IN_NAME = /[^a-z0-9-]/g;
/** Bearer, alone or after another credential in a joined field. */
const BEARER = /(?:^|,)\s*bearer\b/i;

/** Compiled once for each route; what every request needs is looked up here. */
export type HeaderPlan = {
  /** Folded names: their look-alikes go with them. */
  readonly dropped: ReadonlySet<string>;
  /** A bearer token in `Authorization` goes; another scheme is the application's. */
  readonly dropsBearer: boolean;
  readonly cookies: readonly string[];
  /** Query parameters that carry the credential. */
  readonly parameters: readonly string[];
  readonly preserveHost: boolean;
  readonly request: HeaderPlanEdits;
  readonly response: HeaderPlanEdits;
};

type HeaderPlanEdits = {
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
};

/** What the gate knows of this one request. */
export type RequestFacts = {
  /** The trusted chain plus the peer. */
  readonly forwardedFor: string;
  readonly proto: "http" | "https";
  /** Host and port as the client sent them. */
  readonly authority: string;
  readonly requestId: string;
  readonly identity: readonly (readonly [name: string, value: string])[];
  readonly policyHeaders: Readonly<Record<string, string>>;
};

type HeaderError = {
  readonly reason: "connection_option_invalid";
  readonly option: string;
};

/**
 * @param identityNames Headers that any route of the configuration uses for identity: none
 *   of them is ever taken from a client, on no route.
 */
export function planHeaders(route: RouteConfig, identityNames: readonly string[]): HeaderPlan {
  const dropped = new Set([...HOP_BY_HOP, ...OURS]);
  for (const name of identityNames) dropped.add(fold(name.toLowerCase()));
  const cookies = [...GATE_COOKIES];
  const parameters: string[] = [];
  let dropsBearer = false;
  const places = route.public || route.forwardToken ? [] : route.credentials;
  for (const place of places) {
    if (place.kind === "authorization") dropsBearer = true;
    if (place.kind === "header") dropped.add(fold(place.name.toLowerCase()));
    if (place.kind === "cookie") cookies.push(place.name);
    if (place.kind === "query") parameters.push(place.name);
  }
  return {
    dropped,
    dropsBearer,
    cookies,
    parameters,
    preserveHost: route.preserveHost,
    request: planEdits(route.requestHeaders),
    response: planEdits(route.responseHeaders),
  };
}

/**
 * The headers for the upstream. Later ones win: the client's, the route's edits, the
 * policies', identity, ours.
 *
 * @param inbound As received; not modified.
 * @returns New headers, or `connection_option_invalid`, which is 400 for the client.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
 */
export function requestHeaders(
  inbound: Headers,
  plan: HeaderPlan,
  facts: RequestFacts,
): Result<Headers, HeaderError> {
  const headers = new Headers(inbound);
  const stripped = dropListed(headers);
  if (!stripped.ok) return stripped;
  inbound.forEach((_, name) => {
    const folded = fold(name);
    if (plan.dropped.has(folded) || folded.startsWith("x-forwarded-")) headers.delete(name);
  });
  if (plan.dropsBearer && BEARER.test(headers.get("authorization") ?? "")) {
    headers.delete("authorization");
  }
  dropCookies(headers, plan.cookies);

  applyEdits(headers, plan.request);
  for (const name in facts.policyHeaders) headers.set(name, facts.policyHeaders[name] ?? "");
  for (const [name, value] of facts.identity) headers.set(name, value);
  headers.set("x-forwarded-for", facts.forwardedFor);
  headers.set("x-forwarded-proto", facts.proto);
  headers.set("x-forwarded-host", facts.authority);
  headers.set("x-request-id", facts.requestId);
  if (plan.preserveHost) headers.set("host", facts.authority);
  // Bun adds its own where there is none; an empty one is the least it allows.
  if (!headers.has("user-agent")) headers.set("user-agent", "");
  if (!headers.has("accept")) headers.set("accept", "");
  return ok(headers);
}

/**
 * Makes an upstream's answer fit for the client, in place: a copy would cost, and fetch's
 * own answer is ours to change.
 *
 * @returns `connection_option_invalid`, which is a 502, when the upstream's `Connection`
 *   names what cannot be a field.
 */
export function cleanResponseHeaders(
  headers: Headers,
  plan: HeaderPlan,
  requestId: string,
): Result<undefined, HeaderError> {
  const stripped = dropListed(headers);
  if (!stripped.ok) return stripped;
  for (const name of HOP_BY_HOP) if (headers.has(name)) headers.delete(name);
  if (headers.has("set-cookie")) dropSetCookies(headers);
  applyEdits(headers, plan.response);
  headers.set("x-request-id", requestId);
  return NOTHING_WRONG;
}

/** Removes what `Connection` names, after checking every option. */
function dropListed(headers: Headers): Result<undefined, HeaderError> {
  const connection = headers.get("connection");
  // Nearly always; the field of that name goes anyway.
  if (connection === null || connection === "keep-alive") return NOTHING_WRONG;
  const options = connection.split(",").map((option) => option.trim());
  for (const option of options) {
    if (option !== "" && !TOKEN.test(option)) {
      return err({ reason: "connection_option_invalid", option });
    }
  }
  for (const option of options) if (option !== "") headers.delete(option);
  return NOTHING_WRONG;
}

function dropCookies(headers: Headers, names: readonly string[]): void {
  const cookie = headers.get("cookie");
  if (cookie === null) return;
  const kept = withoutCookies(cookie, names, GATE_COOKIE_BEGINNINGS);
  if (kept === "") headers.delete("cookie");
  else if (kept !== cookie) headers.set("cookie", kept);
}

/**
 * The gate's own cookies are set by the gate alone: an application that could set them would
 * sign a person in as whom it likes, in every other application at that host.
 */
function dropSetCookies(headers: Headers): void {
  const lines = headers.getSetCookie();
  const kept = lines.filter((line) => {
    // Browsers send one without a name as its value alone: `=claimgate=…` comes back as ours.
    const name =
      line
        .replace(/^[\s=]+/, "")
        .split(/[=;]/, 1)[0]
        ?.trim() ?? "";
    const isOurs =
      GATE_COOKIES.includes(name) || GATE_COOKIE_BEGINNINGS.some((b) => name.startsWith(b));
    return !isOurs;
  });
  if (kept.length === lines.length) return;
  headers.delete("set-cookie");
  for (const line of kept) headers.append("set-cookie", line);
}

function applyEdits(headers: Headers, edits: HeaderPlanEdits): void {
  for (const name of edits.remove) headers.delete(name);
  for (const [name, value] of edits.set) headers.set(name, value);
}

function planEdits(edits: HeaderEdits): HeaderPlanEdits {
  return { set: Object.entries(edits.set), remove: edits.remove };
}

/**
 * Many servers (CGI, WSGI) make one variable of `X-User` and `X_User`; some (lighttpd, older
 * Apache) of `X.User` and whatever else is neither letter nor digit, too.
 */
function fold(lowerCaseName: string): string {
  return PLAIN_NAME.test(lowerCaseName) ? lowerCaseName : lowerCaseName.replace(ODD_IN_NAME, "-");
}
