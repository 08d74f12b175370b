/**
 * `/.claimgate/callback`: the way back. From the provider to the gate's public origin, and from
 * there, by a code for once, to the host where the sign-in began.
 *
 * @module
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { cookiesNamed, setCookie } from "../lib/cookies.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial } from "../types.ts";
import type { HostAttempt, ProviderAttempt } from "./attempt.ts";
import {
  type LoginAnswer,
  type LoginContext,
  type LoginRequest,
  redirect,
  sessionCookieName,
} from "./context.ts";
import { loginDenial } from "./denials.ts";
import { refusedLogin } from "./failure.ts";
import { overageOf } from "./overage.ts";
import type { Grant, Provider } from "./provider.ts";
import type { Sessions } from "./sessions.ts";
import { CALLBACK_PATH, publicPart } from "./start.ts";

const HAND_OVER_MS = 30_000;
const CODE = /^[a-z0-9]{8,9}[A-Za-z0-9_-]{8}\.[A-Za-z0-9_-]{43}$/;

/** What waits in the store for the browser to come to its host; sealed. */
type HandedOver = {
  readonly origin: string;
  /** The public part of the host's own state. */
  readonly state: string;
  readonly sessionId: string;
};

export async function answerCallback(
  context: LoginContext,
  request: LoginRequest,
): Promise<LoginAnswer> {
  const query = new URLSearchParams(request.inquiry.query);
  const code = query.get("handover");
  if (code !== null) return finishAtHost(context, request, code);

  const { inquiry } = request;
  const cookies = inquiry.headers.get("cookie");
  const state = query.get("state") ?? "";
  const attempt = await context.attempts.read(cookies, "provider", state, inquiry.nowMs);
  // Another browser's, a stale or an old one: whoever means well begins anew.
  if (attempt === undefined) return err(failed(context, "attempt_unknown"));
  const provider = context.providerOf(attempt.issuer);
  if (provider === undefined) return err(failed(context, "issuer_gone"));
  const isFirst = await context.store.putNew(usedKey(state), "1", attempt.expiresMs);
  if (!isFirst) return err(failed(context, "attempt_used"));

  const redirectUri = `${context.origins.public}${CALLBACK_PATH}`;
  const { nonce, verifier } = attempt;
  const answer = { parameters: query, redirectUri, state, nonce, verifier };
  const grant = await provider.redeem(answer);
  if (!grant.ok) {
    // Nobody signed in by it. Strangers could fill the store with what they bring to no end.
    await context.store.remove(usedKey(state));
    const { issuer, returnTo } = attempt;
    return err(loginDenial(context, grant.error, { issuer, returnTo }));
  }
  const beginning = await beginSession(context, provider, grant.value, attempt);
  if (!beginning.ok) {
    return err(loginDenial(context, refusedLogin(beginning.error), { issuer: attempt.issuer }));
  }
  const begun = beginning.value;
  const dropped = context.attempts.drop(state);
  if (attempt.handOver !== undefined) {
    const to = await handOver(context, attempt.handOver, begun.id, inquiry.nowMs);
    return ok(redirect(to, [dropped]));
  }
  return ok(redirect(attempt.returnTo, [dropped, await putCookie(context, request, begun.id)]));
}

/** Where an attempt is known to have been used, so that its cookie is good for once. */
function usedKey(state: string): string {
  return `login-used:${new Bun.CryptoHasher("sha256").update(state).digest("base64url")}`;
}

type Begun = NonNullable<Awaited<ReturnType<Sessions["begin"]>>>;

/** @returns The session, or why there is none: one that was refused at once would go in circles. */
async function beginSession(
  context: LoginContext,
  provider: Provider,
  grant: Grant,
  { stepUp, issuer, returnTo }: ProviderAttempt,
): Promise<Result<Begun, "claim_missing" | "session_revoked">> {
  const leftOut = overageOf(grant.claims);
  if (leftOut.length > 0) {
    const message = `the provider left claims out because there are too many of them: ${leftOut.join(", ")}; assign fewer groups to the application, or use roles`;
    context.log.event("warn", "claims_overage", message, { issuer });
  }
  const { hostname: host } = new URL(returnTo);
  const begun = await context.sessions.begin({ host, provider, grant, stepUp });
  if (begun === undefined) return err("claim_missing");
  if (context.revocations.check(begun.token) !== undefined) {
    await context.sessions.forget(begun.id);
    return err("session_revoked");
  }
  const target = begun.token.session ?? "";
  context.record({ actor: "gate", act: "sign_in", target, reason: issuer });
  context.log.event("info", "signed_in", "a person signed in", { issuer, session: target });
  return ok(begun);
}

async function handOver(
  { ring, store }: LoginContext,
  { origin, state }: NonNullable<ProviderAttempt["handOver"]>,
  sessionId: string,
  nowMs: number,
): Promise<string> {
  const code = `${state.slice(0, state.indexOf("."))}.${randomBytes(32).toString("base64url")}`;
  const content: HandedOver = { origin, state, sessionId };
  const sealed = await ring.seal("hand-over", content);
  await store.putNew(handOverKey(code), sealed, nowMs + HAND_OVER_MS);
  const to = new URL(CALLBACK_PATH, origin);
  to.searchParams.set("handover", code);
  return to.href;
}

function handOverKey(code: string): string {
  return `hand-over:${new Bun.CryptoHasher("sha256").update(code).digest("base64url")}`;
}

/** The code counts for the browser that began at this host, and for no other. */
async function finishAtHost(
  context: LoginContext,
  request: LoginRequest,
  code: string,
): Promise<LoginAnswer> {
  const { inquiry } = request;
  const sealed = CODE.test(code) ? await context.store.take(handOverKey(code)) : undefined;
  if (sealed === undefined) return err(failed(context, "hand_over_unknown"));
  const handed = (await context.ring.open("hand-over", sealed)) as HandedOver | undefined;
  if (handed === undefined) return err(failed(context, "hand_over_unknown"));
  const attempt = await findHostAttempt(context, inquiry, handed);
  if (attempt === undefined) {
    // Whose it is meant to be is not here: nobody shall have it.
    await context.sessions.forget(handed.sessionId);
    return err(failed(context, "hand_over_foreign"));
  }
  const cookies = [
    context.attempts.drop(attempt.state),
    await putCookie(context, request, handed.sessionId),
  ];
  return ok(redirect(attempt.returnTo, cookies));
}

async function findHostAttempt(
  { attempts, origins }: LoginContext,
  inquiry: LoginRequest["inquiry"],
  { origin, state }: HandedOver,
): Promise<HostAttempt | undefined> {
  if (origins.of(inquiry) !== origin) return undefined;
  const { headers, nowMs } = inquiry;
  const attempt = await attempts.find(headers.get("cookie"), "host", state, nowMs);
  if (attempt === undefined) return undefined;
  const [ours, theirs] = [Buffer.from(publicPart(attempt.state)), Buffer.from(state)];
  return ours.length === theirs.length && timingSafeEqual(ours, theirs) ? attempt : undefined;
}

/** A new id for each sign-in; the one that the browser had before is not found again. */
async function putCookie(
  { sessions, origins }: LoginContext,
  { inquiry }: LoginRequest,
  id: string,
): Promise<string> {
  const name = sessionCookieName(origins);
  const { secure } = origins;
  for (const former of new Set(cookiesNamed(inquiry.headers.get("cookie"), name).slice(0, 4))) {
    if (former !== id) await sessions.forget(former);
  }
  return setCookie({ name, value: id, secure });
}

function failed(context: LoginContext, reason: string): Denial {
  return loginDenial(context, refusedLogin(reason), {});
}
