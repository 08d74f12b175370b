/**
 * The authorization endpoint (RFC 6749 §4.1, RFC 7636, RFC 9207): a page asks who signs in, and
 * its answer becomes a code. There is no session: each sign-in asks again.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { err, ok, type Result } from "../result.ts";
import { type OAuthError, oauthError } from "./oauth-error.ts";
import { htmlResponse, messagePage, signInPage } from "./page.ts";
import {
  type Parameters,
  Resources,
  readAudience,
  readForm,
  readParameters,
  Scope,
  text,
} from "./parameters.ts";
import type { AuthorizationRequest, Provider } from "./provider.ts";
import { isLoopbackRedirect, redirectTo } from "./redirect.ts";
import { readUser, type User } from "./users.ts";

/** What must hold before anything may be sent back to the client. */
const Target = Type.Object({
  client_id: text(256),
  redirect_uri: text(2_048),
  state: Type.Optional(text(2_048)),
});

const Asked = Type.Object({
  response_type: text(64),
  response_mode: Type.Optional(text(64)),
  scope: Type.Optional(Scope),
  nonce: Type.Optional(text(512)),
  /** RFC 7636 §4.2: a SHA-256 in base64url. */
  code_challenge: Type.String({ pattern: "^[A-Za-z0-9_-]{43}$" }),
  code_challenge_method: text(16),
  prompt: Type.Optional(text(64)),
  login_hint: Type.Optional(text(255)),
  acr_values: Type.Optional(text(512)),
  audience: Type.Optional(text(1_024)),
  resource: Type.Optional(Resources),
  request: Type.Optional(text(16_384)),
  request_uri: Type.Optional(text(2_048)),
});

const Answer = Type.Object({
  sign_in: text(64),
  choice: Type.Union([Type.Literal("sign_in"), Type.Literal("cancel")]),
  subject: Type.Optional(text(1_024)),
  roles: Type.Optional(text(8_192)),
});

/** GET: shows the page, or sends the client its error; where that is not safe, tells the person. */
export function startSignIn(provider: Provider, query: URLSearchParams): Response {
  const target = readParameters(Target, query);
  if (!target.ok) return refusalPage(target.error.description);
  const { client_id, redirect_uri, state } = target.value;
  if (!isLoopbackRedirect(redirect_uri)) {
    return refusalPage("redirect_uri must be an http or https address on this machine");
  }
  if (provider.clients.size > 0 && !provider.clients.has(client_id)) {
    return refusalPage("client_id names no client of this provider");
  }
  const asked = readAsked(query);
  if (!asked.ok) {
    const { code, description } = asked.error;
    const error = { error: code, error_description: description, state, iss: provider.issuer };
    return redirectTo(redirect_uri, error);
  }
  return askPerson(provider, {
    ...asked.value,
    clientId: client_id,
    redirectUri: redirect_uri,
    ...(state !== undefined && { state }),
  });
}

/** POST: the person's answer to the page. */
export async function finishSignIn(provider: Provider, request: Request): Promise<Response> {
  if (isCrossSite(request)) return refusalPage("The answer came from another site");
  const form = await readForm(request);
  const answer = form.ok ? readParameters(Answer, form.value) : form;
  if (!answer.ok) return refusalPage(answer.error.description);
  const { sign_in, choice, subject = "", roles = "" } = answer.value;
  const pending = provider.signIns.take(sign_in);
  if (pending === undefined) {
    return refusalPage("This page has been answered already or is too old");
  }
  if (choice === "cancel") return sendError(provider, pending);
  const user = readUser(subject, roles);
  if (!user.ok) return askPerson(provider, pending, { message: user.error, subject, roles });
  return sendCode(provider, pending, user.value);
}

function askPerson(
  provider: Provider,
  request: AuthorizationRequest,
  mistake?: { message: string; subject: string; roles: string },
): Response {
  const signInId = provider.signIns.put(request);
  const page = signInPage({
    signInId,
    clientId: request.clientId,
    returnsTo: new URL(request.redirectUri).host,
    scopes: request.scopes,
    subject: mistake?.subject ?? request.loginHint ?? "",
    roles: mistake?.roles ?? "",
    ...(mistake !== undefined && { mistake: mistake.message }),
  });
  return htmlResponse(page, mistake === undefined ? 200 : 400);
}

function sendCode(provider: Provider, request: AuthorizationRequest, user: User): Response {
  const authTime = Math.floor(provider.now() / 1_000);
  return redirectTo(request.redirectUri, {
    code: provider.codes.put({ request, user, authTime }),
    state: request.state,
    iss: provider.issuer,
  });
}

function sendError(provider: Provider, request: AuthorizationRequest): Response {
  return redirectTo(request.redirectUri, {
    error: "access_denied",
    error_description: "the person cancelled",
    state: request.state,
    iss: provider.issuer,
  });
}

type Checked = Omit<AuthorizationRequest, "clientId" | "redirectUri" | "state">;

function readAsked(query: URLSearchParams): Result<Checked, OAuthError> {
  // Before PKCE: a client that sends one of these has put everything else in there.
  for (const name of ["request", "request_uri"] as const) {
    if (query.has(name)) return err(oauthError(`${name}_not_supported`, `leave out ${name}`));
  }
  const read = readParameters(Asked, query);
  if (!read.ok) return read;
  const asked = read.value;
  const refusal = refuseUnsupported(asked);
  if (refusal !== undefined) return err(refusal);
  const audience = readAudience(asked);
  if (!audience.ok) return audience;
  const acr = asked.acr_values?.split(" ")[0];
  return ok({
    scopes: asked.scope?.split(" ") ?? [],
    audience: audience.value,
    codeChallenge: asked.code_challenge,
    ...(asked.nonce !== undefined && { nonce: asked.nonce }),
    ...(asked.login_hint !== undefined && { loginHint: asked.login_hint }),
    ...(acr !== undefined && { acr }),
  });
}

function refuseUnsupported(asked: Parameters<typeof Asked>): OAuthError | undefined {
  if (asked.response_type !== "code") {
    return oauthError("unsupported_response_type", "response_type must be code");
  }
  if ((asked.response_mode ?? "query") !== "query") {
    return oauthError("invalid_request", "response_mode must be query");
  }
  if (asked.code_challenge_method !== "S256") {
    return oauthError("invalid_request", "code_challenge_method must be S256");
  }
  if (asked.prompt?.split(" ").includes("none")) {
    return oauthError("login_required", "each sign-in asks the person");
  }
  return undefined;
}

/**
 * Whether a page of another origin sent this form. Browsers say where a POST comes from and no
 * page can forge that; a client that says nothing is no browser. The id in the form, which no
 * other origin can read, stands behind this.
 */
function isCrossSite(request: Request): boolean {
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin") return true;
  const origin = request.headers.get("origin");
  return origin !== null && origin !== `http://${request.headers.get("host")}`;
}

function refusalPage(reason: string): Response {
  const advice = "Start again at the application; if this comes back, its request is wrong.";
  return htmlResponse(messagePage({ title: "This sign-in cannot go on", reason, advice }), 400);
}
