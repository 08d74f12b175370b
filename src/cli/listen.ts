/**
 * Opens a socket for the gate: Bun's server, Elysia as one catch-all without hooks, and
 * behind it nothing but `handle`.
 *
 * @module
 */
import { lstat, unlink } from "node:fs/promises";
import { Elysia } from "elysia";
import type { Config, ListenAddress, TlsConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { answerDenial } from "../gate/denial.ts";
import { handle } from "../gate/handle.ts";
import type { Connection } from "../gate/inquire.ts";
import { idleSeconds } from "../gate/patience.ts";
import type { Gate } from "../gate/site.ts";
import { isLoopbackHost } from "../lib/host.ts";
import { type TunnelData, tunnelHandlers } from "../proxy/tunnel.ts";
import { steerToSuccessor } from "./steer-connections.ts";

export type Listener = {
  readonly address: ListenAddress;
  /** What a person types: `http://127.0.0.1:8080`, or `unix:/path`. */
  readonly url: string;
  /** Requests whose answer is not finished, and open tunnels. */
  readonly pending: () => number;
  /** Of a TCP listener, the one it really has; absent on a unix socket. */
  readonly port?: number;
  /** Takes no new connection; those under way finish. */
  readonly stop: () => void;
  /**
   * Like `stop`, once its successor on the same port has taken over: resolves when it takes no
   * more new connections. Only one hand-over at a time.
   */
  readonly handOver: () => Promise<void>;
  /** Cuts what is left. */
  readonly cut: () => Promise<void>;
};

/** How long connections that are just being made may take to arrive at who was there before. */
const HAND_OVER_MS = 500;

/** Certificates as read from disk, so that a reload can tell whether they changed. */
export type TlsMaterial = {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly clientAuth: TlsConfig["clientAuth"];
};

const PORT_UNKNOWN =
  "a listener on any free port cannot come later where workers share it: name a port, or start the gate anew";

/** Bytes; above our own bounds, so that what is too large gets our 414 or 431 and not a bare one. */
const PARSER_HEADER_LIMIT = 64 * 1024;

/** A port that several processes have together. */
export type SharedPorts = {
  /** How many. */
  readonly workers: number;
  /** The one that all have for the address; `undefined` for one that was not known at the start. */
  readonly portOf: (address: {
    readonly hostname: string;
    readonly port: number;
  }) => number | undefined;
};

type SocketOptions = {
  /** The listener of the same address whose place this one takes. */
  readonly successorOf?: Listener | undefined;
  /** Where other workers listen on the same port. */
  readonly shared?: SharedPorts | undefined;
};

/** @throws GateError `state_unusable` when a file cannot be read. */
export async function readTls(tls: TlsConfig): Promise<TlsMaterial> {
  const read = (file: string) =>
    Bun.file(file)
      .text()
      .catch((cause: unknown) => {
        throw new GateError("state_unusable", `cannot read the TLS file ${file}`, { cause });
      });
  const [cert, key, ca] = await Promise.all([
    read(tls.cert),
    read(tls.key),
    tls.clientCa === undefined ? undefined : read(tls.clientCa),
  ]);
  return { cert, key, clientAuth: tls.clientAuth, ...(ca !== undefined && { ca }) };
}

/**
 * @throws GateError `port_taken` when the address is in use or may not be used; `config_invalid`
 *   when the certificate and key do not work.
 */
export async function listen(
  gate: Gate,
  address: ListenAddress,
  config: Config,
  tls: TlsMaterial | undefined,
  { successorOf, shared }: SocketOptions = {},
): Promise<Listener> {
  if (address.kind === "unix") await removeStaleSocket(address.path);
  const connection = {
    scheme: tls === undefined ? "http" : "https",
    trustedOnly: isForTrustedOnly(address, config, tls),
  } as const;

  const isUnix = address.kind === "unix";
  let server: Server;
  const app = new Elysia().all(
    "/*",
    ({ request }) => {
      const from: Connection = {
        ...connection,
        // A TCP peer that is gone already has no address any more, and must not pass for a
        // unix socket's, which may be trusted.
        address: isUnix ? null : (server.requestIP(request)?.address ?? "unknown"),
      };
      return handle(gate, request, from, server);
    },
    { parse: "none" },
  );
  const port =
    address.kind === "unix" ? 0 : (successorOf?.port ?? shared?.portOf(address) ?? address.port);
  if (shared !== undefined && port === 0) throw new GateError("config_invalid", PORT_UNKNOWN);
  const open = (reusePort: boolean): Server => {
    const options = {
      ...(tls !== undefined && { tls: tlsOptions(tls), http2: config.http.http2 }),
      ...(address.kind === "unix"
        ? { unix: address.path }
        : { hostname: address.hostname, port, reusePort }),
      development: false,
      idleTimeout: idleSeconds(config.http.idleTimeoutMs),
      // Our own bound (`http.maxBodySize`) answers as every other denial does.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch: app.fetch,
      websocket: tunnelHandlers,
      error: answerBroken,
    };
    // The types know no idle timeout on a unix socket; the server does.
    return Bun.serve(options as Bun.Serve.Options<TunnelData>);
  };
  await raiseParserLimit();
  try {
    // A renewed certificate needs a second server on the same port (Linux alone has that).
    // The plain try before it finds a port that another program holds, which sharing would hide.
    const shares = address.kind === "tcp" && process.platform === "linux";
    const isFirst = successorOf === undefined && shared === undefined;
    if (shares && isFirst && port !== 0) await open(false).stop(true);
    if (shares && successorOf !== undefined) steerToSuccessor(port, shared?.workers ?? 1);
    // Elsewhere a port has one owner at a time: the former one makes room.
    if (!shares) successorOf?.stop();
    server = open(shares);
  } catch (cause) {
    throw listenFault(address, cause);
  }

  return {
    address,
    url: address.kind === "unix" ? `unix:${address.path}` : urlOf(server, connection.scheme),
    pending: () => server.pendingRequests + server.pendingWebSockets,
    ...(server.port !== undefined && { port: server.port }),
    stop: () => void server.stop(),
    async handOver() {
      await Bun.sleep(HAND_OVER_MS);
      void server.stop();
    },
    cut: () => server.stop(true),
  };
}

type Server = Bun.Server<TunnelData>;

/** `handle` never throws; what comes here is an answer whose upstream broke off right after its head. */
function answerBroken(): Response {
  return answerDenial({ status: 502, code: "upstream_unreachable" }, Bun.randomUUIDv7(), null);
}

/** The executable is built with it; run from source, this is the one way to it from within. */
async function raiseParserLimit(): Promise<void> {
  if (process.execArgv.some((word) => word.startsWith("--max-http-header-size"))) return;
  const { default: http } = await import("node:http");
  Object.assign(http, { maxHeaderSize: PARSER_HEADER_LIMIT });
}

function tlsOptions({ cert, key, ca, clientAuth }: TlsMaterial): Bun.TLSOptions {
  const required = clientAuth === "required";
  return {
    cert,
    key,
    ...(ca !== undefined && { ca }),
    ...(required && { requestCert: true, rejectUnauthorized: true }),
  };
}

/** `trustedProxies` is what allows such a listener; so it serves those peers only. */
function isForTrustedOnly(
  address: ListenAddress,
  config: Config,
  tls: TlsMaterial | undefined,
): boolean {
  if (tls !== undefined || config.allowPlainHttp || address.kind === "unix") return false;
  return !isLoopbackHost(address.hostname);
}

function urlOf(server: Server, scheme: "http" | "https"): string {
  const hostname = server.hostname ?? "localhost";
  return `${scheme}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${server.port}`;
}

/** A socket file that nobody listens on any more is in the way; one in use is left alone. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  const place: ListenAddress = { kind: "unix", path };
  if (!found.isSocket()) throw listenFault(place, new Error("not a socket"));
  const inUse = await Bun.connect({ unix: path, socket: { data() {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
  if (inUse) throw listenFault(place, Object.assign(new Error("in use"), { code: "EADDRINUSE" }));
  await unlink(path);
}

export function listenFault(address: ListenAddress, cause: unknown): GateError {
  const where = address.kind === "unix" ? address.path : `${address.hostname}:${address.port}`;
  const code = (cause as { code?: unknown } | null)?.code;
  if (code === "EADDRINUSE") {
    const message = `cannot listen on ${where}: another program does; end it or change listen`;
    return new GateError("port_taken", message, { cause });
  }
  if (code === "EACCES") {
    const message = `cannot listen on ${where}: not permitted for this user; choose a port over 1023`;
    return new GateError("port_taken", message, { cause });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new GateError("config_invalid", `cannot listen on ${where}: ${why}`, { cause });
}
