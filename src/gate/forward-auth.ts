/**
 * `/.claimgate/verify`: another proxy asks whether a request that it has may pass (`auth_request`
 * of nginx, ForwardAuth of Traefik, `forward_auth` of Caddy, `ext_authz` of Envoy). It is read by
 * the same rules as one of the gate's own and decided in the same way; only the answer goes to
 * the proxy, and nothing is forwarded.
 *
 * @module
 */
import { LONGEST_RETURN, type Origins } from "../login/origins.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial, Inquiry } from "../types.ts";
import type { Approval } from "./decide.ts";
import { type Connection, isTrustedPeer, type ReadInquiry, readInquiry } from "./inquire.ts";
import type { Rules } from "./site.ts";

const VERIFY_PATH = "/.claimgate/verify";

/** A question of a trusted proxy. */
export type Verification = {
  /** The request that it asks about. */
  readonly read: Result<ReadInquiry, Denial>;
  /** `status`: for a proxy that knows 401 and 403 alone, and shows no answer but its own. */
  readonly denied: "answer" | "status";
};

type Arriving = Pick<Request, "method" | "url" | "headers">;

type Asked = {
  readonly connection: Connection;
  readonly surroundings: Rules["surroundings"];
  readonly id: string;
  readonly nowMs: number;
};

/** What a proxy says of a request that it has. */
type Original = {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** Path and query, byte for byte. */
  readonly target: string;
};

/**
 * @param read The request to the gate itself.
 * @returns `undefined` for whatever is no such question, and for one by somebody who may not ask.
 */
export function readVerification(
  request: Arriving,
  { inquiry }: ReadInquiry,
  asked: Asked,
): Verification | undefined {
  // As it was sent, not as it can be read: nobody writes this address in another way.
  const target = request.url.slice(request.url.indexOf("/", "https://".length));
  const rest = target.startsWith(VERIFY_PATH) ? target.slice(VERIFY_PATH.length) : undefined;
  if (rest === undefined || !/^(?:$|[/?])/.test(rest)) return undefined;
  if (!isTrustedPeer(asked.connection, asked.surroundings)) return undefined;
  if (rest.startsWith("/")) {
    const { method, scheme, authority } = inquiry;
    const original = { method, scheme, authority, target: rest };
    return { read: readOriginal(request.headers, original, asked), denied: "answer" };
  }
  const denied = new URLSearchParams(rest).get("denied") === "status" ? "status" : "answer";
  const original = readForwarded(request.headers);
  if (original.ok) return { read: readOriginal(request.headers, original.value, asked), denied };
  const isProxysFault = PROXYS_FAULTS.includes(original.error.reason ?? "");
  return { read: original, denied: isProxysFault ? "answer" : denied };
}

/** Of how it is set up, not of the request that it asks about. */
const PROXYS_FAULTS: readonly string[] = ["forwarded_missing", "forwarded_twice"];

/** Two ways to say it. Both at once: one is the proxy's word and one the client's. */
function readForwarded(headers: Headers): Result<Original, Denial> {
  const [url, originalMethod] = [headers.get("x-original-url"), headers.get("x-original-method")];
  const [uri, method] = [headers.get("x-forwarded-uri"), headers.get("x-forwarded-method")];
  const isOriginal = url !== null || originalMethod !== null;
  if (isOriginal && (uri !== null || method !== null)) return err(malformed("forwarded_twice"));
  if (isOriginal) {
    if (url === null || originalMethod === null) return err(malformed("forwarded_missing"));
    const [, scheme, authority, target] = ORIGINAL_URL.exec(url) ?? [];
    if (scheme === undefined || authority === undefined || target === undefined) {
      return err(malformed("forwarded_url_invalid"));
    }
    return checked({ method: originalMethod, scheme, authority, target });
  }
  const [scheme, authority] = [headers.get("x-forwarded-proto"), headers.get("x-forwarded-host")];
  if (uri === null || method === null || scheme === null || authority === null) {
    return err(malformed("forwarded_missing"));
  }
  return checked({ method, scheme: scheme.toLowerCase(), authority, target: uri });
}

