/**
 * A sign-in that failed, in the gate's terms: one code for whatever was wrong with it, another
 * for a provider that does not answer.
 *
 * @module
 */
import type { Denial } from "../types.ts";
import type { LoginContext } from "./context.ts";
import type { LoginFailure } from "./failure.ts";
import { LONGEST_RETURN } from "./origins.ts";

/** @param about For the log, and for the link by which a person tries again. */
export function loginDenial(
  { log }: Pick<LoginContext, "log">,
  { kind, reason, detail }: LoginFailure,
  about: { readonly issuer?: string; readonly returnTo?: string },
): Denial {
  const { issuer, returnTo } = about;
  const event = kind === "unreachable" ? "issuer_unreachable" : "login_failed";
  const message = "a sign-in failed";
  log.event("warn", event, message, { reason, detail, issuer });
  const signIn = signInAddress(returnTo ?? "/");
  return kind === "unreachable"
    ? { status: 502, code: "issuer_unreachable", reason, signIn }
    : { status: 400, code: "login_failed", reason, signIn };
}

/** Where a browser at any of the gate's hosts signs in to see that address. */
export function signInAddress(returnTo: string, more: Readonly<Record<string, string>> = {}) {
  const wanted = encodeURIComponent(returnTo).length <= 2 * LONGEST_RETURN ? returnTo : "/";
  const query = new URLSearchParams({
    return: wanted.length <= LONGEST_RETURN ? wanted : withoutQuery(wanted),
    ...more,
  });
  return `/.claimgate/login?${query}`;
}

/** A long query is lost rather than the way. */
function withoutQuery(address: string): string {
  const [path = "/"] = address.split("?", 1);
  return path.length <= LONGEST_RETURN ? path : "/";
}
