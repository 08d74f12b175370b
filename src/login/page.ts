/**
 * The frame of every page that the gate itself shows: one file, no script, no assets, and a
 * policy that lets none in. Dark and light as the person's system is; the owner may give a name
 * and a colour.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { BrandConfig } from "../config/resolved.ts";

/** Text that has been made safe. */
export type Html = { readonly html: string };

type Part = string | number | Html | undefined | readonly Html[];

/** Markup whose inserted parts are escaped, but for those that are markup already. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const text = strings.reduce((sum, string, at) => `${sum}${markup(parts[at - 1])}${string}`);
  return { html: text };
}

function markup(part: Part): string {
  if (part === undefined) return "";
  if (Array.isArray(part)) return part.map(({ html }: Html) => html).join("");
  return typeof part === "object" && "html" in part ? part.html : escapeText(String(part));
}

function escapeText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

type Page = {
  readonly status: number;
  readonly title: string;
  /** What stands below the title. */
  readonly body: Html;
  readonly brand: BrandConfig | undefined;
  /** Where its forms may lead, sources of CSP's `form-action`; nowhere where absent. */
  readonly formAction?: string;
  /** Of the answer besides those of every page; taken over. */
  readonly headers?: Headers;
};

const USUAL_COLOUR = "#3556d8";

/** Two text colours for one ground: whichever is easier to read on it (WCAG 2.1, contrast). */
const [DARK_INK, LIGHT_INK] = ["#10142a", "#fff"];

function styleOf(colour: string): string {
  const onMark = luminance(colour) > 0.3 ? DARK_INK : LIGHT_INK;
  return `
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1c2330; --soft: #5a6475; --line: #dfe3ea; --edge: #7d879a; --mark: ${colour}; --on-mark: ${onMark}; --link: #2742b0 }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --card: #1a1f28; --ink: #e8ebf1; --soft: #a0a9b8; --line: #2c3442; --edge: #717c8f; --link: #a9bcff } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { width: 100%; max-width: 34rem; padding: 2rem 2.25rem; background: var(--card); border: 1px solid var(--line); border-radius: 12px; box-shadow: inset 0 4px var(--mark), 0 12px 32px -20px rgb(16 20 42 / 45%) }
h1 { margin: 0 0 .5rem; font-size: 1.4rem; line-height: 1.3; text-wrap: balance }
p { margin: .5rem 0; color: var(--soft); overflow-wrap: anywhere }
section { margin-top: 1.5rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .9rem }
ul { list-style: none; margin: 1rem 0 0; padding: 0; display: grid; gap: .5rem }
a { color: var(--link) }
.brand { display: flex; align-items: center; gap: .6rem; margin: 0 0 1.25rem; font-weight: 600; color: var(--ink) }
.brand::before { content: ""; flex: none; width: .9rem; height: .9rem; border-radius: 4px; background: var(--mark) }
.choice, button { display: block; width: 100%; min-height: 2.75rem; padding: .6rem .9rem; border: 1px solid var(--edge); border-radius: 8px; background: var(--card); color: var(--ink); font: inherit; text-align: center; text-decoration: none; cursor: pointer; overflow-wrap: anywhere }
.choice { margin-top: 1rem }
ul .choice { margin-top: 0 }
.choice:hover { border-color: var(--link) }
.main { margin-top: 1rem; background: var(--mark); border-color: var(--mark); color: var(--on-mark); font-weight: 600 }
.choice:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1rem 0 0 }
dt { color: var(--soft) }
dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere }
code { display: block; margin-top: .5rem; padding: .6rem .75rem; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); font: .85rem ui-monospace, monospace; color: var(--ink); overflow-wrap: anywhere }
@media (max-width: 30rem) { body { padding: .75rem } main { padding: 1.25rem 1.1rem } }
`;
}

const styles = new Map<string, { readonly text: string; readonly hash: string }>();

/** A configuration has one colour, and reloads may change it: a few are kept, no more. */
const MOST_STYLES = 16;

function styleFor(brand: BrandConfig | undefined) {
  const colour = brand?.colour ?? USUAL_COLOUR;
  const known = styles.get(colour);
  if (known !== undefined) return known;
  const text = styleOf(colour);
  const style = { text, hash: createHash("sha256").update(text).digest("base64") };
  if (styles.size >= MOST_STYLES) styles.clear();
  styles.set(colour, style);
  return style;
}

export function pageResponse({ status, title, body, brand, formAction, headers }: Page): Response {
  const style = styleFor(brand);
  const name = brand?.name;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name === undefined ? title : `${title} · ${name}`}</title>
<style>${{ html: style.text }}</style>
</head>
<body>
<main>
${name === undefined ? undefined : html`<p class="brand">${name}</p>`}
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`;
  const answer = headers ?? new Headers();
  const ours = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": `default-src 'none'; style-src 'sha256-${style.hash}'; base-uri 'none'; form-action ${formAction ?? "'none'"}; frame-ancestors 'none'`,
    "Cache-Control": "no-store",
    // A form's POST without a referrer would carry `Origin: null`, and be refused as foreign.
    "Referrer-Policy": formAction === undefined ? "no-referrer" : "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
  };
  for (const [name, value] of Object.entries(ours)) answer.set(name, value);
  return new Response(page.html, { status, headers: answer });
}

/** Relative luminance of `#rgb` or `#rrggbb`, from 0 to 1 (WCAG 2.1). */
function luminance(colour: string): number {
  const long = colour.length === 4 ? colour.replace(/[^#]/g, "$&$&") : colour;
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(long.slice(at, at + 2), 16) / 255;
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
