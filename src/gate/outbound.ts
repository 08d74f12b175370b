/**
 * What an approved request becomes on its way to the upstream. Pure: `explain` shows the very
 * same.
 *
 * @module
 */
import { requestHeaders } from "../proxy/headers.ts";
import { upstreamTarget } from "../proxy/target.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial } from "../types.ts";
import type { Approval } from "./decide.ts";
import type { ReadInquiry } from "./inquire.ts";
import type { Route } from "./site.ts";

export type Outbound = {
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
};

/** @returns 400 `request_malformed` for a `Connection` that names what cannot be a field. */
export function outboundRequest(
  { config, headerPlan }: Route,
  { inquiry, forwardedFor }: Pick<ReadInquiry, "inquiry" | "forwardedFor">,
  approval: Approval,
): Result<Outbound, Denial> {
  const headers = requestHeaders(inquiry.headers, headerPlan, {
    forwardedFor,
    proto: inquiry.scheme,
    authority: inquiry.authority,
    requestId: inquiry.id,
    identity: approval.identity,
    policyHeaders: approval.policyHeaders,
  });
  if (!headers.ok)
    return err({ status: 400, code: "request_malformed", reason: headers.error.reason });
  const target = upstreamTarget(config, headerPlan, inquiry.path, inquiry.query);
  return ok({ target, headers: headers.value });
}
