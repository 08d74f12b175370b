/**
 * The token endpoint (RFC 6749 §3.2): client credentials, and codes with PKCE.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { Type } from "@sinclair/typebox";
import { err, ok, type Result } from "../result.ts";
import { authenticateClient } from "./clients.ts";
import { DEFAULT_LIFETIME_SECONDS } from "./mint.ts";
import { errorResponse, type OAuthError, oauthError } from "./oauth-error.ts";
import {
  type Parameters,
  Resources,
  readAudience,
  readForm,
  readParameters,
  Scope,
  text,
} from "./parameters.ts";
import { type Grant, issueAccessToken, issueIdToken, type Provider } from "./provider.ts";
import { claimsOf, readRoles } from "./users.ts";

const TokenRequest = Type.Object({
  grant_type: text(128),
  client_id: Type.Optional(text(256)),
  client_secret: Type.Optional(text(1_024)),
  scope: Type.Optional(Scope),
  audience: Type.Optional(text(1_024)),
  resource: Type.Optional(Resources),
  /** Of ours: with client credentials, a comma list that becomes the `roles` claim. */
  roles: Type.Optional(text(8_192)),
  code: Type.Optional(text(128)),
  redirect_uri: Type.Optional(text(2_048)),
  /** RFC 7636 §4.1. */
  code_verifier: Type.Optional(Type.String({ pattern: "^[A-Za-z0-9._~-]{43,128}$" })),
});
type TokenRequest = Parameters<typeof TokenRequest>;

/** RFC 6749 §5.1, with the ID token of OpenID Connect Core §3.1.3.3. */
type TokenAnswer = {
  readonly access_token: string;
  readonly token_type: "Bearer";
  readonly expires_in: number;
  readonly scope?: string;
  readonly id_token?: string;
};

/** @returns A token, or an error of RFC 6749 §5.2. */
export async function answerTokenRequest(provider: Provider, request: Request): Promise<Response> {
  const answer = await grantToken(provider, request);
  if (!answer.ok) return errorResponse(answer.error);
  // `Pragma` is asked for by RFC 6749 §5.1 besides.
  return Response.json(answer.value, {
    headers: { "Cache-Control": "no-store", Pragma: "no-cache" },
  });
}

async function grantToken(
  provider: Provider,
  request: Request,
): Promise<Result<TokenAnswer, OAuthError>> {
  const form = await readForm(request);
  const read = form.ok ? readParameters(TokenRequest, form.value) : form;
  if (!read.ok) return read;
  const asked = read.value;
  const client = authenticateClient(provider.clients, request.headers.get("authorization"), asked);
  if (!client.ok) return client;
  const audience = readAudience(asked);
  if (!audience.ok) return audience;
  switch (asked.grant_type) {
    case "client_credentials":
      return client.value.isPublic
        ? err(oauthError("unauthorized_client", "a client without secret cannot act by itself"))
        : grantToClient(provider, client.value.id, asked, audience.value);
    case "authorization_code":
      return redeemCode(provider, client.value.id, asked, audience.value);
    default: {
      const description = "grant_type must be authorization_code or client_credentials";
      return err(oauthError("unsupported_grant_type", description));
    }
  }
}

/** RFC 6749 §4.4: the client is its own subject. */
async function grantToClient(
  provider: Provider,
  clientId: string,
  asked: TokenRequest,
  audience: readonly string[],
): Promise<Result<TokenAnswer, OAuthError>> {
  const roles = readRoles(asked.roles ?? "");
  if (!roles.ok) return err(oauthError("invalid_request", roles.error));
  const token = await issueAccessToken(provider, {
    subject: clientId,
    ...(audience.length > 0 && { audience }),
    claims: {
      client_id: clientId,
      ...(asked.scope !== undefined && { scope: asked.scope }),
      ...(roles.value.length > 0 && { roles: roles.value }),
    },
  });
  return ok(tokenAnswer(token, asked.scope));
}

/** RFC 6749 §4.1.3. Whatever is wrong with a known code, it is used up. */
async function redeemCode(
  provider: Provider,
  clientId: string,
  asked: TokenRequest,
  audience: readonly string[],
): Promise<Result<TokenAnswer, OAuthError>> {
  const { code, redirect_uri, code_verifier } = asked;
  if (code === undefined || redirect_uri === undefined || code_verifier === undefined) {
    const description = "code, redirect_uri and code_verifier are needed";
    return err(oauthError("invalid_request", description));
  }
  const grant = provider.codes.take(code);
  const fits =
    grant !== undefined &&
    grant.request.clientId === clientId &&
    grant.request.redirectUri === redirect_uri &&
    grant.request.codeChallenge === challengeOf(code_verifier);
  if (!fits) {
    const description =
      "the code is unknown, used, older than a minute, or of another client, redirect_uri or verifier";
    return err(oauthError("invalid_grant", description));
  }
  const target = narrowAudience(grant.request.audience, audience);
  if (!target.ok) return target;
  return ok(await tokensFor(provider, grant, target.value));
}

/** RFC 8707 §2.2: a code is good for what was authorized, or for part of it. */
function narrowAudience(
  authorized: readonly string[],
  asked: readonly string[],
): Result<readonly string[], OAuthError> {
  if (asked.length === 0) return ok(authorized);
  return authorized.length === 0 || asked.every((one) => authorized.includes(one))
    ? ok(asked)
    : err(oauthError("invalid_target", "the code was not authorized for that audience"));
}

async function tokensFor(
  provider: Provider,
  { request, user, authTime }: Grant,
  audience: readonly string[],
): Promise<TokenAnswer> {
  const person = {
    ...claimsOf(user, request.scopes),
    auth_time: authTime,
    ...(request.acr !== undefined && { acr: request.acr }),
  };
  const scope = request.scopes.length > 0 ? request.scopes.join(" ") : undefined;
  const token = await issueAccessToken(provider, {
    subject: user.subject,
    ...(audience.length > 0 && { audience }),
    claims: { client_id: request.clientId, ...(scope !== undefined && { scope }), ...person },
  });
  if (!request.scopes.includes("openid")) return tokenAnswer(token, scope);
  const issuedAt = Math.floor(provider.now() / 1_000);
  const idToken = await issueIdToken(provider, {
    iss: provider.issuer,
    sub: user.subject,
    aud: request.clientId,
    iat: issuedAt,
    exp: issuedAt + DEFAULT_LIFETIME_SECONDS,
    at_hash: halfHash(token),
    ...(request.nonce !== undefined && { nonce: request.nonce }),
    ...person,
  });
  return { ...tokenAnswer(token, scope), id_token: idToken };
}

function tokenAnswer(token: string, scope: string | undefined): TokenAnswer {
  return {
    access_token: token,
    token_type: "Bearer",
    expires_in: DEFAULT_LIFETIME_SECONDS,
    ...(scope !== undefined && { scope }),
  };
}

/** RFC 7636 §4.6. */
function challengeOf(verifier: string): string {
  return createHash("sha256").update(verifier).digest("base64url");
}

/** `at_hash`: the left half of the token's SHA-256 (OpenID Connect Core §3.1.3.6). */
function halfHash(token: string): string {
  return createHash("sha256").update(token).digest().subarray(0, 16).toString("base64url");
}
