/**
 * A gate in this process with a clock that tests move, before an upstream that goes on for as
 * long as it may, and clients that say how their streams ended.
 *
 * @module
 */
import { join } from "node:path";
import { stringify } from "yaml";
import type { AuditEntry } from "../../src/audit/entry.ts";
import { startGate } from "../../src/cli/start-gate.ts";
import type { Gate } from "../../src/gate/site.ts";
import { ensureDevelopmentKeys } from "../../src/identity/development-keys.ts";
import { mintToken } from "../../src/idp/mint.ts";
import { DEVELOPMENT_ISSUER } from "../../src/lib/development.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { type RawAnswer, rawRequest } from "../support/raw-request.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** 2026-01-05T10:00:00Z, where the clock stands at first. */
const START_MS = Date.UTC(2026, 0, 5, 10);
const LIMIT_MS = 10_000;
const POLL_MS = 20;

export type StreamGate = AsyncDisposable & {
  readonly url: string;
  readonly clock: { nowMs: number };
  readonly gate: Gate;
  /** Lines as JSON objects. */
  readonly log: readonly Readonly<Record<string, unknown>>[];
  readonly entries: readonly AuditEntry[];
  readonly upstream: Upstream;
  readonly token: (subject: string, claims?: Readonly<Record<string, unknown>>) => Promise<string>;
  readonly socket: (path: string, token: string) => Promise<OpenSocket>;
  /** Resolves when the answer has ended: `answered` if it is whole, `closed` if it was cut. */
  readonly answer: (path: string, token: string) => Promise<RawAnswer["end"]>;
  /** Writes these files and puts them in force. */
  readonly reload: (files: Readonly<Record<string, string | object>>) => Promise<boolean>;
};

export type OpenSocket = {
  /** Resolves when the upstream has sent a message back. */
  readonly echo: (message: string) => Promise<string>;
  readonly close: () => void;
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
};

type Upstream = AsyncDisposable & {
  readonly origin: string;
  /** Of answers: their paths, in the order in which they began, and ended before their time. */
  readonly began: readonly string[];
  readonly gone: readonly string[];
  readonly socketCodes: readonly number[];
};

/** `/live` takes WebSockets; `/events`, `/lines` and `/file` go on without end; `/short` does not. */
function startUpstream(): Upstream {
  const began: string[] = [];
  const gone: string[] = [];
  const socketCodes: number[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request, own) {
      const { pathname } = new URL(request.url);
      const name = pathname.split("/").at(-1) ?? "";
      began.push(name);
      if (name === "live") return own.upgrade(request) ? undefined : new Response("no upgrade");
      if (name === "short") return new Response(oneLine(), { headers: { "Content-Type": "a/b" } });
      const type = name === "events" ? "text/event-stream" : "application/x-thing";
      const body = endless(() => gone.push(name));
      return new Response(body, { headers: { "Content-Type": type } });
    },
    websocket: {
      message: (socket, message) => void socket.send(message),
      close: (_socket, code) => void socketCodes.push(code),
    },
  });
  const { origin } = server.url;
  return { origin, began, gone, socketCodes, [Symbol.asyncDispose]: () => server.stop(true) };
}

const LINE = new TextEncoder().encode("data: more\n\n");

function oneLine(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      await Bun.sleep(1);
      controller.enqueue(LINE);
      controller.close();
    },
  });
}

function endless(onGone: () => void): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      async pull(controller) {
        controller.enqueue(LINE);
        await Bun.sleep(POLL_MS);
      },
      cancel: onGone,
    },
    { highWaterMark: 0 },
  );
}

/** @param routesOf The routes, given the upstream's origin. */
export async function openStreamGate(
  routesOf: (upstream: string) => readonly object[],
  files: Readonly<Record<string, string>> = {},
): Promise<StreamGate> {
  const upstream = startUpstream();
  const config = (routes: readonly object[]) =>
    stringify({
      listen: "127.0.0.1:0",
      issuers: [{ name: "dev", development: true }],
      routes,
    });
  const text = config(routesOf(upstream.origin));
  const folder = await tempFolder({ "claimgate.yaml": text, ...files });
  const clock = { nowMs: START_MS };
  const now = () => clock.nowMs;
  const log: Readonly<Record<string, unknown>>[] = [];
  const sink = { write: (line: string) => void log.push(JSON.parse(line)), flush: async () => {} };
  const running = await startGate({
    file: join(folder.path, "claimgate.yaml"),
    environment: {},
    now,
    openLog: (level) => createLog({ sink, level, format: "json", colour: "never", now }),
  });
  const { gate } = running;
  const entries: AuditEntry[] = [];
  const { record } = gate.ledger.audit;
  gate.ledger.audit.record = (entry) => {
    entries.push(entry);
    record(entry);
  };
  const [url = ""] = running.urls();
  const { host, port } = new URL(url);
  const [key] = await ensureDevelopmentKeys(join(folder.path, ".claimgate"));
  if (key === undefined) throw new Error("there is no key to sign with");

  return {
    url,
    clock,
    gate,
    log,
    entries,
    upstream,
    token: (subject, claims = {}) =>
      mintToken(key, { issuer: DEVELOPMENT_ISSUER, subject, claims, nowMs: clock.nowMs }),
    socket: (path, token) => openSocket(`ws://${host}${path}`, token),
    async answer(path, token) {
      const bytes = `GET ${path} HTTP/1.1\r\nHost: gate.test\r\nAuthorization: Bearer ${token}\r\n\r\n`;
      return (await rawRequest(Number(port), bytes, { limitMs: LIMIT_MS })).end;
    },
    async reload(changed) {
      for (const [name, content] of Object.entries(changed)) {
        await folder.write(name, typeof content === "string" ? content : stringify(content));
      }
      return running.reload();
    },
    async [Symbol.asyncDispose]() {
      await upstream[Symbol.asyncDispose]();
      await running.drain();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function openSocket(url: string, token: string): Promise<OpenSocket> {
  const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } });
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  socket.onopen = () => opened.resolve();
  socket.onclose = ({ code, reason }) => {
    opened.reject(new Error(`closed with ${code}`));
    closed.resolve({ code, reason });
  };
  await within(opened.promise);
  return {
    echo(message) {
      const { promise, resolve } = Promise.withResolvers<string>();
      socket.onmessage = ({ data }) => resolve(String(data));
      socket.send(message);
      return within(promise);
    },
    close: () => socket.close(),
    closed: within(closed.promise),
  };
}

function within<T>(promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const fail = () => late.reject(new Error(`nothing came within ${LIMIT_MS} ms`));
  const timer = setTimeout(fail, LIMIT_MS);
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

/** @throws Error that names `what` when it has not come true in time. */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`Cannot see ${what} within ${LIMIT_MS} ms`);
    await Bun.sleep(POLL_MS);
  }
}
