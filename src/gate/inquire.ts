/**
 * Reads a `Request` into an `Inquiry`, once, so that every later step looks at the same
 * host, path and client. What two parsers could read in two ways is refused here.
 *
 * @module
 */
import { canonicalAddress } from "../lib/cidr.ts";
import { readDevice } from "../lib/device.ts";
import { canonicalHost } from "../lib/host.ts";
import { readPath } from "../lib/path.ts";
import { err, ok, type Result } from "../result.ts";
import type { Client, Denial, Device, Inquiry, Location } from "../types.ts";
import type { Place } from "./geo.ts";

/** What the listener knows of the connection a request came on. */
export type Connection = {
  /** As the socket says; `null` on a unix socket. */
  readonly address: string | null;
  readonly scheme: "http" | "https";
  /** Plain HTTP beyond loopback, opened for `trustedProxies` alone (design, section 4, Peers). */
  readonly trustedOnly: boolean;
};

/** What the configuration says of callers. */
export type Surroundings = {
  /** Whether a canonical address, or "unix", is in `trustedProxies`. */
  readonly isTrusted: (peer: string) => boolean;
  readonly placeOf: (ip: string) => Place;
};

export type ReadInquiry = {
  readonly inquiry: Inquiry;
  /** Every reading of an ambiguous path must match the same route. */
  readonly ambiguousPath: boolean;
  /** For the upstream's `X-Forwarded-For`: the believed chain, then the peer. */
  readonly forwardedFor: string;
};

/** Characters of path and query together; well over what browsers send, under Bun's own limit. */
const TARGET_LIMIT = 8 * 1024;
/** Bytes of names and values; over the 16 KB of the longest token, under Bun's own limit. */
const HEADERS_LIMIT = 32 * 1024;
const HEADER_COUNT_LIMIT = 200;
/** More hops than this is a loop or an attack. */
const HOPS_LIMIT = 32;
/** RFC 3986 §3.2.2 names and address literals, and nothing that parsers disagree on. */
const HOST = /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;

/**
 * @param id The request's id.
 * @returns The inquiry, or the denial: 400, 414, 431 or 501.
 */
export function readInquiry(
  request: Pick<Request, "method" | "url" | "headers">,
  connection: Connection,
  surroundings: Surroundings,
  id: string,
  nowMs: number,
): Result<ReadInquiry, Denial> {
  const { method, url, headers } = request;
  if (method === "TRACE" || method === "CONNECT") {
    return err({ status: 501, code: "method_unsupported" });
  }
  const tooLarge = checkHeaderSize(headers);
  if (tooLarge !== undefined) return err(tooLarge);

  const authority = headers.get("host") ?? "";
  const host = HOST.test(authority) ? canonicalHost(authority) : undefined;
  if (host === undefined) return err(malformed("host_invalid"));

  // Bun makes the url of scheme, Host and target; with the Host checked, the first
  // slash after "http://x" begins the target.
  const start = url.indexOf("/", 8);
  if (start < 0 || url.charCodeAt(0) === 47) return err(malformed("target_invalid"));
  if (url.length - start > TARGET_LIMIT) {
    return err({ status: 414, code: "too_large", reason: "target_too_long" });
  }
  if (url.includes("#", start)) return err(malformed("fragment"));
  const queryAt = url.indexOf("?", start);
  const path = readPath(queryAt < 0 ? url.slice(start) : url.slice(start, queryAt));
  if (!path.ok) return err(malformed(path.error));

  const caller = readCaller(headers, connection, surroundings);
  if (!caller.ok) return caller;

  const inquiry: Inquiry = {
    id,
    method,
    scheme: caller.value.scheme,
    host,
    authority,
    path: path.value.path,
    query: queryAt < 0 ? "" : url.slice(queryAt),
    headers,
    client: new LazyClient(caller.value.ip, headers, surroundings.placeOf),
    nowMs,
  };
  const { forwardedFor } = caller.value;
  return ok({ inquiry, ambiguousPath: path.value.ambiguous, forwardedFor });
}

