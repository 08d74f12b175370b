/**
 * `/.claimgate/backchannel-logout`: the provider says that a person has signed out somewhere else
 * (OpenID Connect Back-Channel Logout 1.0).
 *
 * @module
 */
import { claimedIssuer, verifyJwt } from "../identity/verify-jwt.ts";
import { logoutValue } from "../ledger/revocation.ts";
import { err, ok, type Result } from "../result.ts";
import type { LoginAnswer, LoginContext, LoginRequest } from "./context.ts";
import type { Provider } from "./provider.ts";

const EVENT = "http://schemas.openid.net/event/backchannel-logout";
/** Back-Channel Logout 1.0 §2.4; older providers name none, or plain JWT. */
const TYPES: readonly string[] = ["logout+jwt", "jwt"];
/** A logout token that was made longer ago than this is a stale one. */
const LONGEST_AGE_SECONDS = 120;
const LONGEST_NAME = 1_000;

type Ending = {
  readonly provider: Provider;
  /** `sid:…`, or `sub:…` for all of a person's sessions. */
  readonly value: string;
  readonly id: string;
};

export async function answerBackchannelLogout(
  context: LoginContext,
  { inquiry, readText }: LoginRequest,
): Promise<LoginAnswer> {
  const form = await readForm(inquiry.headers, readText);
  const checked =
    form === undefined ? err("form_refused") : await check(context, form, inquiry.nowMs);
  if (!checked.ok) {
    const reason = `logout_token_${checked.error}`;
    context.log.event("warn", "logout_refused", "a logout token was refused", { reason });
    return err({ status: 400, code: "request_malformed", reason });
  }
  const { provider, value, id } = checked.value;
  const { issuer, name } = provider.issuer.config;
  const atMs = inquiry.nowMs;
  const { lifetimeMs } = context.config.session;
  const tolerance = provider.issuer.config.clockToleranceSeconds;
  const seen = `logout-token:${digest(`${issuer.length}:${issuer}${id}`)}`;
  const untilMs = atMs + (LONGEST_AGE_SECONDS + 2 * tolerance) * 1_000;
  if (!(await context.store.putNew(seen, "1", untilMs))) {
    const reason = "logout_token_replayed";
    return err({ status: 400, code: "request_malformed", reason });
  }
  try {
    const thing = { kind: "logout", issuer, value, reason: "signed out at the provider" } as const;
    const author = `issuer ${name}`;
    await context.revocations.revoke({ ...thing, author, atMs, untilMs: atMs + lifetimeMs });
  } catch (fault) {
    // The provider may bring the same token again.
    await context.store.remove(seen).catch(() => undefined);
    throw fault;
  }
  const kind = value.startsWith("sid:") ? "session" : "subject";
  context.record({ actor: `issuer ${name}`, act: "end_sessions", target: kind, reason: name });
  context.log.event("info", "signed_out", "the provider ended sessions", { issuer: name, kind });
  return ok(new Response(null, { status: 200, headers: { "Cache-Control": "no-store" } }));
}

async function readForm(
  headers: Headers,
  readText: LoginRequest["readText"],
): Promise<URLSearchParams | undefined> {
  const [type = ""] = (headers.get("content-type") ?? "").split(";", 1);
  if (type.trim().toLowerCase() !== "application/x-www-form-urlencoded") return undefined;
  const text = await readText();
  return text === undefined ? undefined : new URLSearchParams(text);
}

/** Back-Channel Logout 1.0 §2.6. */
async function check(
  { config, providerOf }: LoginContext,
  form: URLSearchParams,
  nowMs: number,
): Promise<Result<Ending, string>> {
  const [text, ...others] = form.getAll("logout_token");
  if (text === undefined || others.length > 0) return err("missing");
  const issuer = claimedIssuer(text);
  // One issuer may be configured several times, for several clients.
  const providers = config.issuers
    .filter((one) => one.login !== undefined && one.issuer === issuer)
    .map(({ name }) => providerOf(name))
    .filter((one) => one !== undefined);
  const [first] = providers;
  if (first === undefined) return err("issuer_unknown");

  const verified = await verifyJwt(text, first.issuer, TYPES);
  if (!verified.ok) return err(verified.error.reason);
  const payload = verified.value;
  const { iss, aud, iat, exp, jti, events, nonce, sid, sub } = payload;
  const audiences = Array.isArray(aud) ? aud : [aud];
  const provider = providers.find(({ login }) => audiences.includes(login.clientId));
  if (iss !== issuer) return err("issuer_unknown");
  if (provider === undefined) return err("audience_mismatch");
  const tolerance = provider.issuer.config.clockToleranceSeconds;
  const nowSeconds = nowMs / 1_000;
  if (!isTime(iat) || iat > nowSeconds + tolerance) return err("issued_in_future");
  if (iat < nowSeconds - LONGEST_AGE_SECONDS - tolerance) return err("stale");
  if (exp !== undefined && !(isTime(exp) && exp > nowSeconds - tolerance)) return err("expired");
  if (!isName(jti)) return err("jti_missing");
  if (nonce !== undefined) return err("nonce_present");
  if (typeof events !== "object" || events === null || !isEvent(Reflect.get(events, EVENT))) {
    return err("event_missing");
  }
  if (sid !== undefined && !isName(sid)) return err("sid_refused");
  if (sub !== undefined && !isName(sub)) return err("sub_refused");
  if (isName(sid)) return ok({ provider, value: logoutValue({ sid }), id: jti });
  return isName(sub)
    ? ok({ provider, value: logoutValue({ subject: sub }), id: jti })
    : err("subject_missing");
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= LONGEST_NAME;
}

/** A JSON object, usually empty. */
function isEvent(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function digest(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("base64url");
}
