/**
 * Where the provider may send a browser: to this machine, and nowhere else.
 *
 * @module
 */
import { isLoopbackHost } from "../lib/host.ts";

/** ASCII without what browsers rewrite, and without "#": what is checked is what they will open. */
const PLAIN = /^https?:\/\/[!$-;=?-[\]_a-z~]+$/i;

/**
 * Whether an address may be redirected to: http or https on loopback, without user or fragment
 * (RFC 6749 §3.1.2).
 */
export function isLoopbackRedirect(address: string): boolean {
  if (!PLAIN.test(address)) return false;
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.password !== "") return false;
  return isLoopbackHost(url.hostname);
}

/** 303: whatever the browser sent here, it sends nothing there (RFC 9700 §4.12). */
export function redirectTo(
  address: string,
  parameters: Readonly<Record<string, string | undefined>>,
): Response {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) query.set(name, value);
  }
  const joint = address.includes("?") ? "&" : "?";
  return new Response(null, {
    status: 303,
    headers: {
      Location: query.size === 0 ? address : `${address}${joint}${query}`,
      "Cache-Control": "no-store",
      "Referrer-Policy": "no-referrer",
    },
  });
}