function checkHeaderSize(headers: Headers): Denial | undefined {
  let bytes = 0;
  let count = 0;
  headers.forEach((value, name) => {
    bytes += name.length + value.length;
    count += 1;
  });
  if (bytes <= HEADERS_LIMIT && count <= HEADER_COUNT_LIMIT) return undefined;
  return { status: 431, code: "too_large", reason: "headers_too_large" };
}

/** Whether it comes from one of `trustedProxies`. */
export function isTrustedPeer(
  { address }: Connection,
  { isTrusted }: Pick<Surroundings, "isTrusted">,
): boolean {
  const peer = peerOf(address);
  return peer !== undefined && isTrusted(peer);
}

/** Who resets the connection at once has no address any more. */
function peerOf(address: string | null): string | undefined {
  return address === null ? "unix" : canonicalAddress(withoutZone(address));
}

type Caller = Pick<Inquiry, "scheme"> & { readonly ip: string; readonly forwardedFor: string };

function readCaller(
  headers: Headers,
  connection: Connection,
  { isTrusted }: Surroundings,
): Result<Caller, Denial> {
  const peer = peerOf(connection.address);
  if (peer === undefined) return err(malformed("peer_gone"));
  if (!isTrusted(peer)) {
    if (connection.trustedOnly) return err(malformed("peer_not_trusted"));
    return ok({ ip: peer, scheme: connection.scheme, forwardedFor: peer });
  }
  const scheme = headers.get("x-forwarded-proto")?.toLowerCase() ?? connection.scheme;
  if (scheme !== "http" && scheme !== "https") return err(malformed("forwarded_proto_invalid"));
  const chain = readForwardedFor(headers.get("x-forwarded-for"), isTrusted);
  if (!chain.ok) return chain;
  const forwardedFor = [...chain.value, peer].join(", ");
  return ok({ ip: chain.value[0] ?? peer, scheme, forwardedFor });
}

/**
 * From the right, each address was written by the hop after it: trusted ones are passed
 * over, the first other one is the client, and what stands left of it is the client's own
 * word, not looked at.
 *
 * @returns The client, then the trusted hops after it; empty where there is no header.
 */
function readForwardedFor(
  header: string | null,
  isTrusted: (peer: string) => boolean,
): Result<string[], Denial> {
  if (header === null) return ok([]);
  const entries = header.split(",");
  if (entries.length > HOPS_LIMIT) return err(malformed("forwarded_for_too_long"));
  const chain: string[] = [];
  for (const entry of entries.reverse()) {
    const address = canonicalAddress(withoutPort(entry.trim()));
    if (address === undefined) return err(malformed("forwarded_for_invalid"));
    chain.unshift(address);
    if (!isTrusted(address)) break;
  }
  return ok(chain);
}

/** Of a link-local peer: which of our own interfaces it is on (RFC 4007 §11.2). */
function withoutZone(address: string): string {
  const zone = address.indexOf("%");
  return zone < 0 ? address : address.slice(0, zone);
}

/** Some proxies write `10.0.0.1:4711` and `[::1]:4711`. */
function withoutPort(entry: string): string {
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(entry);
  if (bracketed?.[1] !== undefined) return bracketed[1];
  return entry.replace(/^(\d+\.\d+\.\d+\.\d+):\d{1,5}$/, "$1");
}

/** Device and place cost something and few policies ask: they are read when first looked at. */
class LazyClient implements Client {
  #device: Device | undefined;
  #place: Place | undefined;
  readonly #headers: Headers;
  readonly #placeOf: (ip: string) => Place;

  constructor(
    readonly ip: string,
    headers: Headers,
    placeOf: (ip: string) => Place,
  ) {
    this.#headers = headers;
    this.#placeOf = placeOf;
  }

  get device(): Device {
    this.#device ??= readDevice(this.#headers);
    return this.#device;
  }

  get country(): string | undefined {
    return this.#found().country;
  }

  get location(): Location | undefined {
    return this.#found().location;
  }

  #found(): Place {
    this.#place ??= this.#placeOf(this.ip);
    return this.#place;
  }
}

function malformed(reason: string): Denial {
  return { status: 400, code: "request_malformed", reason };
}
