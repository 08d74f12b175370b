/**
 * A listener that does with a request what the gate does once a decision is `forward`, and
 * upstreams that answer byte by byte as a test says.
 *
 * @module
 */
import type { RouteConfig, UpstreamAddress } from "../../src/config/resolved.ts";
import type { GateError } from "../../src/errors.ts";
import { readPath } from "../../src/lib/path.ts";
import { forward } from "../../src/proxy/forward.ts";
import { planHeaders, requestHeaders } from "../../src/proxy/headers.ts";
import { upstreamTarget } from "../../src/proxy/target.ts";
import {
  asksForTunnel,
  openTunnel,
  type TunnelData,
  tunnelHandlers,
} from "../../src/proxy/tunnel.ts";
import { openUpstream, type Upstream } from "../../src/proxy/upstream.ts";
import type { Watch } from "../../src/proxy/watch.ts";

export function route(written: Partial<RouteConfig> = {}): RouteConfig {
  return {
    name: "all",
    match: { path: "/*" },
    upstreams: [],
    issuers: ["dev"],
    crossSite: "refuse",
    credentials: [{ kind: "authorization" }],
    policies: [],
    anyAuthenticated: true,
    public: false,
    identityHeaders: {},
    forwardToken: false,
    requestHeaders: { set: {}, remove: [] },
    responseHeaders: { set: {}, remove: [] },
    preserveHost: false,
    timeoutMs: 5_000,
    ambiguousPaths: "allow",
    streams: { recheckMs: 30_000, graceOnExpiryMs: 0 },
    path: ["routes", 0],
    ...written,
  };
}

export type Proxy = AsyncDisposable & {
  readonly port: number;
  readonly origin: string;
  readonly upstream: Upstream;
  /** Paths as they were decided on, in order. */
  readonly decided: string[];
  readonly faults: GateError[];
  readonly held: { count: number };
};

export type ProxyOptions = {
  readonly route?: Partial<RouteConfig>;
  readonly identityNames?: readonly string[];
  readonly identity?: readonly (readonly [string, string])[];
  readonly maxBodyBytes?: number;
  readonly watch?: Watch;
};

/** @param addresses Origins, `unix:PATH` or `echo`. */
export function startProxy(addresses: readonly string[], options: ProxyOptions = {}): Proxy {
  const upstream = openUpstream(addresses.map(toAddress), { now: Date.now });
  const config = route(options.route);
  const plan = planHeaders(config, options.identityNames ?? []);
  const decided: string[] = [];
  const faults: GateError[] = [];
  const held = { count: 0 };

  const server: Bun.Server<TunnelData> = Bun.serve<TunnelData>({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    websocket: tunnelHandlers,
    async fetch(request): Promise<Response | undefined> {
      const start = request.url.indexOf("/", 8);
      const queryAt = request.url.indexOf("?", start);
      const rawPath = request.url.slice(start, queryAt < 0 ? undefined : queryAt);
      const path = readPath(rawPath);
      if (!path.ok || request.url.includes("#")) return new Response("malformed", { status: 400 });
      decided.push(path.value.path);
      const headers = requestHeaders(request.headers, plan, {
        forwardedFor: "127.0.0.1",
        proto: "http",
        authority: request.headers.get("host") ?? "",
        requestId: "request-1",
        identity: options.identity ?? [],
        policyHeaders: {},
      });
      if (!headers.ok) return new Response(headers.error.reason, { status: 400 });
      const query = queryAt < 0 ? "" : request.url.slice(queryAt);
      const job = {
        request,
        target: upstreamTarget(config, plan, path.value.path, query),
        headers: headers.value,
        upstream,
        plan,
        requestId: "request-1",
        timeoutMs: config.timeoutMs,
        maxBodyBytes: options.maxBodyBytes ?? Number.MAX_SAFE_INTEGER,
        watch: options.watch,
        holdOpen: () => {
          held.count += 1;
          server.timeout(request, 0);
        },
      };
      try {
        const answer = asksForTunnel(request) ? await openTunnel(job, server) : await forward(job);
        if (answer.ok) return answer.value;
        return new Response(answer.error.code, { status: answer.error.status });
      } catch (fault) {
        const gateFault = fault as GateError;
        faults.push(gateFault);
        const status = gateFault.code === "upstream_timeout" ? 504 : 502;
        return new Response(gateFault.code, { status });
      }
    },
  });
  return {
    port: Number(server.port),
    origin: server.url.origin,
    upstream,
    decided,
    faults,
    held,
    async [Symbol.asyncDispose]() {
      upstream.close();
      await server.stop(true);
    },
  };
}

