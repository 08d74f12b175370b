/**
 * Requests as bytes, for what no client library would send.
 *
 * @module
 */
import { connect } from "node:net";

export type RawAnswer = {
  /** Everything that came, one character a byte (Latin-1). */
  readonly raw: string;
  /** Of the first final answer; 0 when none came. */
  readonly status: number;
  /** Lower-case names; values of a name given twice are joined by ", ". */
  readonly headers: Readonly<Record<string, string>>;
  /** Of the first final answer, chunks put together. */
  readonly body: string;
  /** Who ended it: the server, or we at the first whole answer or the time limit. */
  readonly end: "closed" | "answered" | "late";
};

export type RawOptions = {
  /** When to stop: at the first whole answer, or only when the server closes. */
  readonly until?: "answered" | "closed";
  readonly limitMs?: number;
};

/**
 * @param target A port of 127.0.0.1, or the path of a unix socket.
 * @param bytes One character a byte; parts of an array are sent one after the other.
 * @throws Error when there is no connection; a reset afterwards counts as closed.
 */
export function rawRequest(
  target: number | string,
  bytes: string | readonly string[],
  { until = "answered", limitMs = 5_000 }: RawOptions = {},
): Promise<RawAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<RawAnswer>();
  const parts = typeof bytes === "string" ? [bytes] : [...bytes];
  const isHead = parts[0]?.startsWith("HEAD ") ?? false;
  const place = typeof target === "number" ? { host: "127.0.0.1", port: target } : { path: target };
  const socket = connect(place);
  let raw = "";
  let connected = false;
  const finish = (end: RawAnswer["end"]) => {
    clearTimeout(timer);
    socket.destroy();
    const { status, headers, body } = readAnswer(raw, isHead);
    resolve({ raw, status, headers, body, end });
  };
  const timer = setTimeout(() => finish("late"), limitMs);
  socket.setNoDelay(true);
  socket.on("connect", () => {
    connected = true;
    for (const part of parts) socket.write(part, "latin1");
  });
  socket.on("data", (chunk) => {
    raw += chunk.toString("latin1");
    if (until === "answered" && readAnswer(raw, isHead).complete) finish("answered");
  });
  socket.on("error", (error) => {
    clearTimeout(timer);
    if (connected) finish("closed");
    else reject(error);
  });
  socket.on("close", () => finish("closed"));
  return promise;
}

type Reading = Pick<RawAnswer, "status" | "headers" | "body"> & { readonly complete: boolean };

const NOTHING: Reading = { status: 0, headers: {}, body: "", complete: false };

/** Reads the first final answer (RFC 9112 §6), as far as it has come. */
function readAnswer(raw: string, isHead: boolean): Reading {
  const headEnd = raw.indexOf("\r\n\r\n");
  const head = headEnd < 0 ? raw : raw.slice(0, headEnd);
  const [statusLine = "", ...lines] = head.split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(statusLine)?.[1] ?? 0);
  if (status === 0 || headEnd < 0) return { ...NOTHING, status };
  const rest = raw.slice(headEnd + 4);
  if (status < 200 && status !== 101) return readAnswer(rest, isHead);

  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  if (isHead || status === 101 || status === 204 || status === 304) {
    return { status, headers, body: "", complete: true };
  }
  if (headers["transfer-encoding"]?.toLowerCase() === "chunked") {
    return { status, headers, ...readChunks(rest) };
  }
  const length = headers["content-length"];
  if (length === undefined) return { status, headers, body: rest, complete: false };
  const body = rest.slice(0, Number(length));
  return { status, headers, body, complete: body.length === Number(length) };
}

function readChunks(text: string): { readonly body: string; readonly complete: boolean } {
  let body = "";
  let at = 0;
  for (;;) {
    const lineEnd = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (lineEnd < 0 || Number.isNaN(size)) return { body, complete: false };
    const start = lineEnd + 2;
    if (size === 0) return { body, complete: text.indexOf("\r\n", start) >= 0 };
    body += text.slice(start, start + size);
    at = start + size + 2;
    if (at > text.length) return { body, complete: false };
  }
}
