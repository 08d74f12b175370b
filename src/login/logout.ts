/**
 * `/.claimgate/logout`: ends this browser's session here at once, then at the provider where that
 * has a place for it (OpenID Connect RP-Initiated Logout 1.0).
 *
 * @module
 */
import { cookiesNamed, setCookie } from "../lib/cookies.ts";
import { err, ok } from "../result.ts";
import type { Inquiry } from "../types.ts";
import {
  type LoginAnswer,
  type LoginContext,
  type LoginRequest,
  redirect,
  sessionCookieName,
} from "./context.ts";
import { signOutPage } from "./screens.ts";
import type { SessionRecord } from "./session.ts";

const SIGNED_OUT_PATH = "/.claimgate/signed-out";
/** A browser has one; what else is in the header is looked at no further. */
const MOST_SESSIONS = 4;

export function askLogout({ config, origins }: LoginContext): LoginAnswer {
  // Browsers hold each hop after a form to this, and where providers lead on is not ours to know.
  const formAction = origins.secure ? "'self' https:" : "'self' https: http:";
  return ok(signOutPage(config.brand, formAction));
}

export async function answerLogout(
  context: LoginContext,
  { inquiry }: LoginRequest,
): Promise<LoginAnswer> {
  if (!isFromHere(context, inquiry)) {
    return err({ status: 403, code: "cross_site", reason: "logout_foreign" });
  }
  const { sessions, origins } = context;
  const name = sessionCookieName(origins);
  const ids = cookiesNamed(inquiry.headers.get("cookie"), name).slice(0, MOST_SESSIONS);
  let ended: SessionRecord | undefined;
  for (const id of new Set(ids)) ended = (await sessions.end(id, "signed out")) ?? ended;
  if (ended !== undefined) {
    const { publicId: target, issuerName: reason } = ended;
    context.record({ actor: "gate", act: "sign_out", target, reason });
    context.log.event("info", "signed_out", "a person signed out", { session: target });
  }
  const removal = setCookie({ name, value: "", maxAgeSeconds: 0, secure: origins.secure });
  const to = await leaveTo(context, ended);
  return ok(redirect(to, [removal], 303));
}

async function leaveTo(context: LoginContext, ended: SessionRecord | undefined): Promise<string> {
  const signedOut = `${context.origins.public}${SIGNED_OUT_PATH}`;
  const provider = ended && context.providerOf(ended.issuerName);
  const endpoint = await provider?.endSession();
  if (ended === undefined || provider === undefined || endpoint === undefined) return signedOut;
  const url = new URL(endpoint);
  if (ended.idToken !== "") url.searchParams.set("id_token_hint", ended.idToken);
  url.searchParams.set("client_id", provider.login.clientId);
  url.searchParams.set("post_logout_redirect_uri", signedOut);
  return url.href;
}

/** `Origin` says it; where a browser sends none, `Sec-Fetch-Site` does; silence is no. */
function isFromHere(context: LoginContext, { headers, scheme, authority }: Inquiry): boolean {
  const origin = headers.get("origin");
  if (origin === null) return headers.get("sec-fetch-site") === "same-origin";
  return isOwnOrigin(context.origins, origin, { scheme, authority });
}

/** As the request came, or as it was sent, where TLS ends before the gate. */
export function isOwnOrigin(
  { secure }: Pick<LoginContext["origins"], "secure">,
  origin: string,
  { scheme, authority }: Pick<Inquiry, "scheme" | "authority">,
): boolean {
  // A page by plain http is another origin, and whoever is on the network can write it.
  const schemes = secure ? ["https"] : [scheme, "http"];
  return schemes.some((one) => URL.parse(`${one}://${authority}`)?.origin === origin);
}
