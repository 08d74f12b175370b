/**
 * The admin API: a listener of its own, apart from what the gate protects. A unix socket that
 * its owner alone may use, or TCP with a token.
 *
 * @module
 */
import { Elysia } from "elysia";
import type { ListenAddress } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { reachableSocketPath } from "../lib/socket-path.ts";
import type { Admin, AdminDependencies, AdminGate } from "./admin.ts";
import { decisionsEndpoint } from "./decisions.ts";
import { createDoor, type Door } from "./door.ts";
import { type Endpoint, readAsked } from "./endpoint.ts";
import { docsPage, openapi, STYLE } from "./openapi.ts";
import { answerProblem, type ProblemCode, ProblemError } from "./problem.ts";
import { revocationsEndpoint, revokeEndpoint, unrevokeEndpoint } from "./revocations.ts";
import { configEndpoint } from "./shown-config.ts";
import { issuersEndpoint, policiesEndpoint, routesEndpoint } from "./site-views.ts";
import { clearSocket, openOwnSocket } from "./socket.ts";
import { metricsEndpoint, reloadEndpoint } from "./state.ts";
import { streamEndpoint } from "./stream.ts";
import { lintEndpoint, sessionsEndpoint, tokensEndpoint } from "./tokens.ts";

export type AdminApi = {
  /** `http://127.0.0.1:9000`, or `unix:/path`. */
  readonly url: string;
  /** Ends streams and takes nothing more. */
  close(): Promise<void>;
};

/** In the order of the pages. */
export const ENDPOINTS: readonly Endpoint[] = [
  decisionsEndpoint,
  streamEndpoint,
  tokensEndpoint,
  lintEndpoint,
  sessionsEndpoint,
  revocationsEndpoint,
  revokeEndpoint,
  unrevokeEndpoint,
  policiesEndpoint,
  routesEndpoint,
  issuersEndpoint,
  configEndpoint,
  reloadEndpoint,
  metricsEndpoint,
];

/** Seconds; a body that does not come, or an answer that nobody takes. */
const IDLE_SECONDS = 30;
/** While another gate has the socket. */
const RETRY_MS = 2_000;

type Server = Bun.Server<undefined>;

/**
 * A unix socket that a live gate holds is left to it: this one says so, and takes over once that
 * has ended.
 *
 * @throws GateError `port_taken`
 */
export async function openAdmin(gate: AdminGate, deps: AdminDependencies): Promise<AdminApi> {
  const ending = new AbortController();
  const admin: Admin = {
    ...deps,
    gate,
    startedMs: gate.now(),
    ending: ending.signal,
    standing: { storeFollowers: 0 },
  };
  const { listen } = deps.config().admin;
  const door = createDoor({
    listen,
    token: () => deps.config().admin.token,
    now: gate.now,
    warn: (message) => gate.log.event("warn", "admin", message),
  });
  const answer = createAnswer(admin, door);
  const opened = await openListener(gate, listen, answer);
  return {
    url: opened.url(),
    async close() {
      ending.abort();
      await opened.close();
    },
  };
}

type Answer = (request: Request, server: Server) => Promise<Response>;
type Opened = { readonly url: () => string; readonly close: () => Promise<void> };

async function openListener(
  { log }: AdminGate,
  address: ListenAddress,
  fetch: Answer,
): Promise<Opened> {
  const options = {
    development: false,
    idleTimeout: IDLE_SECONDS,
    // Our own bound answers as every other problem does.
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    fetch,
  };
  if (address.kind === "tcp") {
    const { hostname, port } = address;
    const server = serveTcp({ ...options, hostname, port, reusePort: false });
    const shown = hostname.includes(":") ? `[${hostname}]` : hostname;
    return { url: () => `http://${shown}:${server.port}`, close: () => server.stop(true) };
  }

  const { path } = address;
  let held: ReturnType<typeof openOwnSocket<Server>> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isClosed = false;

  async function open(): Promise<"open" | "held"> {
    if ((await clearSocket(path)) === "held") return "held";
    // The types know no idle timeout on a unix socket; the server does.
    const serve = () =>
      Bun.serve({ ...options, unix: reachableSocketPath(path) } as Bun.Serve.Options<undefined>);
    if (!isClosed) held = openOwnSocket(path, serve);
    return "open";
  }

  function tryLater(): void {
    timer = setTimeout(async () => {
      const state = await open().catch((): "held" => "held");
      if (isClosed) return;
      if (state === "held") tryLater();
      else log.event("info", "admin", `the admin API is open now on ${path}`);
    }, RETRY_MS);
    timer.unref();
  }

  if ((await open()) === "held") {
    const message = `another gate has the admin socket ${path}: this one has none until that ends; give each its own admin.listen`;
    log.event("warn", "admin", message);
    tryLater();
  }
  return {
    url: () => `unix:${path}`,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      // Before the server stops: what comes after it in this place is not ours.
      held?.remove();
      await held?.server.stop(true);
    },
  };
}

