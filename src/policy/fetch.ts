/**
 * The network of policies: kept apart from that of requests and of keys, and bounded, so that a
 * service which is slow or answers too much harms the policies that ask it and nobody else.
 *
 * @module
 */
import { isLoopbackHost } from "../lib/host.ts";
import { asGate } from "./scope.ts";
import { openTurnstile } from "./turnstile.ts";

/** For one process: all policies, and one of them. */
const IN_FLIGHT_LIMIT = 64;
const IN_FLIGHT_LIMIT_EACH = 32;
const WAITING_LIMIT = 1_000;
const ANSWER_LIMIT_BYTES = 1_048_576;
/** For what a policy began and did not wait for. */
const LONGEST_MS = 30_000;

const turnstile = openTurnstile({
  all: IN_FLIGHT_LIMIT,
  each: IN_FLIGHT_LIMIT_EACH,
  waiting: WAITING_LIMIT,
});

let session: Bun.FetchSession | undefined;

function connections(): Bun.FetchSession {
  session ??= new Bun.FetchSession({
    tls: { rejectUnauthorized: true },
    keepAlive: { idleTimeout: 50, maxIdleSockets: IN_FLIGHT_LIMIT },
  });
  return session;
}

/**
 * Sends a policy's request and reads the whole answer, up to 1 MB.
 *
 * @param policy Its name: each may have so many requests under way.
 * @param signal Ends it, whatever it is doing.
 * @returns Rejects with an Error that tells the address without query and credentials.
 */
export async function fetchForPolicy(
  policy: string,
  address: string,
  init: RequestInit,
  signal: AbortSignal,
): Promise<Response> {
  const url = URL.parse(address);
  if (url === null) throw new TypeError("fetch wants a whole address, like https://hr.example/");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError("fetch is for http and https alone");
  }
  return await asGate(async () => {
    const leave = await turnstile.enter(policy, signal);
    try {
      return await send(url, init, signal);
    } finally {
      leave();
    }
  });
}

async function send(url: URL, init: RequestInit, signal: AbortSignal): Promise<Response> {
  signal.throwIfAborted();
  const where = `${url.origin}${url.pathname}`;
  const aborter = new AbortController();
  const stop = () => aborter.abort(signal.reason);
  const timer = setTimeout(
    () => aborter.abort(new Error(`${where} took more than 30 s`)),
    LONGEST_MS,
  );
  signal.addEventListener("abort", stop);
  try {
    const { method, body, keepalive, redirect = "manual" } = init;
    const headers = new Headers(init.headers);
    // Bun unpacks a piece whole before anyone can count: 30 KB of zstd become a gigabyte.
    if (!headers.has("accept-encoding")) headers.set("accept-encoding", "identity");
    // Only what is named here: certificates are checked, whatever else the policy says.
    const response = await fetch(url, {
      session: connections(),
      headers,
      redirect,
      decompress: false,
      signal: aborter.signal,
      ...(method !== undefined && { method }),
      ...(body !== undefined && { body }),
      ...(keepalive !== undefined && { keepalive }),
      // What stays on this machine is never asked of the environment's proxy.
      ...(isLoopbackHost(url.hostname) && { proxy: false }),
    });
    return await readWhole(response, where);
  } catch (error) {
    if (aborter.signal.aborted) throw aborter.signal.reason;
    throw inPlainWords(error, where);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}

/** Says what went wrong. */
class AnswerError extends Error {
  override name = "Error";
}

async function readWhole(response: Response, where: string): Promise<Response> {
  const { status, statusText, headers, url, redirected } = response;
  const packed = headers.get("content-encoding") ?? "identity";
  if (packed !== "identity") {
    await response.body?.cancel();
    throw new AnswerError(`${where} answered packed (Content-Encoding)`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop closes the connection.
    if (size > ANSWER_LIMIT_BYTES) throw new AnswerError(`${where} answered with more than 1 MB`);
    chunks.push(chunk);
  }
  const body = response.body === null ? null : Buffer.concat(chunks);
  const whole = new Response(body, { status, statusText, headers });
  return Object.defineProperties(whole, { url: { value: url }, redirected: { value: redirected } });
}

/** Bun's own messages name the address with its query. */
function inPlainWords(error: unknown, where: string): Error {
  if (error instanceof AnswerError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "failed";
  return new Error(`${where} could not be asked (${code})`);
}
