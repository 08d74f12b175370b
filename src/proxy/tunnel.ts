/**
 * WebSocket tunnels: the upstream is asked first, the client is upgraded only once it has
 * agreed. Messages, pings, pongs and close codes pass both ways; a side that reads slowly
 * slows the other down.
 *
 * @module
 */
import type { Socket } from "node:net";
import { err, ok, type Result } from "../result.ts";
import type { Denial } from "../types.ts";
import { cleanAnswer, guardAnswer } from "./answer.ts";
import { answerToNobody, isNotConnected, timedOut, unreachable } from "./faults.ts";
import type { ForwardJob } from "./forward.ts";
import { createFrameReader, encodeClose, encodeFrame, FrameError, OPCODE } from "./frames.ts";
import { type Handshake, shakeHands } from "./handshake.ts";
import { cleanResponseHeaders } from "./headers.ts";
import type { Target } from "./upstream.ts";
import type { Watch } from "./watch.ts";

type Client = Bun.ServerWebSocket<TunnelData>;

/** What stands behind a client's WebSocket. */
export type TunnelData = {
  readonly open: (client: Client) => void;
  readonly message: (client: Client, data: string | Buffer) => void;
  readonly drain: (client: Client) => void;
  readonly ping: (payload: Buffer) => void;
  readonly pong: (payload: Buffer) => void;
  readonly close: (code: number, reason: string) => void;
};

/** The part of `Bun.Server` that a tunnel needs. */
type TunnelServer = Pick<Bun.Server<TunnelData>, "upgrade">;

type TunnelJob = Pick<
  ForwardJob,
  "request" | "target" | "headers" | "upstream" | "plan" | "requestId" | "timeoutMs" | "watch"
>;

/** Of one message, in either direction; a larger one closes the tunnel with 1009. */
const MESSAGE_BYTES_LIMIT = 32 * 1024 * 1024;
/** How long an upstream may take to answer a close frame. */
const CLOSE_LIMIT_MS = 5_000;
/** Pings remembered until the upstream answers them; it may answer only the last (§5.5.3). */
const PINGS_LIMIT = 16;

const GOING_AWAY = 1001;
const LOST = 1006;
const POLICY_VIOLATION = 1008;
const TOO_BIG = 1009;
const INTERNAL_ERROR = 1011;
const TRY_AGAIN_LATER = 1013;

const clients = new Set<Client>();

/** For `Bun.serve({ websocket })`. */
export const tunnelHandlers: Bun.WebSocketHandler<TunnelData> = {
  // Idle tunnels stay: the two ends have their own ideas about heartbeats.
  idleTimeout: 0,
  sendPings: false,
  maxPayloadLength: MESSAGE_BYTES_LIMIT,
  // We stop reading from the other side as soon as something has to wait here.
  backpressureLimit: 0,
  perMessageDeflate: false,
  open(client) {
    clients.add(client);
    guarded(client, () => client.data.open(client));
  },
  message: (client, data) => guarded(client, () => client.data.message(client, data)),
  drain: (client) => guarded(client, () => client.data.drain(client)),
  ping: (client, payload) => guarded(client, () => client.data.ping(payload)),
  pong: (client, payload) => guarded(client, () => client.data.pong(payload)),
  close(client, code, reason) {
    clients.delete(client);
    client.data.close(code, reason);
  },
};

/** A fault of ours ends this tunnel, so that nothing half done goes on; the process reports it. */
function guarded(client: Client, work: () => void): void {
  try {
    work();
  } catch (fault) {
    client.close(INTERNAL_ERROR);
    throw fault;
  }
}

/** Ends every tunnel with 1001, both sides: the gate is going away. */
export function closeTunnels(): void {
  for (const client of clients) client.close(GOING_AWAY, "going away");
}

/** Whether a request is a WebSocket handshake (RFC 6455 §4.2.1); no other upgrade is passed on. */
export function asksForTunnel({ method, headers }: Request): boolean {
  if (headers.get("upgrade")?.toLowerCase() !== "websocket" || method !== "GET") return false;
  return /(?:^|,)\s*upgrade\s*(?:,|$)/i.test(headers.get("connection") ?? "");
}