function serveTcp(options: Bun.Serve.Options<undefined> & { hostname: string; port: number }) {
  try {
    return Bun.serve(options);
  } catch (cause) {
    const where = `${options.hostname}:${options.port}`;
    const message = `cannot listen on ${where} for the admin API: it is in use or not permitted; change admin.listen`;
    throw new GateError("port_taken", message, { cause });
  }
}

function createAnswer(admin: Admin, door: Door): Answer {
  const { gate, version } = admin;
  const arrivals = new WeakMap<Request, { readonly id: string; readonly server: Server }>();

  async function run(request: Request, work: () => Promise<Response>): Promise<Response> {
    try {
      return await work();
    } catch (fault) {
      const requestId = arrivals.get(request)?.id ?? "";
      return answerProblem(problemOf(gate, fault, requestId), requestId);
    }
  }

  async function ask(one: Endpoint, request: Request): Promise<Response> {
    const asked = await readAsked(one, request);
    const setIdleLimit = (seconds: number) =>
      arrivals.get(request)?.server.timeout(request, seconds);
    return one.answer(admin, { ...asked, request, setIdleLimit });
  }

  const app = new Elysia();
  for (const one of ENDPOINTS) {
    const answer = ({ request }: { readonly request: Request }) =>
      run(request, () => ask(one, request));
    app.route(one.method, one.path, answer, { parse: "none" });
  }
  const page = () => new Response(docsPage(ENDPOINTS, version), { headers: PAGE_HEADERS });
  app
    .get("/openapi.json", () => Response.json(openapi(ENDPOINTS, version)))
    .get("/docs", page)
    .get("/", page)
    .onError(({ code, error, request }) =>
      run(request, async () => {
        throw code === "NOT_FOUND" ? notFound(request) : error;
      }),
    );

  return async function answer(request, server) {
    const id = Bun.randomUUIDv7();
    arrivals.set(request, { id, server });
    const response = await run(request, async () => {
      door.check(request, server.requestIP(request)?.address ?? null);
      return app.handle(request);
    });
    for (const [name, value] of HEADERS) response.headers.set(name, value);
    response.headers.set("X-Request-Id", id);
    return response;
  };
}

function notFound({ method, url }: Request): ProblemError {
  const { pathname } = new URL(url);
  const methods = ENDPOINTS.filter(({ path }) => path === pathname).map((one) => one.method);
  if (methods.length === 0) return new ProblemError("route_not_found", "GET /docs tells what is");
  const allow = methods.join(", ");
  return new ProblemError("method_not_allowed", `it takes ${allow}, not ${method}`, {
    Allow: allow,
  });
}

const HEADERS = [
  ["Cache-Control", "no-store"],
  ["X-Content-Type-Options", "nosniff"],
  ["Cross-Origin-Resource-Policy", "same-origin"],
  ["Referrer-Policy", "no-referrer"],
] as const;

const STYLE_HASH = new Bun.CryptoHasher("sha256").update(STYLE).digest("base64");
const PAGE_HEADERS = {
  "Content-Type": "text/html; charset=utf-8",
  "Content-Security-Policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
};

/** Faults that whoever asks may know by their code. */
const KNOWN: ReadonlySet<string> = new Set<ProblemCode>([
  "store_unavailable",
  "store_damaged",
  "revocations_full",
]);

function problemOf({ log }: AdminGate, fault: unknown, requestId: string): ProblemError {
  if (fault instanceof ProblemError) return fault;
  if (fault instanceof GateError && KNOWN.has(fault.code)) {
    return new ProblemError(fault.code as ProblemCode, fault.message);
  }
  if (fault instanceof GateError && fault.code === "usage_wrong") {
    return new ProblemError("request_malformed", fault.message);
  }
  const stack = fault instanceof Error ? fault.stack : String(fault);
  const message = "a request to the admin API met a fault of ours";
  log.event("error", "internal_fault", message, { requestId, stack });
  return new ProblemError("internal_fault");
}
