/**
 * The development provider: OpenID Connect for a laptop, with keys that anyone on this machine
 * could use. So it listens on loopback alone, answers to loopback names alone, and sends
 * browsers to loopback alone.
 *
 * @module
 */
import { Elysia } from "elysia";
import { GateError } from "../errors.ts";
import { ensureDevelopmentKeys, rotateDevelopmentKeys } from "../identity/development-keys.ts";
import { canonicalHost, isLoopbackHost } from "../lib/host.ts";
import { finishSignIn, startSignIn } from "./authorize.ts";
import { answerLogout } from "./logout.ts";
import { metadata } from "./metadata.ts";
import type { AccessTokenRequest } from "./mint.ts";
import { errorResponse } from "./oauth-error.ts";
import { createOneTimeStore } from "./one-time-store.ts";
import { readForm } from "./parameters.ts";
import {
  type AuthorizationRequest,
  type Grant,
  issueAccessToken,
  type Provider,
} from "./provider.ts";
import { answerTokenRequest } from "./token.ts";
import { answerUserInfo } from "./userinfo.ts";

type IdpOptions = {
  /** `localhost`, an address in 127.0.0.0/8, or `::1`. */
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Of the development keys: `.claimgate` beside the configuration. */
  readonly folder: string;
  /** The `aud` of access tokens when the client asks for none. */
  readonly audience: string;
  /** Id and secret, empty for a public client; with none, any client passes. */
  readonly clients?: ReadonlyMap<string, string>;
  /** Milliseconds since 1970; default `Date.now`. */
  readonly now?: () => number;
};

export type RunningIdp = {
  /** Its address, and the `iss` of what it signs: `http://127.0.0.1:9400`. */
  readonly url: string;
  /** Signs an access token without asking anyone. */
  readonly mint: (request: Omit<AccessTokenRequest, "issuer" | "nowMs">) => Promise<string>;
  readonly stop: () => Promise<void>;
};

/** Codes and sign-in pages held at once: far more than one developer has open. */
const MOST_PENDING = 1_000;
const CODE_LIFETIME_MS = 60_000;
const SIGN_IN_LIFETIME_MS = 600_000;
const LARGEST_BODY_BYTES = 64 * 1_024;

/** What a page of another loopback origin (a single-page app under development) may read. */
const READABLE: ReadonlySet<string> = new Set([
  "/.well-known/openid-configuration",
  "/.well-known/oauth-authorization-server",
  "/jwks",
  "/token",
  "/userinfo",
]);

/**
 * Opens the provider.
 *
 * @throws GateError `usage_wrong` beyond loopback, `port_taken`, `state_unusable` for the keys.
 */
export async function startIdp(options: IdpOptions): Promise<RunningIdp> {
  const { now = Date.now } = options;
  const hostname = options.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1");
  if (!isLoopbackAddress(hostname)) {
    const message = `the development provider never listens beyond this machine: use 127.0.0.1, ::1 or localhost instead of ${options.hostname}`;
    throw new GateError("usage_wrong", message);
  }
  await ensureDevelopmentKeys(options.folder);
  // The issuer is the address, and a free port is known only once the server listens.
  let answer: (request: Request) => Response | Promise<Response> = () =>
    new Response(null, { status: 503 });
  const server = listen(hostname, options.port, (request) => answer(request));
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  const provider: Provider = {
    issuer: `http://${host}:${server.port}`,
    audience: options.audience,
    folder: options.folder,
    clients: options.clients ?? new Map(),
    signIns: createOneTimeStore<AuthorizationRequest>({
      most: MOST_PENDING,
      lifetimeMs: SIGN_IN_LIFETIME_MS,
      now,
    }),
    codes: createOneTimeStore<Grant>({ most: MOST_PENDING, lifetimeMs: CODE_LIFETIME_MS, now }),
    now,
  };
  const app = routes(provider);
  answer = (request) => answerLoopback(app.fetch, request);
  return {
    url: provider.issuer,
    mint: (request) => issueAccessToken(provider, request),
    stop: () => server.stop(true),
  };
}

function listen(
  hostname: string,
  port: number,
  answer: (request: Request) => Response | Promise<Response>,
): Bun.Server<undefined> {
  try {
    return Bun.serve({
      // Not by name: what `localhost` resolves to is not for us to trust.
      hostname: hostname === "localhost" ? "127.0.0.1" : hostname,
      port,
      development: false,
      // Said aloud: with `development: false` alone Bun shares the port with whoever has it.
      reusePort: false,
      maxRequestBodySize: LARGEST_BODY_BYTES,
      fetch: answer,
    });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
    const message =
      code === "EADDRINUSE"
        ? `port ${port} of ${hostname} is taken: end the other program, or choose another with --port`
        : `port ${port} of ${hostname} cannot be had: choose another with --port (over 1023)`;
    throw new GateError("port_taken", message, { cause });
  }
}

