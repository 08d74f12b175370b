/**
 * The page a person sees when the gate does not let them through. One file, no assets, no
 * script, and a policy that would not let one run.
 *
 * @module
 */
import { createHash } from "node:crypto";

const STYLE = `
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1c2330; --soft: #5a6475; --line: #dfe3ea; --mark: #3556d8 }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --card: #1a1f28; --ink: #e8ebf1; --soft: #a0a9b8; --line: #2c3442; --mark: #8ea6ff } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif }
main { width: 100%; max-width: 34rem; padding: 2rem 2.25rem; background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--mark); border-radius: 10px }
h1 { margin: 0 0 .5rem; font-size: 1.4rem; line-height: 1.3 }
p { margin: .5rem 0; color: var(--soft) }
dl { display: grid; grid-template-columns: auto 1fr; gap: .25rem 1rem; margin: 1.25rem 0 0; font-size: .9rem }
dt { color: var(--soft) }
dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere }
code { display: block; margin-top: .75rem; padding: .6rem .75rem; border: 1px solid var(--line); border-radius: 6px; font: .85rem ui-monospace, monospace; color: var(--ink); overflow-wrap: anywhere }
`;

const STYLE_HASH = createHash("sha256").update(STYLE).digest("base64");

/** For every page of the gate's own: nothing may load, run, frame it or be sent from it. */
export const PAGE_HEADERS: readonly (readonly [string, string])[] = [
  ["Content-Type", "text/html; charset=utf-8"],
  [
    "Content-Security-Policy",
    `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  ],
  ["Referrer-Policy", "no-referrer"],
  ["X-Content-Type-Options", "nosniff"],
];

type Facts = {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  /** Ours, so it needs no escaping; nothing of the client's is ever shown. */
  readonly requestId: string;
};

export function denialPage({ status, code, title, requestId }: Facts): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<p>If you think that you should have access, give this line to whoever runs this service:</p>
<code>claimgate explain ${requestId}</code>
<dl>
<dt>Status</dt><dd>${status}</dd>
<dt>Code</dt><dd>${code}</dd>
<dt>Request</dt><dd>${requestId}</dd>
</dl>
</main>
</body>
</html>
`;
}
