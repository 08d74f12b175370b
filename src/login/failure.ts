/**
 * Why a sign-in, a refresh or a sign-out came to nothing.
 *
 * @module
 */
import {
  AuthorizationResponseError,
  OperationProcessingError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from "oauth4webapi";
import { GateError } from "../errors.ts";

export type LoginFailure = {
  /** `unreachable`: the provider does not answer, or not now; `refused`: it did, and that is that. */
  readonly kind: "refused" | "unreachable";
  /** For the operator: stable, snake_case; never anything that the browser brought. */
  readonly reason: string;
  /** One line more, of ours or the system's. */
  readonly detail?: string;
};

export const refusedLogin = (reason: string): LoginFailure => ({ kind: "refused", reason });
const unreachable = (reason: string, detail?: string): LoginFailure => ({
  kind: "unreachable",
  reason,
  ...(detail !== undefined && { detail }),
});

/** RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6: what may be said of an `error`. */
const KNOWN_ERRORS: ReadonlySet<string> = new Set([
  ..."invalid_request unauthorized_client access_denied unsupported_response_type".split(" "),
  ..."invalid_scope server_error temporarily_unavailable invalid_client invalid_grant".split(" "),
  ..."unsupported_grant_type interaction_required login_required consent_required".split(" "),
  ..."account_selection_required unmet_authentication_requirements invalid_target".split(" "),
]);

/** The library's name for what is wrong with an answer: `OAUTH_JWT_CLAIM_COMPARISON_FAILED`. */
const LIBRARY_CODE = /^OAUTH_[A-Z_]{1,60}$/;

/** Of an answer that is none of the protocol's: a page for people, a redirect to one. */
const GARBLED: readonly string[] = [
  "oauth_response_is_not_conform",
  "oauth_response_is_not_json",
  "oauth_parse_error",
];

/** Whether it was not the provider's word on what it was asked, but of something in its place. */
export const isGarbled = ({ reason }: LoginFailure): boolean => GARBLED.includes(reason);

/**
 * What the library throws, as a value. Nothing of the provider's own words is kept but a known
 * `error` code.
 */
export function failureOf(error: unknown): LoginFailure {
  if (error instanceof AuthorizationResponseError) return refusedLogin(providerReason(error.error));
  if (error instanceof ResponseBodyError) {
    const { status, error: code } = error;
    if (status >= 500 || status === 429) return unreachable(`provider_status_${status}`);
    return refusedLogin(providerReason(code));
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    return refusedLogin("provider_invalid_client");
  }
  if (error instanceof OperationProcessingError) {
    const answer = error.cause instanceof Response ? error.cause.status : 200;
    if (answer >= 400) return unreachable(`provider_status_${answer}`);
    const code = error.code ?? "";
    if (code === "OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED") {
      // OpenID Connect Core §5.3.2: claims of UserInfo are only that person's.
      if (memberOf(error.cause, "attribute") === "sub")
        return refusedLogin("userinfo_sub_mismatch");
      return unreachable("provider_answer_refused", "the discovery document names another issuer");
    }
    if (code === "OAUTH_JWT_CLAIM_COMPARISON_FAILED" || code === "OAUTH_INVALID_RESPONSE") {
      return refusedLogin(`answer_${claimOf(error.cause)}mismatch`);
    }
    return refusedLogin(LIBRARY_CODE.test(code) ? code.toLowerCase() : "answer_refused");
  }
  if (error instanceof GateError) return unreachable("provider_answer_refused", error.message);
  const name = error instanceof Error ? error.name : "";
  if (name === "UnsupportedOperationError") return refusedLogin("answer_unsupported");
  if (name === "TimeoutError") return unreachable("provider_timeout");
  return unreachable("provider_unreachable", systemCodeOf(error));
}

/** The message would name the whole address. */
function systemCodeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function providerReason(code: string): string {
  return `provider_${KNOWN_ERRORS.has(code) ? code : "error"}`;
}

function claimOf(cause: unknown): string {
  const claim = memberOf(cause, "claim");
  return typeof claim === "string" && /^[a-z_]{1,20}$/.test(claim) ? `${claim}_` : "";
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
