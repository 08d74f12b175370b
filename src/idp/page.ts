/**
 * The provider's pages: one file each, no script, no assets, and a policy that lets none in.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { USERS, type User } from "./users.ts";

const STYLE = `
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1c2330; --soft: #5a6475; --line: #dfe3ea; --edge: #7d879a; --mark: #3556d8; --on-mark: #fff; --chip: #eef1f8; --wrong: #b3261e; --wrong-ground: #fdeceb }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --card: #1a1f28; --ink: #e8ebf1; --soft: #a0a9b8; --line: #2c3442; --edge: #717c8f; --mark: #8ea6ff; --on-mark: #10142a; --chip: #262e3d; --wrong: #ff9d94; --wrong-ground: #3a1f20 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { width: 100%; max-width: 27rem; padding: 1.75rem 2rem 1.5rem; background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--mark); border-radius: 10px }
h1 { margin: 0 0 .5rem; font-size: 1.4rem; line-height: 1.3 }
h2 { margin: 1.5rem 0 .6rem; font-size: .95rem; line-height: 1.3 }
p { margin: .25rem 0; color: var(--soft); overflow-wrap: anywhere }
strong { color: var(--ink) }
ul { list-style: none; margin: 0; padding: 0; display: grid; gap: .5rem }
button, input { font: inherit; color: inherit; width: 100%; min-height: 2.75rem; padding: .5rem .85rem; border: 1px solid var(--edge); border-radius: 8px; background: var(--card) }
button { cursor: pointer }
button:hover { border-color: var(--mark) }
button:focus-visible, input:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px }
.user { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem; text-align: left }
.user b { margin-right: auto }
.chip { padding: .05rem .55rem; border-radius: 99px; background: var(--chip); color: var(--soft); font-size: .85rem }
.main { margin-top: 1rem; background: var(--mark); border-color: var(--mark); color: var(--on-mark); font-weight: 600 }
.main:hover { filter: brightness(1.08) }
.quiet { margin-top: .75rem; border-color: transparent; background: none; color: var(--soft); text-decoration: underline }
::placeholder { color: var(--soft); opacity: 1; font-style: italic }
label { display: block; margin: .75rem 0 .25rem; font-size: .9rem; font-weight: 600 }
label:first-of-type { margin-top: 0 }
label span { font-weight: 400; color: var(--soft) }
.wrong { margin: 1rem 0 0; padding: .6rem .85rem; border-radius: 8px; background: var(--wrong-ground); color: var(--wrong) }
footer { margin-top: 1rem; padding-top: .75rem; border-top: 1px solid var(--line); font-size: .85rem }
@media (max-width: 26rem) { body { padding: .75rem } main { padding: 1.25rem 1.1rem } }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

const HEADERS: Readonly<Record<string, string>> = {
  "Content-Type": "text/html; charset=utf-8",
  // Browsers hold each hop after a form to `form-action`, and where the client's own redirects
  // lead is not ours to know; the page has forms of ours alone, and they post to this origin.
  "Content-Security-Policy": `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action http: https:; frame-ancestors 'none'`,
  "Cache-Control": "no-store",
  // Not `no-referrer`: that makes browsers send `Origin: null`, and the answer would be refused.
  "Referrer-Policy": "same-origin",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

export function htmlResponse(page: string, status: number): Response {
  return new Response(page, { status, headers: HEADERS });
}

type SignIn = {
  readonly signInId: string;
  readonly clientId: string;
  /** Host and port that the browser goes back to. */
  readonly returnsTo: string;
  readonly scopes: readonly string[];
  /** What the fields hold. */
  readonly subject: string;
  readonly roles: string;
  /** What was wrong with the last answer. */
  readonly mistake?: string;
};

/** Asks who signs in: one button a user, and a form for anyone else. */
export function signInPage(facts: SignIn): string {
  const { signInId, clientId, returnsTo, scopes, subject, roles, mistake } = facts;
  const scope = scopes.length === 0 ? "nothing in particular" : scopes.join(", ");
  const wrong =
    mistake === undefined ? "" : `<p class="wrong" role="alert">${escapeHtml(mistake)}</p>`;
  return document(
    `Sign in to ${clientId}`,
    `<h1>Who are you?</h1>
<p><strong>${escapeHtml(clientId)}</strong> asks you to sign in. This provider is for development: there are no passwords.</p>
${wrong}
<h2 id="users">Pick a user</h2>
<ul aria-labelledby="users">
${USERS.map((user) => userForm(signInId, user)).join("\n")}
</ul>
<h2>Or be someone else</h2>
<form method="post" action="/authorize">
${hidden("sign_in", signInId)}
<label for="subject">Subject</label>
<input id="subject" name="subject" value="${escapeHtml(subject)}" maxlength="255" required autocapitalize="none" autocomplete="off" spellcheck="false">
<label for="roles">Roles <span>(separated by commas)</span></label>
<input id="roles" name="roles" value="${escapeHtml(roles)}" placeholder="staff, admin" autocapitalize="none" autocomplete="off" spellcheck="false">
<button class="main" name="choice" value="sign_in">Sign in</button>
</form>
<form method="post" action="/authorize">
${hidden("sign_in", signInId)}
<button class="quiet" name="choice" value="cancel">Cancel</button>
</form>
<footer>
<p>Asked for: ${escapeHtml(scope)}</p>
<p>You go back to: ${escapeHtml(returnsTo)}</p>
</footer>`,
  );
}

function userForm(signInId: string, { subject, roles }: User): string {
  const chips = roles.length === 0 ? ["no roles"] : roles;
  return `<li><form method="post" action="/authorize">
${hidden("sign_in", signInId)}
${hidden("subject", subject)}
${hidden("roles", roles.join(","))}
<button class="user" name="choice" value="sign_in"><b>${escapeHtml(subject)}</b> ${chips.map((chip) => `<span class="chip">${escapeHtml(chip)}</span>`).join(" ")}</button>
</form></li>`;
}

/** Tells a person what happened and what to do; `reason` is without its final period. */
export function messagePage(facts: { title: string; reason: string; advice: string }): string {
  const { title, reason, advice } = facts;
  return document(
    title,
    `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(reason)}.</p>\n<p>${escapeHtml(advice)}</p>`,
  );
}

function hidden(name: string, value: string): string {
  return `<input type="hidden" name="${name}" value="${escapeHtml(value)}">`;
}

function document(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`;
}

/** For text and for quoted attribute values. */
function escapeHtml(text: string): string {
  return Bun.escapeHTML(text);
}
