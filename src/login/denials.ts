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

/**
 * Where a browser at any of the gate's hosts signs in to see that address.
 *
 * @param returnTo A path with its query, or an absolute address.
 */
export function signInAddress(returnTo: string, more: Readonly<Record<string, string>> = {}) {
  // Browsers leave it in a query, and read it as a slash elsewhere.
  const plain = returnTo.replaceAll("\\", "%5C");
  const [path = "/"] = plain.split("?", 1);
  // A long query is lost rather than the way.
  const wanted = [plain, path].find(({ length }) => length <= LONGEST_RETURN);
  const isUsable = wanted !== undefined && !wanted.startsWith("//");
  return `/.claimgate/login?${new URLSearchParams({ return: isUsable ? wanted : "/", ...more })}`;
}
