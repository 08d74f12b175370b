/**
 * The end-session endpoint (OpenID Connect RP-Initiated Logout): there is no session to end, so
 * it sends the browser back, or tells the person that all is done.
 *
 * @module
 */
import { Type } from "@sinclair/typebox";
import { htmlResponse, messagePage } from "./page.ts";
import { readParameters, text } from "./parameters.ts";
import { isLoopbackRedirect, redirectTo } from "./redirect.ts";

const Logout = Type.Object({
  post_logout_redirect_uri: Type.Optional(text(2_048)),
  state: Type.Optional(text(2_048)),
});

/** @param sent Of the query or the form; `id_token_hint` and the rest are not needed. */
export function answerLogout(sent: URLSearchParams): Response {
  const read = readParameters(Logout, sent);
  if (!read.ok) return refusal(read.error.description);
  const { post_logout_redirect_uri: target, state } = read.value;
  if (target === undefined) return signedOut();
  return isLoopbackRedirect(target)
    ? redirectTo(target, { state })
    : refusal("post_logout_redirect_uri must be an http or https address on this machine");
}

function signedOut(): Response {
  const reason = "This provider keeps no session";
  const advice = "You may close this page. The next sign-in asks again who you are.";
  return htmlResponse(messagePage({ title: "You are signed out", reason, advice }), 200);
}

function refusal(reason: string): Response {
  const advice = "You may close this page.";
  return htmlResponse(messagePage({ title: "This sign-out cannot go on", reason, advice }), 400);
}
