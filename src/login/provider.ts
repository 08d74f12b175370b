/**
 * What is asked of a provider: where people sign in, tokens for a code, tokens for a refresh
 * token, claims. All of it by oauth4webapi; what it does not check (signatures, sizes, time) is
 * checked here.
 *
 * @module
 */
import * as oauth from "oauth4webapi";
import type { LoginConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { checkKeyUrl, type Fetch, readBody } from "../identity/fetch-json.ts";
import type { Issuer } from "../identity/issuers.ts";
import { decryptJwt, verifyJwt } from "../identity/verify-jwt.ts";
import { isLoopbackHost } from "../lib/host.ts";
import { err, ok, type Result } from "../result.ts";
import { clientAuthOf } from "./client-auth.ts";
import { failureOf, type LoginFailure, refusedLogin } from "./failure.ts";

/** What a provider gave for a code or a refresh token, checked. */
export type Grant = {
  /** Members of the ID token. */
  readonly claims: ProviderClaims;
  /** Of UserInfo, which overlay them; empty where the issuer is not asked for it. */
  readonly userInfo: ProviderClaims;
  readonly idToken: string;
  readonly refreshToken?: string;
  /** When what was given expires: the later of ID token and access token. Since 1970. */
  readonly expiresMs: number;
};

/** Without claims and ID token where the provider gave no new one. */
export type Renewal = Omit<Grant, "idToken" | "claims"> & Partial<Grant>;

export type ProviderClaims = Readonly<Record<string, unknown>>;

type AuthorizationWish = {
  readonly redirectUri: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly acr?: readonly string[] | undefined;
  readonly maxAgeSeconds?: number | undefined;
};

type CodeAnswer = Pick<AuthorizationWish, "redirectUri" | "state" | "nonce" | "verifier"> & {
  /** The callback's query. */
  readonly parameters: URLSearchParams;
};

export type Provider = {
  readonly issuer: Issuer;
  readonly login: LoginConfig;
  /** Where a browser goes to sign in. */
  authorize(wish: AuthorizationWish): Promise<Result<string, LoginFailure>>;
  redeem(answer: CodeAnswer): Promise<Result<Grant, LoginFailure>>;
  refresh(refreshToken: string, subject: string): Promise<Result<Renewal, LoginFailure>>;
  /** Where the provider's own session ends; absent where it has no such place. */
  endSession(): Promise<string | undefined>;
};

type ProviderDependencies = { readonly fetch: Fetch; readonly now: () => number };

const TIMEOUT_MS = 5_000;
const MOST_BYTES = 1024 * 1024;
/** After a failure the provider is not asked again for its metadata for so long. */
const RETRY_MS = 2_000;

type Metadata = { readonly server: oauth.AuthorizationServer; readonly readAtMs: number };

/** Members that only the ID token, which is signed for this very sign-in, may set. */
const SIGNED_ALONE: readonly string[] = [
  ..."iss sub aud exp iat nbf nonce azp acr amr auth_time sid at_hash c_hash jti".split(" "),
];

/** Opens nothing: the provider is asked when it is needed. */
export function openProvider(
  issuer: Issuer,
  login: LoginConfig,
  { fetch, now }: ProviderDependencies,
): Provider {
  const { config } = issuer;
  const client: oauth.Client = {
    client_id: login.clientId,
    [oauth.clockTolerance]: config.clockToleranceSeconds,
  };
  const options = {
    [oauth.customFetch]: boundedFetch(fetch, config.issuer),
    // Which of them are loopback is asked for each, where it is fetched.
    [oauth.allowInsecureRequests]: isLoopbackHost(new URL(config.issuer).hostname),
    ...(issuer.decryption && { [oauth.jweDecrypt]: opener(issuer.decryption) }),
  };
  let held: Metadata | undefined;
  let reading: Promise<Metadata> | undefined;
  let failed: { readonly atMs: number; readonly error: unknown } | undefined;

  async function metadata(): Promise<oauth.AuthorizationServer> {
    // Others' clocks, not ours: a test's or a set-back one is told to the library each time.
    client[oauth.clockSkew] = Math.round((now() - Date.now()) / 1_000);
    if (held !== undefined && now() - held.readAtMs < config.refreshMs) return held.server;
    if (failed !== undefined && now() - failed.atMs < RETRY_MS) {
      if (held !== undefined) return held.server;
      throw failed.error;
    }
    reading ??= readMetadata().finally(() => {
      reading = undefined;
    });
    try {
      held = await reading;
      failed = undefined;
    } catch (error) {
      failed = { atMs: now(), error };
      // What was good an hour ago mostly still is, and a provider that is down says so itself.
      if (held === undefined) throw error;
    }
    return held.server;
  }

  async function readMetadata(): Promise<Metadata> {
    const url = new URL(config.issuer);
    const answer = await oauth.discoveryRequest(url, options);
    const server = await oauth.processDiscoveryResponse(url, answer);
    if (server.issuer !== config.issuer) {
      throw new GateError("keys_refused", "the discovery document names another issuer");
    }
    return { server, readAtMs: now() };
  }

  /** The library has checked issuer, audience, nonce and times; the signature is ours. */
  async function checkIdToken(answer: oauth.TokenEndpointResponse) {
    const claims = oauth.getValidatedIdTokenClaims(answer);
    if (claims === undefined || answer.id_token === undefined) return ok(undefined);
    // OpenID Connect Core §3.1.3.7, 5: whomever else it was given to, it is not for us.
    if (claims.azp !== undefined && claims.azp !== login.clientId) {
      return err(refusedLogin("id_token_azp_mismatch"));
    }
    const verified = await verifyJwt(answer.id_token, issuer, ["jwt"]);
    if (verified.ok) return ok({ claims: verified.value, idToken: answer.id_token });
    const { code, reason } = verified.error;
    const kind = code === "keys_unavailable" ? "unreachable" : "refused";
    return err({ kind, reason: `id_token_${reason}` } as const);
  }

  async function userInfo(server: oauth.AuthorizationServer, accessToken: string, subject: string) {
    if (!login.userinfo) return {};
    const answer = await oauth.userInfoRequest(server, client, accessToken, options);
    const claims = await oauth.processUserInfoResponse(server, client, subject, answer, options);
    return Object.fromEntries(
      Object.entries(claims).filter(([name]) => !SIGNED_ALONE.includes(name)),
    );
  }

  function expiryOf({ expires_in }: oauth.TokenEndpointResponse, claims: object | undefined) {
    const exp = claims !== undefined && "exp" in claims ? Number(claims.exp) * 1_000 : 0;
    return Math.max(exp, expires_in === undefined ? 0 : now() + expires_in * 1_000);
  }

  const attempt = async <T>(
    work: (server: oauth.AuthorizationServer) => Promise<Result<T, LoginFailure>>,
  ): Promise<Result<T, LoginFailure>> => {
    try {
      return await work(await metadata());
    } catch (error) {
      if (error instanceof GateError && error.code === "config_invalid") throw error;
      return err(failureOf(error));
    }
  };

  return {
    issuer,
    login,
    authorize: (wish) =>
      attempt(async (server) => {
        const endpoint = server.authorization_endpoint ?? "";
        if (checkKeyUrl(endpoint, config.issuer) !== undefined) {
          return err(refusedLogin("authorization_endpoint_refused"));
        }
        return ok(await authorizationUrl(endpoint, login, wish));
      }),

    redeem: ({ parameters, redirectUri, state, nonce, verifier }) =>
      attempt(async (server) => {
        // RFC 9207: an answer that another provider gave is refused before the code is sent.
        const checked = oauth.validateAuthResponse(server, client, parameters, state);
        const answer = await oauth.authorizationCodeGrantRequest(
          server,
          client,
          await clientAuthOf(login, server),
          checked,
          redirectUri,
          verifier,
          options,
        );
        const expected = { ...options, expectedNonce: nonce, requireIdToken: true };
        const tokens = await oauth.processAuthorizationCodeResponse(
          server,
          client,
          answer,
          expected,
        );
        const signed = await checkIdToken(tokens);
        if (!signed.ok) return signed;
        if (signed.value === undefined) return err(refusedLogin("id_token_missing"));
        const { claims, idToken } = signed.value;
        return ok({
          claims,
          userInfo: await userInfo(server, tokens.access_token, String(claims.sub)),
          idToken,
          expiresMs: expiryOf(tokens, claims),
          ...(tokens.refresh_token !== undefined && { refreshToken: tokens.refresh_token }),
        });
      }),

    refresh: (refreshToken, subject) =>
      attempt(async (server) => {
        const answer = await oauth.refreshTokenGrantRequest(
          server,
          client,
          await clientAuthOf(login, server),
          refreshToken,
          options,
        );
        const tokens = await oauth.processRefreshTokenResponse(server, client, answer, options);
        const signed = await checkIdToken(tokens);
        if (!signed.ok) return signed;
        // OpenID Connect Core §12.2: it must be the same person's.
        if (signed.value !== undefined && signed.value.claims.sub !== subject) {
          return err(refusedLogin("id_token_sub_mismatch"));
        }
        return ok({
          ...signed.value,
          userInfo: await userInfo(server, tokens.access_token, subject),
          expiresMs: expiryOf(tokens, signed.value?.claims),
          refreshToken: tokens.refresh_token ?? refreshToken,
        });
      }),

    async endSession() {
      const server = await metadata().catch(() => undefined); // Signing out here goes on without it.
      const endpoint = server?.end_session_endpoint;
      if (endpoint === undefined || checkKeyUrl(endpoint, config.issuer) !== undefined) {
        return undefined;
      }
      return endpoint;
    },
  };
}

async function authorizationUrl(
  endpoint: string,
  { clientId, scopes }: LoginConfig,
  wish: AuthorizationWish,
): Promise<string> {
  const url = new URL(endpoint);
  const parameters = {
    client_id: clientId,
    redirect_uri: wish.redirectUri,
    response_type: "code",
    scope: scopes.join(" "),
    state: wish.state,
    nonce: wish.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(wish.verifier),
    code_challenge_method: "S256",
    ...(wish.acr !== undefined && { acr_values: wish.acr.join(" ") }),
    ...(wish.maxAgeSeconds !== undefined && { max_age: String(wish.maxAgeSeconds) }),
    ...(scopes.includes("offline_access") && !isEntra(endpoint) && { prompt: "consent" }),
  };
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  return url.href;
}

/**
 * OpenID Connect Core §11: without asking for consent there is no refresh token. Entra ID gives
 * one anyway, and asked so shows people a page that in most organisations only an administrator
 * may confirm.
 */
function isEntra(endpoint: string): boolean {
  return new URL(endpoint).hostname === "login.microsoftonline.com";
}

function opener(key: NonNullable<Issuer["decryption"]>): oauth.JweDecryptFunction {
  return async (jwe) => {
    const text = await decryptJwt(jwe, key);
    if (text === undefined) throw new GateError("keys_refused", "an ID token cannot be decrypted");
    return text;
  };
}

/** Bounded in size and time, never redirected, and to this machine only for an issuer on it. */
export function boundedFetch(fetch: Fetch, issuer: string) {
  return async (url: string, init: oauth.CustomFetchOptions<string, unknown>) => {
    const complaint = checkKeyUrl(url, issuer);
    if (complaint !== undefined) throw new GateError("keys_refused", `an endpoint is ${complaint}`);
    const deadline = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, {
      method: init.method,
      body: init.body as BunFetchRequestInit["body"],
      headers: { ...init.headers, "accept-encoding": "gzip" },
      redirect: "manual",
      decompress: false,
      signal: deadline,
      ...(isLoopbackHost(new URL(url).hostname) && { proxy: false }),
    } as BunFetchRequestInit);
    const bytes = await readBody(response, MOST_BYTES);
    const { status } = response;
    const headers = new Headers(response.headers);
    headers.delete("content-encoding");
    headers.delete("content-length");
    return new Response(status === 204 || status === 304 ? null : bytes, { status, headers });
  };
}
