/**
 * Who counts as one address: an IPv4 address is one, and so is an IPv6 network of 64 bits,
 * because whoever has one address of such a network has all of them (RFC 4291 §2.5.4,
 * RFC 6177). Behind a translator an IPv4 address has the well-known prefix (RFC 6052 §2.1): there
 * one such network would be everybody.
 *
 * @param canonicalIp As `canonicalAddress` writes it, or "unix".
 * @returns The same text for the same network.
 */
export function networkOfClient(canonicalIp: string): string {
  if (!canonicalIp.includes(":")) return canonicalIp;
  const [before = "", after] = canonicalIp.split("::");
  const head = groupsOf(before);
  const tail = groupsOf(after ?? "");
  const zeros = new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0");
  const groups = [...head, ...zeros, ...tail];
  if (groups.slice(0, 6).join(":") === TRANSLATED) return canonicalIp;
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** 64:ff9b::/96. */
const TRANSLATED = "64:ff9b:0:0:0:0";

function groupsOf(text: string): string[] {
  return text === "" ? [] : text.split(":");
}
