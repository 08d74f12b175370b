/**
 * What `claimgate login` asks of a provider as a public client (RFC 6749 §2.1), which has no
 * secret that it could keep.
 *
 * @module
 */
import * as oauth from "oauth4webapi";
import { GateError } from "../../errors.ts";
import { checkKeyUrl } from "../../identity/fetch-json.ts";
import { isLoopbackHost } from "../../lib/host.ts";
import { failureOf } from "../../login/failure.ts";
import { boundedFetch } from "../../login/provider.ts";
import type { KeptLogin } from "./kept-logins.ts";

export type Tokens = Pick<
  KeptLogin,
  "accessToken" | "refreshToken" | "expiresMs" | "scopes" | "subject" | "claims"
>;

export type CliProvider = {
  readonly server: oauth.AuthorizationServer;
  readonly client: oauth.Client;
  readonly options: oauth.HttpRequestOptions<"POST", URLSearchParams>;
};

/** @throws GateError `usage_wrong` when it cannot be reached or says nothing of use. */
export async function openCliProvider(issuer: string, clientId: string): Promise<CliProvider> {
  const url = URL.parse(issuer);
  if (url === null || checkKeyUrl(issuer) !== undefined) {
    const message = `--issuer takes the https address of a provider (http only on this machine), or a name from claimgate.yaml`;
    throw new GateError("usage_wrong", message);
  }
  const options = {
    [oauth.customFetch]: boundedFetch((input, init) => fetch(input, init), issuer),
    [oauth.allowInsecureRequests]: isLoopbackHost(url.hostname),
  };
  const server = await asking(issuer, async () => {
    const answer = await oauth.discoveryRequest(url, options);
    const found = await oauth.processDiscoveryResponse(url, answer);
    if (found.issuer === issuer) return found;
    throw new GateError("keys_refused", "the discovery document names another issuer");
  });
  return { server, client: { client_id: clientId }, options };
}

/** Runs an exchange. @throws GateError with the provider's reason, never its own words. */
export async function asking<T>(issuer: string, exchange: () => Promise<T>): Promise<T> {
  try {
    return await exchange();
  } catch (error) {
    const { kind, reason, detail } = failureOf(error);
    const more = detail === undefined ? "" : `, ${detail}`;
    const message =
      kind === "unreachable"
        ? `${issuer} does not answer as a provider should (${reason}${more})`
        : `${issuer} refused (${reason}${more})`;
    throw new GateError("config_invalid", message);
  }
}

/**
 * @param answer As the library has checked it.
 * @param response Whose signature on the ID token is yet to be checked.
 */
export async function readTokens(
  { server, options }: CliProvider,
  answer: oauth.TokenEndpointResponse,
  response: Response,
  asked: readonly string[],
): Promise<Tokens> {
  const claims = oauth.getValidatedIdTokenClaims(answer);
  if (claims !== undefined) {
    await oauth.validateApplicationLevelSignature(server, response, options as object);
  }
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: seconds } = answer;
  const within = membersOf(accessToken);
  const subject = claims?.sub ?? (typeof within.sub === "string" ? within.sub : undefined);
  const ends = [
    ...(seconds === undefined ? [] : [Date.now() + seconds * 1_000]),
    ...(typeof within.exp === "number" ? [within.exp * 1_000] : []),
  ];
  const expiresMs = ends.length === 0 ? undefined : Math.min(...ends);
  return {
    accessToken,
    scopes: answer.scope?.split(" ") ?? [...asked],
    claims: { ...claims },
    ...(refreshToken !== undefined && { refreshToken }),
    ...(subject !== undefined && { subject }),
    ...(expiresMs !== undefined && { expiresMs }),
  };
}

/** Of an access token that is a JWT; for the person to see, nothing is decided by it. */
function membersOf(token: string): Record<string, unknown> {
  const [, payload = "", ...rest] = token.split(".");
  if (rest.length !== 1) return {};
  try {
    const members: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return typeof members === "object" && members !== null ? { ...members } : {};
  } catch {
    return {}; // An opaque token that has two dots.
  }
}

/** @throws GateError when the provider refuses, and so must be asked anew. */
export async function refresh(login: KeptLogin, refreshToken: string): Promise<Tokens> {
  const provider = await openCliProvider(login.issuer, login.clientId);
  const { server, client, options } = provider;
  return asking(login.issuer, async () => {
    const response = await oauth.refreshTokenGrantRequest(
      server,
      client,
      oauth.None(),
      refreshToken,
      {
        ...options,
        additionalParameters: login.resources.map((resource) => ["resource", resource]),
      },
    );
    const answer = await oauth.processRefreshTokenResponse(server, client, response);
    const tokens = await readTokens(provider, answer, response, login.scopes);
    return { refreshToken, ...tokens };
  });
}

/** RFC 7009, where the provider has it. @returns Whether the provider has taken note. */
export async function revoke({ issuer, clientId, refreshToken, accessToken }: KeptLogin) {
  try {
    const { server, client, options } = await openCliProvider(issuer, clientId);
    if (server.revocation_endpoint === undefined) return false;
    const token = refreshToken ?? accessToken;
    const response = await oauth.revocationRequest(server, client, oauth.None(), token, options);
    await oauth.processRevocationResponse(response);
    return true;
  } catch {
    return false; // Said to the person: the token then lives until it expires.
  }
}
