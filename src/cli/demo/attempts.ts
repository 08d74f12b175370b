/**
 * The requests that the demo sends through its gate, and what has to come of each.
 *
 * @module
 */

/** Which token a request carries; `tokens.ts` makes them. */
export type TokenKind = "staff" | "guest" | "expired" | "foreign" | "forged" | "unsigned";

export type Attempt = {
  readonly label: string;
  readonly method: "GET" | "POST" | "WebSocket";
  readonly path: string;
  readonly token?: TokenKind;
  readonly headers?: Readonly<Record<string, string>>;
  readonly expected: Expected;
};

/** A denial has a code, and mostly a reason; what is forwarded has neither. */
export type Expected = {
  readonly status: number;
  readonly code?: string;
  readonly reason?: string;
  /** What the upstream must have been told as `X-User`; "" for nothing. */
  readonly user?: string;
};

const invalid = (reason: string): Expected => ({ status: 401, code: "token_invalid", reason });
const denied = (reason: string): Expected => ({ status: 403, code: "policy_denied", reason });

export const ATTEMPTS: readonly Attempt[] = [
  {
    label: "allowed",
    method: "GET",
    path: "/",
    token: "staff",
    expected: { status: 200, user: "alice" },
  },
  {
    label: "no token",
    method: "GET",
    path: "/",
    expected: { status: 401, code: "token_missing" },
  },
  {
    label: "expired",
    method: "GET",
    path: "/",
    token: "expired",
    expected: { status: 401, code: "token_expired" },
  },
  {
    label: "wrong audience",
    method: "GET",
    path: "/",
    token: "foreign",
    expected: invalid("audience_mismatch"),
  },
  {
    label: "forged",
    method: "GET",
    path: "/",
    token: "forged",
    expected: invalid("signature_invalid"),
  },
  {
    label: "unsigned",
    method: "GET",
    path: "/",
    token: "unsigned",
    expected: invalid("algorithm_refused"),
  },
  {
    label: "role missing",
    method: "GET",
    path: "/",
    token: "guest",
    expected: denied("role_missing"),
  },
  {
    label: "outside hours",
    method: "GET",
    path: "/books/",
    token: "staff",
    expected: denied("outside_hours"),
  },
  {
    label: "WebSocket",
    method: "WebSocket",
    path: "/live",
    token: "staff",
    expected: { status: 101 },
  },
  {
    label: "public route",
    method: "GET",
    path: "/open/",
    expected: { status: 200, user: "" },
  },
  {
    label: "wrong method",
    method: "POST",
    path: "/open/",
    expected: { status: 405, code: "method_not_allowed" },
  },
  {
    label: "spoofed header",
    method: "GET",
    path: "/",
    token: "staff",
    headers: { "X-User": "root", X_User: "root" },
    expected: { status: 200, user: "alice" },
  },
  {
    label: "path trick",
    method: "GET",
    path: "/open/..%2f",
    expected: { status: 400, code: "request_malformed" },
  },
];
