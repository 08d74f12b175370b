/**
 * Requests over `node:http`, for the two things that Bun's fetch cannot do: an upgrade, and
 * a path that begins with more than one slash (fetch sends only one of them).
 *
 * @module
 */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { Readable } from "node:stream";
import type { Target } from "./upstream.ts";

/**
 * @param path With the query; sent byte for byte.
 * @param headers Sent as they are, and `Host` where there is none.
 * @param signal Ends the request, and the answer's body after it.
 * @returns The request, on a connection of its own, still to be ended.
 */
export function openNodeRequest(
  { address, origin }: Target,
  method: string,
  path: string,
  headers: Headers,
  signal: AbortSignal,
): ClientRequest {
  const url = new URL(origin);
  const place =
    address.kind === "unix"
      ? { socketPath: address.socket }
      : { hostname: url.hostname.replace(/^\[|\]$/g, ""), port: url.port };
  const fields = { host: url.host, ...headers.toJSON() };
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  const request = send({ ...place, path, method, headers: fields, agent: false });
  const stop = () => request.destroy(new Error("the request was given up"));
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  return request;
}

/** @throws Error with the socket's code when there is no connection or no answer. */
export function sendByNode(
  target: Target,
  method: string,
  path: string,
  headers: Headers,
  body: ReadableStream<Uint8Array> | undefined,
  signal: AbortSignal,
): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const request = openNodeRequest(target, method, path, headers, signal);
  request.on("error", reject);
  request.on("response", (answer) => resolve(toResponse(answer, method)));
  if (body === undefined) request.end();
  else
    Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])
      .on("error", reject)
      .pipe(request);
  return promise;
}

/**
 * An answer as fetch would give it, its encoding untouched.
 *
 * @throws RangeError for a status that no `Response` has; async, because those who call this
 *   are event handlers, where nobody would catch it.
 */
export async function toResponse(answer: IncomingMessage, method: string): Promise<Response> {
  const status = answer.statusCode ?? 0;
  const isEmpty = method === "HEAD" || status === 204 || status === 205 || status === 304;
  if (isEmpty) answer.resume();
  const body = isEmpty ? null : (Readable.toWeb(answer) as ReadableStream<Uint8Array>);
  return new Response(body, { status, headers: headersOf(answer) });
}

export function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "");
  }
  return headers;
}