/**
 * @returns `undefined` once the connection is a tunnel; the upstream's own answer where it
 *   refuses; 400 `request_malformed` for a handshake that cannot be completed.
 * @throws GateError `upstream_unreachable`, `upstream_timeout`.
 */
export async function openTunnel(
  job: TunnelJob,
  server: TunnelServer,
): Promise<Result<Response | undefined, Denial>> {
  if (hasBody(job.request)) return err(malformed("body_unexpected"));
  const tried = new Set<Target>();
  let lastFault: unknown;
  for (;;) {
    const target = job.upstream.choose(tried);
    if (target === undefined) throw unreachable("the upstream cannot be reached", lastFault);
    tried.add(target);
    if (target.address.kind === "echo") {
      return upgrade(job, server, echoTunnel(), new Headers(), "");
    }
    const shaken = await attempt(target, job);
    if (shaken.kind === "accepted") return upgradeOver(shaken, job, server);
    if (shaken.kind === "refused") {
      const cleaned = cleanAnswer(shaken.response, job.plan, job.requestId);
      if (!cleaned.ok) throw cleaned.error;
      return ok(await guardAnswer(shaken.response));
    }
    if (job.request.signal.aborted) return ok(answerToNobody());
    if (shaken.kind === "late") throw timedOut();
    if (!isNotConnected(shaken.fault)) {
      throw unreachable("the upstream broke off the upgrade", shaken.fault);
    }
    lastFault = shaken.fault;
  }
}

type Attempt = Handshake | { kind: "late" } | { kind: "failed"; fault: unknown };

async function attempt(target: Target, job: TunnelJob): Promise<Attempt> {
  const controller = new AbortController();
  const { signal: clientGone } = job.request;
  const abort = () => controller.abort();
  clientGone.addEventListener("abort", abort, { once: true });
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    abort();
  }, job.timeoutMs);
  target.inFlight += 1;
  try {
    const shaken = await shakeHands(target, job.target, job.headers, controller.signal);
    job.upstream.report(target, "answered");
    // A refusal's body goes on streaming and must end with the client; a tunnel has its own end.
    if (shaken.kind === "accepted") clientGone.removeEventListener("abort", abort);
    return shaken;
  } catch (fault) {
    if (!clientGone.aborted) {
      job.upstream.report(target, isNotConnected(fault) ? "unreachable" : "failed");
    }
    return isLate ? { kind: "late" } : { kind: "failed", fault };
  } finally {
    clearTimeout(timer);
    target.inFlight -= 1;
  }
}

function upgradeOver(
  { socket, head, headers, protocol }: Handshake & { kind: "accepted" },
  job: TunnelJob,
  server: TunnelServer,
): Result<undefined, Denial> {
  if (!cleanResponseHeaders(headers, job.plan, job.requestId).ok) {
    socket.destroy();
    throw unreachable("the upstream answered with an invalid Connection header");
  }
  const upgraded = upgrade(job, server, socketTunnel(socket, head), headers, protocol);
  if (!upgraded.ok) socket.destroy();
  return upgraded;
}

function upgrade(
  { request, requestId, watch }: TunnelJob,
  server: TunnelServer,
  data: TunnelData,
  headers: Headers,
  protocol: string,
): Result<undefined, Denial> {
  headers.set("x-request-id", requestId);
  // Left out, Bun would choose the first one offered, in the upstream's name.
  headers.set("sec-websocket-protocol", protocol);
  return server.upgrade(request, { data: watch ? watched(data, watch) : data, headers })
    ? ok(undefined)
    : err(malformed("handshake_invalid"));
}

/** Lets a tunnel be ended from without, both sides of it. */
function watched(data: TunnelData, watch: Watch): TunnelData {
  let ended: (() => void) | undefined;
  return {
    ...data,
    open(client) {
      ended = watch((reason) => client.close(POLICY_VIOLATION, reason));
      if (ended === undefined) client.close(TRY_AGAIN_LATER, "the gate is overloaded");
      else data.open(client);
    },
    close(code, reason) {
      ended?.();
      data.close(code, reason);
    },
  };
}