function toAddress(text: string): UpstreamAddress {
  if (text === "echo") return { kind: "echo" };
  if (text.startsWith("unix:")) return { kind: "unix", socket: text.slice("unix:".length) };
  return { kind: "http", origin: text };
}

export type Exchange = {
  /** All of the request, one character a byte. */
  readonly request: string;
  /** Of the connection it came on, from 0. */
  readonly connection: number;
  /** Whether earlier requests came on the same connection. */
  readonly isWarm: boolean;
};

export type Conversation = {
  readonly send: (bytes: string) => void;
  /** Ends the connection; what was sent arrives. */
  readonly end: () => void;
  /** Cuts it with a reset. */
  readonly cut: () => void;
};

export type ScriptedUpstream = Disposable & {
  readonly origin: string;
  readonly port: number;
  readonly exchanges: Exchange[];
  readonly connections: { opened: number; closed: number };
};

export const OK = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

/** @param react Called once a whole request has come. */
export function scriptedUpstream(
  react: (exchange: Exchange, conversation: Conversation) => void = (_, { send }) => send(OK),
  place: { readonly unix: string } | { readonly port: number } = { port: 0 },
): ScriptedUpstream {
  const exchanges: Exchange[] = [];
  const connections = { opened: 0, closed: 0 };
  type State = { readonly index: number; text: string; requests: number };
  const socket: Bun.SocketHandler<State> = {
    open(socket) {
      socket.data = { index: connections.opened, text: "", requests: 0 };
      connections.opened += 1;
    },
    close: () => {
      connections.closed += 1;
    },
    data(socket, chunk) {
      const state = socket.data;
      state.text += chunk.toString("latin1");
      if (!isWhole(state.text)) return;
      const isWarm = state.requests > 0;
      const exchange = { request: state.text, connection: state.index, isWarm };
      state.text = "";
      state.requests += 1;
      exchanges.push(exchange);
      react(exchange, {
        send: (bytes) => void socket.write(Buffer.from(bytes, "latin1")),
        end: () => socket.end(),
        cut: () => socket.terminate(),
      });
    },
  };
  const server =
    "unix" in place
      ? Bun.listen({ ...place, socket })
      : Bun.listen({ hostname: "127.0.0.1", ...place, socket });
  const port = "port" in server ? Number(server.port) : 0;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    exchanges,
    connections,
    [Symbol.dispose]: () => server.stop(true),
  };
}

function isWhole(text: string): boolean {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const length = /^content-length: (\d+)\r$/im.exec(text.slice(0, end + 2))?.[1];
  if (length !== undefined) return text.length >= end + 4 + Number(length);
  return !/^transfer-encoding:/im.test(text.slice(0, end)) || text.endsWith("0\r\n\r\n");
}

/** The names that a raw request has, lower case, in order. */
export function namesIn(request: string): string[] {
  const head = request.slice(0, request.indexOf("\r\n\r\n"));
  return head
    .split("\r\n")
    .slice(1)
    .map((line) => line.slice(0, line.indexOf(":")).toLowerCase());
}

export function headerIn(request: string, name: string): string | undefined {
  return new RegExp(`^${name}: ?(.*?)\\r$`, "im").exec(request)?.[1];
}

/** Waits for what events bring about; fails by the test's own time limit. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await Bun.sleep(2);
}