/** Each handler takes a `Request` and gives a `Response`; Elysia finds the one, and parses nothing. */
function routes(provider: Provider) {
  const describe = () => Response.json(metadata(provider.issuer));
  const raw = { parse: "none" } as const;
  return new Elysia()
    .get("/.well-known/openid-configuration", describe)
    .get("/.well-known/oauth-authorization-server", describe)
    .get("/jwks", () => answerKeys(provider))
    .get("/authorize", ({ request }) => startSignIn(provider, queryOf(request)))
    .post("/authorize", ({ request }) => finishSignIn(provider, request), raw)
    .post("/token", ({ request }) => answerTokenRequest(provider, request), raw)
    .get("/userinfo", ({ request }) => answerUserInfo(provider, request))
    .post("/userinfo", ({ request }) => answerUserInfo(provider, request), raw)
    .get("/logout", ({ request }) => answerLogout(queryOf(request)))
    .post(
      "/logout",
      async ({ request }) => {
        const form = await readForm(request);
        return form.ok ? answerLogout(form.value) : errorResponse(form.error);
      },
      raw,
    )
    .post("/rotate", ({ request }) => answerRotate(provider, request), raw)
    .onError(({ code, error }) => {
      if (code === "NOT_FOUND") return Response.json({ error: "not_found" }, { status: 404 });
      // Most likely the key file: whoever runs the provider learns it, the client does not.
      console.error(error instanceof GateError ? `claimgate idp: ${error.message}` : error);
      return Response.json({ error: "server_error" }, { status: 500 });
    });
}

function queryOf(request: Request): URLSearchParams {
  return new URL(request.url).searchParams;
}

async function answerKeys({ folder }: Provider): Promise<Response> {
  const keys = await ensureDevelopmentKeys(folder);
  return Response.json(
    { keys: keys.map((key) => key.publicJwk) },
    { headers: { "Cache-Control": "no-cache" } },
  );
}

/**
 * Browsers put `Origin` on each POST and `Sec-Fetch-Site` on every request that a page makes: no
 * page has business here, so either is refused.
 */
async function answerRotate({ folder }: Provider, { headers }: Request): Promise<Response> {
  if (headers.has("origin") || headers.has("sec-fetch-site") || headers.has("referer")) {
    const error_description = "rotation is for the command line: curl -X POST, or --rotate";
    return Response.json({ error: "access_denied", error_description }, { status: 403 });
  }
  const keys = await rotateDevelopmentKeys(folder);
  return Response.json({ keys: keys.map(({ kid }) => kid) });
}

/**
 * Answers to loopback names alone: a foreign name that was made to point here (DNS rebinding)
 * would give that site's pages the run of the provider.
 */
async function answerLoopback(
  answer: (request: Request) => Response | Promise<Response>,
  request: Request,
): Promise<Response> {
  const host = canonicalHost(request.headers.get("host") ?? "");
  if (host === undefined || !isLoopbackHost(host)) {
    const error_description = "ask for it by a loopback name, such as 127.0.0.1";
    return Response.json({ error: "misdirected_request", error_description }, { status: 421 });
  }
  const { pathname } = new URL(request.url);
  const origin = READABLE.has(pathname) ? loopbackOrigin(request) : undefined;
  if (origin === undefined) return answer(request);
  const response =
    request.method === "OPTIONS" ? new Response(null, { status: 204 }) : await answer(request);
  response.headers.set("Access-Control-Allow-Origin", origin);
  response.headers.set("Access-Control-Allow-Methods", "GET, POST");
  response.headers.set("Access-Control-Allow-Headers", "Authorization, Content-Type");
  response.headers.append("Vary", "Origin");
  return response;
}

/** The page's origin where that is on this machine: other sites must not read a token. */
function loopbackOrigin(request: Request): string | undefined {
  const origin = request.headers.get("origin") ?? "";
  const url = URL.parse(origin);
  return url !== null && url.origin === origin && isLoopbackHost(url.hostname) ? origin : undefined;
}

/** Stricter than `isLoopbackHost`: other names under `localhost` need a resolver. */
function isLoopbackAddress(hostname: string): boolean {
  return !hostname.endsWith(".localhost") && isLoopbackHost(hostname);
}
