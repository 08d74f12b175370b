/**
 * Asks an issuer about a token that says nothing by itself (RFC 7662). By oauth4webapi; what it
 * leaves open (sizes, time, duplicate members, the signature of a signed answer, RFC 9701) is
 * checked here.
 *
 * @module
 */
import * as oauth from "oauth4webapi";
import type { IntrospectionConfig, IssuerConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { isLoopbackHost } from "../lib/host.ts";
import { ok, type Result } from "../result.ts";
import type { Refusal } from "../types.ts";
import { type AcceptedToken, acceptPayload } from "./accept.ts";
import type { DecryptionKey } from "./decryption.ts";
import { type Fetch, readBody } from "./fetch-json.ts";
import type { KeySource } from "./keys.ts";
import { refuse } from "./refusal.ts";
import { findFlaw, type JsonObject, own } from "./strict-json.ts";
import { digestToken } from "./token-digest.ts";
import { decryptJwt, verifyJwt } from "./verify-jwt.ts";

export type Introspection = {
  readonly config: IntrospectionConfig;
  /**
   * What the issuer says at this moment. Never rejects: an endpoint that does not answer, or not
   * well, is `introspection_unavailable`, and the token does not pass.
   */
  ask(credential: string): Promise<Result<AcceptedToken, Refusal>>;
};

type IntrospectionDependencies = {
  readonly keys: KeySource;
  readonly decryption?: DecryptionKey | undefined;
  readonly fetch: Fetch;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly warn: (message: string) => void;
  /** Of an answer, to its last byte; 5 s where absent. */
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 5_000;
const MOST_BYTES = 1024 * 1024;
const SIGNED_ANSWER = "application/token-introspection+jwt";

/** @param config Of an issuer with `introspection`. */
export function openIntrospection(
  config: IssuerConfig & { readonly introspection: IntrospectionConfig },
  dependencies: IntrospectionDependencies,
): Introspection {
  const { introspection } = config;
  const { fetch, now, warn, keys, decryption, timeoutMs = TIMEOUT_MS } = dependencies;
  const issuer = { config, keys, ...(decryption && { decryption }) };
  const { clientId, clientSecret, url } = introspection;
  const server: oauth.AuthorizationServer = {
    issuer: config.issuer,
    introspection_endpoint: url,
    introspection_signing_alg_values_supported: [...config.algorithms, "Ed25519"],
  };
  // Form-encoded first, as RFC 6749 §2.3.1 says.
  const proof = clientSecret === undefined ? oauth.None() : oauth.ClientSecretBasic(clientSecret);
  let lastWarning: string | undefined;

  async function request(credential: string): Promise<JsonObject> {
    const client: oauth.Client = {
      client_id: clientId,
      [oauth.clockSkew]: Math.round((now() - Date.now()) / 1_000),
      [oauth.clockTolerance]: config.clockToleranceSeconds,
    };
    let signed: string | undefined;
    const options = {
      [oauth.customFetch]: async (_: string, init: oauth.CustomFetchOptions<"POST", unknown>) => {
        const answer = await download(fetch, url, init, timeoutMs);
        signed = answer.signed;
        return answer.response;
      },
      [oauth.allowInsecureRequests]: isLoopbackHost(new URL(url).hostname),
      ...(decryption && { [oauth.jweDecrypt]: opener(decryption) }),
      additionalParameters: { token_type_hint: "access_token" },
    };
    const response = await oauth.introspectionRequest(server, client, proof, credential, options);
    const answer = await oauth.processIntrospectionResponse(server, client, response, options);
    if (signed === undefined) return answer;
    const verified = await verifyJwt(signed, issuer, ["token-introspection+jwt"]);
    if (verified.ok) return answer;
    throw new GateError("keys_refused", `the signed answer is refused: ${verified.error.reason}`);
  }

  function failed(error: unknown): Result<AcceptedToken, Refusal> {
    const detail = `the introspection endpoint is of no use: ${wordsOf(error)}`;
    if (lastWarning !== detail) warn(`issuer ${config.name}: ${detail}`);
    lastWarning = detail;
    return refuse("introspection_unavailable", detail);
  }

  return {
    config: introspection,
    async ask(credential) {
      let answer: JsonObject;
      try {
        answer = await request(credential);
      } catch (error) {
        return failed(error);
      }
      lastWarning = undefined;
      return readAnswer(answer, config, credential);
    },
  };
}

/**
 * An answer by the rules for tokens (design, section 6): what the issuer would have signed, it
 * says here.
 *
 * @param answer RFC 7662 §2.2.
 */
function readAnswer(
  answer: JsonObject,
  config: IssuerConfig,
  credential: string,
): Result<AcceptedToken, Refusal> {
  if (own(answer, "active") !== true) return refuse("token_inactive");
  if (Object.hasOwn(answer, "iss") && answer.iss !== config.issuer) return refuse("issuer_unknown");
  if (!isBearer(answer)) return refuse("token_kind_refused");
  const { active: _, ...payload } = answer;
  // fromEntries defines members, so that a `__proto__` among them stays data.
  const entries = [...Object.entries(payload), ["iss", config.issuer] as const];
  const accepted = acceptPayload(Object.fromEntries(entries), config, {
    digest: digestToken(credential),
  });
  return accepted.ok ? ok(accepted.value) : accepted;
}

/** Neither bound to a key that nobody would check here, nor made to get other tokens with. */
function isBearer(answer: JsonObject): boolean {
  const type = own(answer, "token_type");
  const use = own(answer, "token_use");
  const isBearerType = type === undefined || (typeof type === "string" && /^bearer$/i.test(type));
  return isBearerType && (use === undefined || use === "access_token" || use === "access");
}

type Downloaded = { readonly response: Response; readonly signed: string | undefined };

async function download(
  fetch: Fetch,
  url: string,
  init: oauth.CustomFetchOptions<"POST", unknown>,
  timeoutMs: number,
): Promise<Downloaded> {
  const signal = AbortSignal.timeout(timeoutMs);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  // Whoever loses the race below must not become an unhandled rejection.
  late.catch(() => undefined);
  const accept = `application/json, ${SIGNED_ANSWER};q=0.9`;
  const asking = fetch(url, {
    method: "POST",
    body: init.body as BunFetchRequestInit["body"],
    headers: { ...init.headers, accept, "accept-encoding": "gzip" },
    redirect: "manual",
    // Bun unpacks a piece whole before anyone can count.
    decompress: false,
    signal,
    ...(isLoopbackHost(new URL(url).hostname) && { proxy: false }),
  } as BunFetchRequestInit);
  const answer = asking.then(async (response) => {
    const bytes = await readBody(response, MOST_BYTES);
    return readResponse(response, new TextDecoder().decode(bytes));
  });
  return Promise.race([late, answer]);
}

function readResponse(response: Response, text: string): Downloaded {
  const { status } = response;
  const headers = new Headers(response.headers);
  headers.delete("content-encoding");
  headers.delete("content-length");
  const isSigned = headers.get("content-type")?.split(";")[0]?.trim() === SIGNED_ANSWER;
  const flaw = isSigned ? undefined : findFlaw(text);
  if (flaw !== undefined) throw new GateError("keys_refused", `the answer is refused: ${flaw}`);
  const isEmpty = status === 204 || status === 205 || status === 304;
  return {
    response: new Response(isEmpty ? null : text, { status, headers }),
    signed: isSigned ? text : undefined,
  };
}

function opener(key: DecryptionKey): oauth.JweDecryptFunction {
  return async (jwe) => {
    const text = await decryptJwt(jwe, key);
    if (text === undefined) throw new GateError("keys_refused", "the answer cannot be decrypted");
    return text;
  };
}

/** Nothing of what the endpoint itself says is repeated. */
function wordsOf(error: unknown): string {
  if (error instanceof GateError) return error.message;
  if (error instanceof oauth.ResponseBodyError) return `it answers with status ${error.status}`;
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return `it answers with status ${error.status}: are clientId and clientSecret right?`;
  }
  if (error instanceof oauth.OperationProcessingError) {
    const { status = 200 } = error.cause instanceof Response ? error.cause : {};
    return status === 200 ? "its answer is none of RFC 7662" : `it answers with status ${status}`;
  }
  const isLate = error instanceof Error && error.name === "TimeoutError";
  return isLate ? "it does not answer in time" : "it cannot be reached";
}
