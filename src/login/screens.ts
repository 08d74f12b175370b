/**
 * What people see of signing in and out, besides denials.
 *
 * @module
 */
import type { BrandConfig } from "../config/resolved.ts";
import { html, pageResponse } from "./page.ts";

type Choice = { readonly issuer: string; readonly href: string };

export function chooserPage(choices: readonly Choice[], brand: BrandConfig | undefined): Response {
  const links = choices.map(
    ({ issuer, href }) => html`<li><a class="choice" href="${href}">${issuer}</a></li>`,
  );
  const body = html`<p>Choose where to sign in:</p>
<ul>${links}</ul>`;
  return pageResponse({ status: 200, title: "Sign in", body, brand });
}

/** @param formAction Where the button may lead, sources of CSP's `form-action`. */
export function signOutPage(brand: BrandConfig | undefined, formAction: string): Response {
  const body = html`<p>Your session ends here, in every tab. What you have not saved may be lost.</p>
<form method="post" action="/.claimgate/logout"><button class="main" type="submit">Sign out</button></form>`;
  return pageResponse({ status: 200, title: "Sign out?", body, brand, formAction });
}

export function signedOutPage(brand: BrandConfig | undefined): Response {
  const body = html`<p>You are signed out. You may close this page.</p>
<a class="choice main" href="/.claimgate/login?return=%2F">Sign in again</a>`;
  return pageResponse({ status: 200, title: "Signed out", body, brand });
}
