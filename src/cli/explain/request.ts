/**
 * A request that nobody made, from the flags that describe it, as the gate would have got it.
 *
 * @module
 */
import type { CredentialPlace } from "../../config/resolved.ts";
import { GateError } from "../../errors.ts";
import { canonicalAddress } from "../../lib/cidr.ts";
import { err, ok, type Result } from "../../result.ts";

export type RequestFlags = {
  readonly url?: string;
  readonly method?: string;
  readonly ip?: string;
  readonly header?: readonly string[];
  readonly at?: string;
};

/** What the gate reads of a request, and of the connection it came on. */
export type MadeUpRequest = {
  readonly method: string;
  /** As the URL parser writes it, like one that has arrived. */
  readonly url: string;
  readonly headers: Headers;
  /** Canonical; `null` for a unix socket. */
  readonly address: string | null;
  readonly scheme: "http" | "https";
  /** Milliseconds since 1970. */
  readonly nowMs: number;
};

const METHOD = /^[A-Za-z][A-Za-z-]{0,31}$/;
/** ISO 8601 with a zone: a wall clock alone would mean another moment on another machine. */
const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/;
export const FROM_HERE = "127.0.0.1";

/** @throws GateError `usage_wrong`; it never quotes a header's value or a query. */
export function readRequest(flags: RequestFlags, nowMs: number): MadeUpRequest {
  const { method = "GET", at, ip = FROM_HERE } = flags;
  return madeUpRequest({
    url: flag("--url", readUrl(flags.url ?? "")),
    method: flag("--method", readMethod(method)),
    headers: readHeaders(flags.header ?? []),
    address: flag("--ip", readAddress(ip)),
    nowMs: at === undefined ? nowMs : flag("--at", readTime(at)),
  });
}

/** @param parts `headers` gets a Host where it has none. */
export function madeUpRequest(parts: {
  readonly url: URL;
  readonly method: string;
  readonly headers: Headers;
  readonly address: string | null;
  readonly nowMs: number;
}): MadeUpRequest {
  const { url, headers, ...rest } = parts;
  if (!headers.has("host")) headers.set("host", url.host);
  const scheme = url.protocol === "https:" ? "https" : "http";
  return { ...rest, url: url.href, headers, scheme };
}

/** @returns The request with the credential in that place, besides what is there already. */
export function withCredential(
  request: MadeUpRequest,
  place: CredentialPlace,
  credential: string,
): MadeUpRequest {
  const headers = new Headers(request.headers);
  let { url } = request;
  try {
    switch (place.kind) {
      case "authorization":
        headers.append("authorization", `Bearer ${credential}`);
        break;
      case "header":
        headers.append(place.name, credential);
        break;
      case "cookie": {
        const others = headers.get("cookie");
        const cookie = `${place.name}=${credential}`;
        headers.set("cookie", others === null ? cookie : `${others}; ${cookie}`);
        break;
      }
      case "query": {
        const pair = `${encodeURIComponent(place.name)}=${encodeURIComponent(credential)}`;
        url += url.includes("?") ? `&${pair}` : `?${pair}`;
      }
    }
  } catch {
    // The message of Headers quotes the value.
    throw usage("the token holds what no header can carry");
  }
  return { ...request, url, headers };
}

/** @returns `authorization`, `session`, `cookie access`. */
export function placeWord(place: CredentialPlace): string {
  return "name" in place ? `${place.kind} ${place.name}` : place.kind;
}

/** @returns The error says what it takes, and quotes nothing. */
export function readUrl(written: string): Result<URL, string> {
  // As curl does it: what has no scheme is http.
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(written) ? written : `http://${written}`);
  if (url === null || !/^https?:$/.test(url.protocol) || /^[/?#]/.test(written)) {
    return err("takes a whole address, like https://app.acme.dev/orders/1");
  }
  if (url.username !== "" || url.password !== "") {
    return err("has a user name in it: no gate would see that");
  }
  url.hash = "";
  return ok(url);
}

/** @returns In upper case. */
export function readMethod(written: string): Result<string, string> {
  return METHOD.test(written) ? ok(written.toUpperCase()) : err("takes a method, like POST");
}

/** @returns Canonical; `null` for `unix`. */
export function readAddress(ip: string): Result<string | null, string> {
  const address = ip === "unix" ? null : canonicalAddress(ip);
  return address === undefined ? err("takes an address, like 10.0.0.7") : ok(address);
}

/** @returns Milliseconds since 1970. */
export function readTime(at: string): Result<number, string> {
  const ms = TIME.test(at) ? Date.parse(at) : Number.NaN;
  if (!Number.isNaN(ms)) return ok(ms);
  return err("takes a time with its zone, like 2026-01-05T10:00:00Z");
}

function readHeaders(written: readonly string[]): Headers {
  const headers = new Headers();
  for (const one of written) {
    const colon = one.indexOf(":");
    try {
      if (colon < 1) throw new TypeError("no name");
      headers.append(one.slice(0, colon), one.slice(colon + 1).trim());
    } catch {
      // The message of Headers quotes the value.
      throw usage("--header takes 'Name: value'");
    }
  }
  return headers;
}

function flag<T>(name: string, read: Result<T, string>): T {
  if (read.ok) return read.value;
  throw usage(`${name} ${read.error}`);
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}
