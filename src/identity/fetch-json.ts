/**
 * One small JSON document from an issuer, bounded in size and time and never redirected.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { GateError } from "../errors.ts";
import { isLoopbackHost } from "../lib/host.ts";

/** The part of `fetch` that is used; tests may put their own in its place. */
export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;

export type FetchLimits = {
  /** Until the body's last byte. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
};

export const FETCH_LIMITS: FetchLimits = { timeoutMs: 5_000, maxBytes: 1024 * 1024 };

/**
 * @param url Has been through `checkKeyUrl`.
 * @throws GateError `keys_unavailable` when nobody answers in time, `keys_refused` for an answer
 *   that is not taken: another status than 200, too large, not JSON. The message names no address.
 */
export async function fetchJson(
  url: string,
  fetch: Fetch,
  stop: AbortSignal,
  limits: FetchLimits,
): Promise<unknown> {
  const deadline = AbortSignal.timeout(limits.timeoutMs);
  const signal = AbortSignal.any([stop, deadline]);
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  // Whoever loses the race below must not become an unhandled rejection.
  aborted.catch(() => undefined);
  try {
    return parse(await Promise.race([aborted, download(url, fetch, signal, limits.maxBytes)]));
  } catch (error) {
    if (error instanceof GateError) throw error;
    if (deadline.aborted) {
      throw new GateError("keys_unavailable", `no answer within ${limits.timeoutMs} ms`);
    }
    throw new GateError("keys_unavailable", `could not connect (${codeOf(error)})`, {
      cause: error,
    });
  }
}

/**
 * https anywhere; http on loopback alone, and there only for a loopback issuer: a remote
 * document must not point the gate at its own machine.
 *
 * @param base The issuer's own address, where the URL comes from its discovery document.
 * @returns What is wrong, or `undefined`.
 */
export function checkKeyUrl(text: string, base?: string): string | undefined {
  const url = URL.parse(text);
  if (url === null) return "not an address";
  if (url.username !== "" || url.password !== "") return "an address with credentials";
  if (url.protocol === "https:") return undefined;
  if (url.protocol !== "http:") return "neither https nor http";
  const isLocal = isLoopback(url) && (base === undefined || isLoopback(URL.parse(base)));
  return isLocal ? undefined : "http, which is for loopback alone";
}

/**
 * The whole body, unpacked, of an answer that was fetched with `decompress: false`.
 *
 * @throws GateError `keys_refused` for one that is too large, or packed otherwise than by gzip.
 */
export async function readBody(response: Response, maxBytes: number): Promise<Uint8Array> {
  const bytes = await readBounded(response, maxBytes);
  return unpack(bytes, response.headers.get("content-encoding"), maxBytes);
}

function isLoopback(url: URL | null): boolean {
  return url !== null && isLoopbackHost(url.hostname);
}

async function download(
  url: string,
  fetch: Fetch,
  signal: AbortSignal,
  maxBytes: number,
): Promise<Uint8Array> {
  const response = await fetch(url, {
    signal,
    redirect: "manual",
    headers: { accept: "application/json", "accept-encoding": "gzip" },
    // Bun unpacks a piece whole before anyone can count: 30 KB of zstd become a gigabyte.
    decompress: false,
    // What stays on this machine is never asked of the environment's proxy.
    ...(isLoopback(URL.parse(url)) && { proxy: false }),
  });
  try {
    if (response.status !== 200) {
      const kind = response.status >= 300 && response.status < 400 ? "a redirect" : "status";
      throw new GateError("keys_refused", `answered with ${kind} ${response.status}`);
    }
    return await readBody(response, maxBytes);
  } finally {
    // A body that was not read to its end would hold its connection.
    await response.body?.cancel().catch(() => undefined);
  }
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const reader = response.body?.getReader();
  if (reader === undefined) return new Uint8Array();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.byteLength;
      if (size > maxBytes) {
        await reader.cancel();
        throw new GateError("keys_refused", `answered with more than ${maxBytes} bytes`);
      }
      chunks.push(part.value);
    }
  } finally {
    reader.releaseLock();
  }
  return Buffer.concat(chunks);
}

/** gzip alone was asked for; some servers have nothing else and send it unasked, too. */
function unpack(bytes: Uint8Array, encoding: string | null, maxBytes: number): Uint8Array {
  if (encoding === null || /^identity$/i.test(encoding)) return bytes;
  if (!/^(?:x-)?gzip$/i.test(encoding)) {
    throw new GateError("keys_refused", "answered in an encoding that was not asked for");
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    const isTooLarge = codeOf(error) === "ERR_BUFFER_TOO_LARGE";
    const what = isTooLarge ? `more than ${maxBytes} bytes` : "something other than JSON";
    throw new GateError("keys_refused", `answered with ${what}`);
  }
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    // The parser quotes what it chokes on; the operator needs no more than this.
    throw new GateError("keys_refused", "answered with something other than JSON");
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "failed";
}
