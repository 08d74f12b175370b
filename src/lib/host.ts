/**
 * Host names as requests and configuration write them, brought to one form. Pure.
 *
 * @module
 */
import { canonicalAddress } from "./cidr.ts";

/** RFC 1035 §2.3.4. */
const NAME_LIMIT = 253;
/** A port, as RFC 3986 §3.2.3 has it but never empty. */
const PORT = /:\d{1,5}$/;
/** RFC 952 labels, and the underscore that internal names use. */
const NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/**
 * Lower case, without port or trailing dot. An IPv6 literal keeps its brackets and gets
 * its canonical form.
 *
 * @param text A `Host` field's value, or a host in the configuration.
 * @returns `undefined` for what is no host: empty, empty labels, `,`, `@`, `/`, `?`,
 *   white space, bytes outside ASCII.
 */
export function canonicalHost(text: string): string | undefined {
  if (text.startsWith("[")) {
    const [, inside] = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/i.exec(text) ?? [];
    if (inside?.includes(":") !== true) return undefined;
    const address = canonicalAddress(inside);
    if (address === undefined) return undefined;
    return address.includes(":") ? `[${address}]` : address;
  }
  const host = text.replace(PORT, "").replace(/\.$/, "").toLowerCase();
  return host.length <= NAME_LIMIT && NAME.test(host) ? host : undefined;
}

/**
 * Whether a canonical host or a bare address stays on this machine: `localhost`,
 * `*.localhost` (RFC 6761 §6.3), 127.0.0.0/8 and ::1.
 */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase();
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  const bare = name.startsWith("[") && name.endsWith("]") ? name.slice(1, -1) : name;
  const address = canonicalAddress(bare);
  return address !== undefined && (address === "::1" || address.startsWith("127."));
}