/** @param head The upstream's first bytes. */
function socketTunnel(socket: Socket, head: Buffer): TunnelData {
  let client: Client | undefined;
  /** Payloads of the client's pings under way; Bun has answered them already. */
  let pings: string[] = [];
  let isClosed = false;

  /** Says goodbye to the upstream, once, and gives it a moment to answer. */
  function closeUpstream(code: number, reason: string): void {
    if (isClosed) return;
    isClosed = true;
    socket.end(encodeClose(code, reason));
    socket.resume();
    setTimeout(() => socket.destroy(), CLOSE_LIMIT_MS).unref();
  }

  function onUpstreamLost(): void {
    if (!isClosed) client?.close(INTERNAL_ERROR, "the upstream connection was lost");
    isClosed = true;
    socket.destroy();
  }

  /** @param status Of a `send`: -1 says that the client does not keep up. */
  function slowDown(status: number | undefined): void {
    if (status === -1) socket.pause();
  }

  const read = createFrameReader(MESSAGE_BYTES_LIMIT, {
    onMessage: (data) => slowDown(client?.send(data)),
    onPing: (payload) => slowDown(client?.ping(payload)),
    onPong(payload) {
      const answered = pings.indexOf(payload.toString("latin1"));
      if (answered < 0) slowDown(client?.pong(payload));
      else pings = pings.slice(answered + 1);
    },
    onClose(code, reason) {
      closeUpstream(code, "");
      client?.close(code, reason);
    },
  });

  function onData(chunk: Buffer): void {
    if (isClosed) return;
    try {
      read(chunk);
    } catch (fault) {
      const code = fault instanceof FrameError ? fault.code : INTERNAL_ERROR;
      closeUpstream(code, "");
      client?.close(code === TOO_BIG ? TOO_BIG : INTERNAL_ERROR, "the upstream broke the protocol");
    }
  }

  function write(frame: Buffer): void {
    if (isClosed) return;
    if (!socket.write(frame)) client?.pause();
  }

  socket.setNoDelay(true);
  socket.on("error", onUpstreamLost);
  socket.on("close", onUpstreamLost);
  socket.on("end", onUpstreamLost);
  socket.on("drain", () => client?.resume());

  return {
    open(opened) {
      client = opened;
      if (isClosed) {
        opened.close(INTERNAL_ERROR, "the upstream connection was lost");
        return;
      }
      // Until now the socket has been left unread, so nothing could pile up.
      if (head.length > 0) onData(head);
      socket.on("data", onData);
    },
    message: (_client, data) =>
      write(
        typeof data === "string"
          ? encodeFrame(OPCODE.text, Buffer.from(data))
          : encodeFrame(OPCODE.binary, data),
      ),
    drain: () => {
      socket.resume();
    },
    ping(payload) {
      pings = [...pings.slice(1 - PINGS_LIMIT), payload.toString("latin1")];
      write(encodeFrame(OPCODE.ping, payload));
    },
    pong: (payload) => write(encodeFrame(OPCODE.pong, payload)),
    close(code, reason) {
      if (code === LOST) closeUpstream(GOING_AWAY, "the client connection was lost");
      else closeUpstream(code, reason);
    },
  };
}

/** The built-in `echo` upstream: every message goes back. */
function echoTunnel(): TunnelData {
  const ignore = () => {};
  return {
    open: ignore,
    message(client, data) {
      if (client.send(data) === -1) client.pause();
    },
    drain: (client) => {
      client.resume();
    },
    ping: ignore,
    pong: ignore,
    close: ignore,
  };
}

function hasBody({ headers }: Request): boolean {
  return Number(headers.get("content-length") ?? 0) > 0 || headers.has("transfer-encoding");
}

function malformed(reason: string): Denial {
  return { status: 400, code: "request_malformed", reason };
}
