/**
 * The page a person sees when the gate does not let them through.
 *
 * @module
 */
import type { BrandConfig } from "../config/resolved.ts";
import { type Html, html, pageResponse } from "../login/page.ts";
import type { Denial, DenialCode } from "../types.ts";

type Facts = {
  readonly denial: Denial;
  readonly title: string;
  readonly requestId: string;
  readonly brand: BrandConfig | undefined;
  /** Of the answer besides those of every page. */
  readonly headers: Headers;
};

/** Where there is more to say than whom to ask. */
const WORDS: Partial<Record<DenialCode, string>> = {
  login_failed:
    "Signing in took too long, was begun in another browser, or was refused. Nothing is lost: try once more.",
  issuer_unreachable: "Signing in needs it. Try again in a little while.",
  token_missing: "There is no session, or it has ended. What you sent was not passed on.",
  token_revoked: "Your session was ended by whoever runs this service. You may sign in again.",
  policy_denied: "You have not been given access to this.",
};

const LINKS: Partial<Record<DenialCode, string>> = {
  policy_denied: "Sign in as somebody else",
  token_missing: "Sign in",
};

/** Where asking for access is what a person may want to do next; elsewhere, help. */
const ABOUT_ACCESS: ReadonlySet<DenialCode> = new Set([
  "policy_denied",
  "insufficient_scope",
  "step_up_required",
  "token_revoked",
]);

const UNMET =
  "You signed in, but not in the way, or not as recently, as this page needs. Asking again would give the same answer.";

/** Nothing of what the client sent is ever shown. */
export function denialPage({ denial, title, requestId, brand, headers }: Facts): Response {
  const { status, code, signIn } = denial;
  const words = code === "step_up_required" && status === 403 ? UNMET : WORDS[code];
  const isAboutSession = code === "token_revoked" || code === "token_missing";
  const says = signIn === undefined && isAboutSession ? undefined : words;
  const body = html`${says === undefined ? undefined : html`<p>${says}</p>`}
${signIn === undefined ? undefined : signInLink(signIn, code)}
<section>
<p>${ABOUT_ACCESS.has(code) ? "Should you have access?" : "Does this go on?"} Give this line to whoever runs this service:</p>
<code>claimgate explain ${requestId}</code>
<dl>
<dt>Status</dt><dd>${status}</dd>
<dt>Code</dt><dd>${code}</dd>
</dl>
</section>`;
  return pageResponse({ status, title, body, brand, headers });
}

function signInLink(address: string, code: DenialCode): Html {
  const words = LINKS[code] ?? "Sign in again";
  // For whoever is signed in already, it is the second thing to do.
  const style = code === "policy_denied" ? "choice" : "choice main";
  return html`<p><a class="${style}" href="${address}">${words}</a></p>`;
}