/** Neither user nor fragment; what is left is read by the rules for all hosts and targets. */
const ORIGINAL_URL = /^(https?):\/\/([^/?#@\\\s]+)(\/[^#\s]*)$/;
const METHOD = /^[A-Z][A-Z_-]{0,31}$/;
/** From the slash on, visible ASCII: a header that is given twice arrives with a space in it. */
const TARGET = /^\/[\x21-\x22\x24-\x7e]*$/;

function checked(original: Original): Result<Original, Denial> {
  const { method, scheme, target } = original;
  if (!METHOD.test(method)) return err(malformed("forwarded_method_invalid"));
  if (scheme !== "http" && scheme !== "https") return err(malformed("forwarded_proto_invalid"));
  if (!TARGET.test(target)) return err(malformed("forwarded_uri_invalid"));
  return ok(original);
}

/** As if the request had come to the gate itself, but that nobody has resolved its dots. */
function readOriginal(
  inbound: Headers,
  { method, scheme, authority, target }: Original,
  { connection, surroundings, id, nowMs }: Asked,
): Result<ReadInquiry, Denial> {
  const headers = new Headers(inbound);
  for (const name of PROXY_HEADERS) headers.delete(name);
  headers.set("host", authority);
  headers.set("x-forwarded-proto", scheme);
  // Most proxies keep the upgrade itself back when they ask.
  if (headers.has("sec-websocket-key") || headers.has("sec-websocket-version")) {
    headers.set("upgrade", "websocket");
  }
  const url = `${scheme}://${authority}${target}`;
  return readInquiry({ method, url, headers }, connection, surroundings, id, nowMs);
}

/** By which a proxy asks; policies see the request as the proxy got it. */
const PROXY_HEADERS: readonly string[] = [
  "x-original-url",
  "x-original-method",
  "x-forwarded-method",
  "x-forwarded-uri",
  "x-forwarded-host",
];

/**
 * The answer that lets a request pass: 200, with what the application is to be told.
 *
 * Every header by which any application is told something is there, empty where there is
 * nothing to tell: a proxy that takes them over leaves nothing of what its client has sent.
 */
export function answerApproved(
  { claimedHeaders }: Pick<Rules, "claimedHeaders">,
  inquiry: Inquiry,
  { identity, policyHeaders }: Approval,
): Response {
  const headers = new Headers({ "Cache-Control": "no-store" });
  for (const name of claimedHeaders) headers.set(name, "");
  for (const name in policyHeaders) headers.set(name, policyHeaders[name] ?? "");
  for (const [name, value] of identity) headers.set(name, value);
  headers.set("X-Request-Id", inquiry.id);
  return new Response(null, { status: 200, headers });
}

/**
 * Makes of a denial what a proxy with `denied=status` understands: whatever is the request's own
 * fault is 403 there, for it would make a fault of the gate's of anything else.
 */
export function forProxy(verification: Verification | undefined, denial: Denial): Denial {
  const { status } = denial;
  if (verification?.denied !== "status" || status === 401 || status >= 500) return denial;
  return { ...denial, status: 403 };
}

/**
 * Where a browser signs in, whole: a proxy may take a path for one of the gate's own host.
 *
 * @param address Where it would sign in if it were at the gate: a path of ours.
 */
export function signInElsewhere(
  origins: Pick<Origins, "public" | "of">,
  inquiry: Inquiry,
  address: string,
): string {
  const url = new URL(address, origins.public);
  const path = url.searchParams.get("return") ?? "/";
  const origin = origins.of(inquiry) ?? origins.public;
  const whole = `${origin}${path}`;
  url.searchParams.set("return", whole.length <= LONGEST_RETURN ? whole : `${origin}/`);
  return url.href;
}

function malformed(reason: string): Denial {
  return { status: 400, code: "request_malformed", reason };
}
