/**
 * Leads a browser to sign in where the gate would otherwise refuse it for want of a session, or
 * of a better sign-in. Everyone else gets the denial as it is.
 *
 * @module
 */
import { signInAddress } from "../login/denials.ts";
import { type StepUp, stepUpFor } from "../login/session.ts";
import type { Denial, Inquiry } from "../types.ts";
import type { Decision } from "./decide.ts";
import type { Rules } from "./site.ts";

type Led = {
  /** What is recorded, and what is answered where there is no `redirect`. */
  readonly denial: Denial;
  /** Where the browser is sent, on the host that it is at. */
  readonly redirect?: Response;
};

/** A sign-in that was just asked for and did not meet a challenge will not the next time. */
const UNMET_MS = 30_000;

/** @param denial What the decision came to. */
export function leadToSignIn(
  rules: Pick<Rules, "sessions">,
  inquiry: Inquiry,
  { route, token }: Decision,
  denial: Denial,
): Led {
  if (route?.config.login === undefined) return { denial };
  if (!isBrowser(inquiry)) {
    // A form that was sent is not sent again, but its person may be reading the answer.
    return denial.code === "token_missing"
      ? { denial: { ...denial, signIn: signInFor(inquiry) } }
      : { denial };
  }
  switch (denial.code) {
    case "token_missing":
      return { denial, redirect: redirectTo(signInFor(inquiry)) };
    case "token_revoked":
      return token?.session === undefined
        ? { denial }
        : { denial: { ...denial, signIn: signInFor(inquiry, token.issuerName) } };
    case "step_up_required":
      return token?.session === undefined ? { denial } : stepUp(rules, inquiry, token, denial);
    case "policy_denied":
      // Often it is just the wrong one of two accounts.
      return token?.session === undefined
        ? { denial }
        : { denial: { ...denial, signIn: "/.claimgate/logout" } };
    default:
      return { denial };
  }
}

/**
 * Back to the provider with what the policy wants. No second time for the same: a provider that
 * cannot, or a person who will not, must not go in circles.
 */
function stepUp(
  { sessions }: Pick<Rules, "sessions">,
  inquiry: Inquiry,
  token: NonNullable<Decision["token"]>,
  denial: Denial,
): Led {
  const wanted = stepUpFor(denial.challenge ?? {});
  const last = sessions?.stepUpOf(token);
  const sinceMs = inquiry.nowMs - (last?.signedInMs ?? 0);
  // Two policies that each want something else would otherwise send the person to and fro.
  const asked = last !== undefined && sinceMs <= UNMET_MS ? both(last.stepUp, wanted) : wanted;
  const address = signInFor(inquiry, token.issuerName, {
    ...(asked.acr !== undefined && { acr_values: asked.acr.join(" ") }),
    ...(asked.maxAgeSeconds !== undefined && { max_age: String(asked.maxAgeSeconds) }),
  });
  const holdsMs = Math.max(UNMET_MS, (wanted.maxAgeSeconds ?? Number.POSITIVE_INFINITY) * 1_000);
  return last !== undefined && sinceMs <= holdsMs && covers(last.stepUp, wanted)
    ? { denial: { ...denial, status: 403, reason: "challenge_unmet", signIn: address } }
    : { denial, redirect: redirectTo(address) };
}

/** Whether the last sign-in was asked for all of it. */
function covers(last: StepUp, { acr = [], maxAgeSeconds }: StepUp): boolean {
  const { maxAgeSeconds: lastAge = Number.POSITIVE_INFINITY } = last;
  return (
    acr.every((one) => last.acr?.includes(one)) &&
    (maxAgeSeconds === undefined || lastAge <= maxAgeSeconds)
  );
}

function both(one: StepUp, other: StepUp): StepUp {
  const acr = [...new Set([...(one.acr ?? []), ...(other.acr ?? [])])];
  const ages = [one.maxAgeSeconds, other.maxAgeSeconds].filter((age) => age !== undefined);
  return {
    ...(acr.length > 0 && { acr }),
    ...(ages.length > 0 && { maxAgeSeconds: Math.min(...ages) }),
  };
}

function signInFor(
  { path, query }: Inquiry,
  issuer?: string,
  more: Readonly<Record<string, string>> = {},
): string {
  return signInAddress(`${path}${query}`, { ...(issuer !== undefined && { issuer }), ...more });
}

function redirectTo(address: string): Response {
  const headers = {
    Location: address,
    "Cache-Control": "no-store",
    Vary: "Accept, Authorization, Cookie, Sec-Fetch-Mode",
  };
  return new Response(null, { status: 302, headers });
}

/** A person who goes somewhere, as the design's section 8 has it. */
export function isBrowser({ method, headers }: Pick<Inquiry, "method" | "headers">): boolean {
  if (method !== "GET" && method !== "HEAD") return false;
  const mode = headers.get("sec-fetch-mode");
  return (mode === null || mode === "navigate") && namesHtml(headers.get("accept"));
}

function namesHtml(accept: string | null): boolean {
  return (accept ?? "").split(",").some((part) => {
    const [type = "", ...parameters] = part.split(";").map((piece) => piece.trim().toLowerCase());
    return type === "text/html" && !parameters.some((one) => /^q=0(?:\.0*)?$/.test(one));
  });
}
