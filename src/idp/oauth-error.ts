/**
 * How the provider says no: the error answers of RFC 6749 §5.2 and its kin.
 *
 * @module
 */

/** RFC 6749 §4.1.2.1 and §5.2, RFC 8707 §2, RFC 6750 §3.1, OpenID Connect Core §3.1.2.6. */
type OAuthErrorCode =
  | "invalid_request"
  | "invalid_client"
  | "invalid_grant"
  | "unauthorized_client"
  | "unsupported_grant_type"
  | "unsupported_response_type"
  | "invalid_scope"
  | "invalid_target"
  | "access_denied"
  | "login_required"
  | "request_not_supported"
  | "request_uri_not_supported"
  | "invalid_token"
  | "insufficient_scope"
  | "server_error";

export type OAuthError = {
  readonly code: OAuthErrorCode;
  /** For the developer: fixed text of ours, in the characters that RFC 6749 §5.2 allows. */
  readonly description: string;
};

export const oauthError = (code: OAuthErrorCode, description: string): OAuthError => ({
  code,
  description,
});

/** `invalid_client` is 401 and names the scheme (RFC 6749 §5.2); all others are 400. */
export function errorResponse({ code, description }: OAuthError): Response {
  const isClient = code === "invalid_client";
  return Response.json(
    { error: code, error_description: description },
    {
      status: isClient ? 401 : 400,
      headers: {
        "Cache-Control": "no-store",
        ...(isClient && { "WWW-Authenticate": 'Basic realm="claimgate idp"' }),
      },
    },
  );
}
