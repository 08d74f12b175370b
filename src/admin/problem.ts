/**
 * What the admin API answers when it does not do what was asked: RFC 9457 problem details, never
 * with a value that was sent.
 *
 * @module
 */
import { type Static, Type } from "@sinclair/typebox";

/** Stable; clients tell problems apart by them. */
const TITLES = {
  request_malformed: "The request does not say what it should",
  token_missing: "The admin token is required",
  token_invalid: "This is not the admin token",
  cross_site: "Pages of other sites have no business here",
  route_not_found: "Nothing is served here",
  not_revoked: "It is not revoked",
  method_not_allowed: "This method is not served here",
  reload_refused: "The new configuration does not hold; the former one stays in force",
  too_large: "The request is too large",
  content_type_unsupported: "The body must be JSON: send Content-Type: application/json",
  misdirected: "Ask for it by a loopback name, or by the address that is configured",
  rate_limited: "Too many wrong tokens: try again a little later",
  revocations_full: "No more revocations are kept",
  internal_fault: "The admin API has met a fault",
  store_unavailable: "The store cannot be reached at the moment",
  store_damaged: "What lies in the store cannot be read",
  overloaded: "As many streams are open as are served",
} as const;

export type ProblemCode = keyof typeof TITLES;

const STATUS: Readonly<Record<ProblemCode, number>> = {
  request_malformed: 400,
  token_missing: 401,
  token_invalid: 401,
  cross_site: 403,
  route_not_found: 404,
  not_revoked: 404,
  method_not_allowed: 405,
  reload_refused: 409,
  too_large: 413,
  content_type_unsupported: 415,
  misdirected: 421,
  rate_limited: 429,
  revocations_full: 409,
  internal_fault: 500,
  store_unavailable: 503,
  store_damaged: 500,
  overloaded: 503,
};

export const Problem = Type.Object(
  {
    type: Type.String({ description: "urn:claimgate:problem:CODE" }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: "Stable, for programs" }),
    detail: Type.Optional(Type.String({ description: "What to mend" })),
    requestId: Type.String(),
  },
  { $id: "Problem", description: "Problem details (RFC 9457)" },
);

/** Ends the handling of a request. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  /** @param detail For whoever asked; never what was sent. */
  constructor(
    readonly code: ProblemCode,
    readonly detail?: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(detail ?? TITLES[code]);
  }
}

export function answerProblem(problem: ProblemError, requestId: string): Response {
  const { code, detail, headers } = problem;
  const status = STATUS[code];
  const body: Static<typeof Problem> = {
    type: `urn:claimgate:problem:${code}`,
    title: TITLES[code],
    status,
    code,
    ...(detail !== undefined && { detail }),
    requestId,
  };
  return new Response(`${JSON.stringify(body)}\n`, {
    status,
    headers: {
      ...headers,
      ...(status === 401 && { "WWW-Authenticate": 'Bearer realm="claimgate admin"' }),
      "Content-Type": "application/problem+json",
    },
  });
}
