/**
 * `/.claimgate/login`: sends a browser to its provider. The provider knows the gate by its public
 * origin alone, so a sign-in that begins at another host goes by way of that.
 *
 * @module
 */
import { generateRandomCodeVerifier, generateRandomNonce } from "oauth4webapi";
import { err, ok } from "../result.ts";
import type { Denial } from "../types.ts";
import { ATTEMPT_MS, newState, type ProviderAttempt } from "./attempt.ts";
import { type LoginAnswer, type LoginContext, type LoginRequest, redirect } from "./context.ts";
import { loginDenial } from "./denials.ts";
import { chooserPage } from "./screens.ts";

const LOGIN_PATH = "/.claimgate/login";
export const CALLBACK_PATH = "/.claimgate/callback";

/** What a host tells the public origin about the sign-in that it began; sealed. */
type HandOverWish = NonNullable<ProviderAttempt["handOver"]> & {
  readonly returnTo: string;
  readonly issuer: string;
  readonly acr?: readonly string[];
  readonly maxAgeSeconds?: number;
  readonly expiresMs: number;
};

export async function answerLogin(
  context: LoginContext,
  { inquiry }: LoginRequest,
): Promise<LoginAnswer> {
  const { origins } = context;
  const query = new URLSearchParams(inquiry.query);
  const handOver = query.get("handover");
  if (handOver !== null) return startHandedOver(context, inquiry, handOver);

  const here = origins.of(inquiry);
  const returnTo = origins.readReturn(query.get("return") ?? "/", here ?? origins.public);
  if (returnTo === undefined || query.getAll("return").length > 1) {
    return err(badRequest("return_refused"));
  }
  // A person signs in at the host whose page is to be seen: its cookie is what they need.
  if (returnTo.origin !== here) return ok(redirect(atHost(returnTo, query), []));

  const wish = readWish(query);
  if (wish === undefined) return err(badRequest("step_up_refused"));
  const choices = context.choicesFor(returnTo);
  const chosen = query.get("issuer") ?? (choices.length === 1 ? choices[0] : undefined);
  if (chosen !== undefined && !choices.includes(chosen)) return err(badRequest("issuer_refused"));
  if (chosen === undefined) {
    if (choices.length === 0) return err(badRequest("issuer_missing"));
    const links = choices.map((issuer) => ({ issuer, href: linkTo(returnTo, query, issuer) }));
    return ok(chooserPage(links, context.config.brand));
  }
  const begun = { issuer: chosen, returnTo: returnTo.href, ...wish };
  if (here === origins.public) return startAtProvider(context, inquiry, begun);

  const state = newState(inquiry.nowMs);
  const expiresMs = inquiry.nowMs + ATTEMPT_MS;
  const cookies = await context.attempts.keep(inquiry.headers.get("cookie"), {
    kind: "host",
    state,
    returnTo: returnTo.href,
    expiresMs,
  });
  const sealed: HandOverWish = { ...begun, origin: here, state: publicPart(state), expiresMs };
  const to = new URL(LOGIN_PATH, origins.public);
  to.searchParams.set("handover", await context.ring.seal("hand-over", sealed));
  return ok(redirect(to.href, cookies));
}

/** What may be told of a state: its other half stays in the cookie of the host that it is for. */
export function publicPart(state: string): string {
  const digest = new Bun.CryptoHasher("sha256").update(`claimgate hand-over ${state}`);
  return `${state.slice(0, state.indexOf("."))}.${digest.digest("base64url")}`;
}

async function startHandedOver(
  context: LoginContext,
  inquiry: LoginRequest["inquiry"],
  text: string,
): Promise<LoginAnswer> {
  const { origins } = context;
  const opened = (await context.ring.open("hand-over", text)) as HandOverWish | undefined;
  if (opened === undefined || inquiry.nowMs >= opened.expiresMs) {
    return err(badRequest("hand_over_refused"));
  }
  const { origin, state, ...wish } = opened;
  // What was served when it began may be served no more.
  const isServed = origins.readReturn(wish.returnTo, origin)?.origin === origin;
  if (!isServed || origins.of(inquiry) !== origins.public) {
    return err(badRequest("hand_over_refused"));
  }
  return startAtProvider(context, inquiry, { ...wish, handOver: { origin, state } });
}

type Begun = Pick<ProviderAttempt, "issuer" | "returnTo" | "handOver"> &
  Pick<HandOverWish, "acr" | "maxAgeSeconds">;

async function startAtProvider(
  context: LoginContext,
  { headers, nowMs }: LoginRequest["inquiry"],
  { issuer, returnTo, handOver, acr, maxAgeSeconds }: Begun,
): Promise<LoginAnswer> {
  const provider = context.providerOf(issuer);
  if (provider === undefined) return err(badRequest("issuer_refused"));
  const secrets = {
    state: newState(nowMs),
    nonce: generateRandomNonce(),
    verifier: generateRandomCodeVerifier(),
  };
  const redirectUri = `${context.origins.public}${CALLBACK_PATH}`;
  const address = await provider.authorize({ ...secrets, redirectUri, acr, maxAgeSeconds });
  if (!address.ok) return err(loginDenial(context, address.error, { issuer, returnTo }));
  const stepUp = {
    ...(acr !== undefined && { acr }),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
  };
  const cookies = await context.attempts.keep(headers.get("cookie"), {
    kind: "provider",
    ...secrets,
    issuer,
    returnTo,
    expiresMs: nowMs + ATTEMPT_MS,
    ...(handOver !== undefined && { handOver }),
    ...(Object.keys(stepUp).length > 0 && { stepUp }),
  });
  return ok(redirect(address.value, cookies));
}

const ACR = /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/;
const MOST_ACR = 10;
const LONGEST_AGE_SECONDS = 10 * 365 * 24 * 3_600;

/** What a policy asks of the sign-in; anybody may ask for more, and nobody can for less. */
function readWish(
  query: URLSearchParams,
): { readonly acr?: readonly string[]; readonly maxAgeSeconds?: number } | undefined {
  const acr = query.get("acr_values")?.split(" ");
  const maxAge = query.get("max_age");
  if (acr !== undefined && (acr.length > MOST_ACR || !acr.every((one) => ACR.test(one)))) {
    return undefined;
  }
  if (maxAge !== null && !(/^\d{1,10}$/.test(maxAge) && Number(maxAge) <= LONGEST_AGE_SECONDS)) {
    return undefined;
  }
  return {
    ...(acr !== undefined && { acr }),
    ...(maxAge !== null && { maxAgeSeconds: Number(maxAge) }),
  };
}

/** The same wish at the host that is to be seen. */
function atHost(returnTo: URL, query: URLSearchParams): string {
  return new URL(linkTo(returnTo, query, query.get("issuer")), returnTo.origin).href;
}

function linkTo(returnTo: URL, query: URLSearchParams, issuer: string | null): string {
  const next = new URLSearchParams({ return: pathOf(returnTo) });
  if (issuer !== null) next.set("issuer", issuer);
  for (const name of ["acr_values", "max_age"]) {
    const value = query.get(name);
    if (value !== null) next.set(name, value);
  }
  return `${LOGIN_PATH}?${next}`;
}

function pathOf({ pathname, search, hash }: URL): string {
  // A path may not begin with two slashes here, though it may anywhere else.
  return pathname.startsWith("//") ? "/" : `${pathname}${search}${hash}`;
}

function badRequest(reason: string): Denial {
  return { status: 400, code: "login_failed", reason };
}
