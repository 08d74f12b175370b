/**
 * A denial as the client sees it: RFC 9457 problem details, or a small page for a person.
 * Alike for every cause of one code; never a claim, token, policy name or address.
 *
 * @module
 */
import type { BrandConfig } from "../config/resolved.ts";
import type { Challenge, Denial, DenialCode, LimitStanding } from "../types.ts";
import { denialPage } from "./page.ts";

/** One plain sentence a code, for people; the code itself is for machines. */
export const TITLES: Readonly<Record<DenialCode, string>> = {
  request_malformed: "The request cannot be read safely",
  token_missing: "Sign-in is required",
  token_invalid: "The token is not valid here",
  token_expired: "The token has expired",
  token_revoked: "The token has been revoked",
  step_up_required: "A stronger or more recent sign-in is required",
  policy_denied: "Access is denied",
  insufficient_scope: "The token does not have the scope this needs",
  policy_fault: "Access is denied, because a rule could not be evaluated",
  route_not_found: "Nothing is served here",
  method_not_allowed: "This method is not served here",
  too_large: "The request is too large",
  method_unsupported: "This method is not supported",
  rate_limited: "Too many requests: try again a little later",
  upstream_unreachable: "The application behind the gate cannot be reached",
  upstream_timeout: "The application behind the gate does not answer",
  internal_fault: "The gate has a fault and stays closed",
  keys_unavailable: "The token cannot be verified at the moment",
  store_unavailable: "The gate cannot tell at the moment whether the token still holds",
  overloaded: "The gate is overloaded",
  cross_site: "Another site asked for this, and may not",
  login_failed: "The sign-in did not work",
  issuer_unreachable: "The identity provider does not answer",
};

/** RFC 6750 §3.1: why a credential did not do; nothing where none was sent. */
const BEARER_ERRORS: Partial<Record<DenialCode, string>> = {
  token_invalid: "invalid_token",
  token_expired: "invalid_token",
  token_revoked: "invalid_token",
  step_up_required: "insufficient_user_authentication", // RFC 9470 §3
  insufficient_scope: "insufficient_scope",
};

const GRPC_MESSAGE = "gRPC needs trailers, which do not pass the gate; use gRPC-Web";

/**
 * @param accept The client's `Accept`, which chooses between JSON and a page.
 * @param brand How the page looks.
 * @see https://www.rfc-editor.org/rfc/rfc9457
 */
export function answerDenial(
  denial: Denial,
  requestId: string,
  accept: string | null,
  brand?: BrandConfig,
): Response {
  const { status, code } = denial;
  const title = TITLES[code];
  const headers = new Headers({ "Cache-Control": "no-store", "X-Request-Id": requestId });
  if (status === 401 || code === "insufficient_scope") {
    headers.set("WWW-Authenticate", bearerChallenge(code, denial.challenge));
  }
  if (denial.allow !== undefined) headers.set("Allow", denial.allow.join(", "));
  if (denial.retryAfterSeconds !== undefined) {
    headers.set("Retry-After", String(denial.retryAfterSeconds));
  }
  if (denial.rateLimit !== undefined) setRateLimit(headers, denial.rateLimit);
  if (denial.grpcStatus !== undefined) {
    headers.set("grpc-status", String(denial.grpcStatus));
    headers.set("grpc-message", GRPC_MESSAGE);
  }
  if (prefersHtml(accept)) {
    return denialPage({ denial, title, requestId, brand, headers });
  }
  headers.set("Content-Type", "application/problem+json");
  const problem = { type: `urn:claimgate:denial:${code}`, title, status, code, requestId };
  return new Response(`${JSON.stringify(problem)}\n`, { status, headers });
}

/**
 * Tells a client where it stands with the limit that it is nearest to.
 *
 * @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/
 */
export function setRateLimit(headers: Headers, standing: LimitStanding): void {
  const { limit, remaining, resetSeconds, windowSeconds } = standing;
  headers.set("RateLimit-Policy", `"default";q=${limit};w=${windowSeconds}`);
  headers.set("RateLimit", `"default";r=${remaining};t=${resetSeconds}`);
}

/** @see https://www.rfc-editor.org/rfc/rfc6750#section-3 */
function bearerChallenge(code: DenialCode, challenge: Challenge | undefined): string {
  const parts = [`Bearer realm="claimgate"`];
  const error = BEARER_ERRORS[code];
  if (error !== undefined) parts.push(`error="${error}"`);
  if (challenge?.scope !== undefined) parts.push(`scope="${quotable(challenge.scope)}"`);
  if (challenge?.acr !== undefined) parts.push(`acr_values="${quotable(challenge.acr)}"`);
  if (challenge?.maxAge !== undefined) parts.push(`max_age="${challenge.maxAge}"`);
  return parts.join(", ");
}

/** A policy's own words, kept to what a quoted string may hold (RFC 6750 §3, `scope`). */
function quotable(values: readonly string[]): string {
  return values.map((value) => value.replace(/[^\x21\x23-\x5b\x5d-\x7e]/g, "")).join(" ");
}

/** A page only for those who name `text/html` and do not like JSON better (RFC 9110 §12.5.1). */
export function prefersHtml(accept: string | null): boolean {
  if (accept === null || accept.length > 1024) return false;
  const html = qualityOf(accept, "text/html");
  return (
    html > 0 &&
    html >= qualityOf(accept, "application/json") &&
    html >= qualityOf(accept, "application/problem+json")
  );
}

function qualityOf(accept: string, type: string): number {
  for (const part of accept.toLowerCase().split(",")) {
    const [name, ...parameters] = part.split(";").map((piece) => piece.trim());
    if (name !== type) continue;
    const quality = parameters.find((parameter) => parameter.startsWith("q="));
    return quality === undefined ? 1 : Number.parseFloat(quality.slice(2)) || 0;
  }
  return 0;
}
