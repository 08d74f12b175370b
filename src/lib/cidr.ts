/**
 * Addresses and ranges of addresses. There is one form for each address: an IPv4-mapped
 * IPv6 address is IPv4, so that no range can be slipped past by writing it the other way. Pure.
 *
 * @module
 */
import ipaddr from "ipaddr.js";

/** A range of addresses; `canonical` is how it is written: `10.0.0.0/8`, `2001:db8::/32`. */
type Range = {
  readonly canonical: string;
  readonly version: 4 | 6;
  readonly network: readonly number[];
  readonly prefixBits: number;
};

/** Four decimal parts without leading zeros: `010.0.0.1` is octal to some and decimal to others. */
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
/** Of an IPv6 address with IPv4 at its end, the IPv4 part. */
const EMBEDDED_IPV4 = /:([^:]*\.[^:]*)$/;
const IPV6_LENGTH_LIMIT = 45;

/**
 * Brings an address to its one form.
 *
 * @returns Four decimal parts, or IPv6 as RFC 5952 writes it; `undefined` for anything else:
 *   octal, hexadecimal or short IPv4, a zone (`%eth0`), brackets, a port, white space.
 */
export function canonicalAddress(text: string): string | undefined {
  if (IPV4.test(text)) return text;
  const bytes = ipv6Bytes(text);
  if (bytes === undefined) return undefined;
  const mapped = mappedBytes(bytes);
  return mapped === undefined ? ipaddr.fromByteArray(bytes).toString() : mapped.join(".");
}

/**
 * Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone for just that one.
 *
 * @returns `undefined` for anything else, bits set beyond the prefix included (`networkOf`
 *   then says what was meant).
 */
export function parseRange(text: string): Range | undefined {
  const range = readRange(text);
  return range && sameBytes(range.network, masked(range)) ? range : undefined;
}

/** The range that `text` would be with the bits beyond its prefix cleared: `10.0.0.1/8` → `10.0.0.0/8`. */
export function networkOf(text: string): string | undefined {
  const range = readRange(text);
  return range && `${ipaddr.fromByteArray([...masked(range)]).toString()}/${range.prefixBits}`;
}

/**
 * @param ranges As `parseRange` reads them.
 * @returns Whether a canonical address is in any of the ranges; `false` for what is no address.
 * @throws RangeError for a bad range, which it names.
 */
export function createRangeMatcher(ranges: readonly string[]): (canonicalIp: string) => boolean {
  const parsed = ranges.map((text) => {
    const range = parseRange(text);
    if (range !== undefined) return range;
    const meant = networkOf(text);
    const hint = meant === undefined ? "" : `: write ${meant}`;
    throw new RangeError(`${JSON.stringify(text)} is not a range of addresses${hint}`);
  });
  return (canonicalIp) => {
    const bytes = bytesOf(canonicalIp);
    if (bytes === undefined) return false;
    return parsed.some((range) => holds(range, bytes));
  };
}

function readRange(text: string): Range | undefined {
  const slash = text.indexOf("/");
  const address = slash < 0 ? text : text.slice(0, slash);
  const isIpv4 = IPV4.test(address);
  const written = isIpv4 ? ipv4Bytes(address) : ipv6Bytes(address);
  if (written === undefined) return undefined;
  const allBits = written.length * 8;
  const prefix = slash < 0 ? String(allBits) : text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > allBits) return undefined;

  // A prefix shorter than 96 reaches beyond the mapped addresses: that range stays IPv6.
  const mapped = isIpv4 || Number(prefix) < 96 ? undefined : mappedBytes(written);
  const network = mapped ?? written;
  const prefixBits = mapped === undefined ? Number(prefix) : Number(prefix) - 96;
  const canonical = `${ipaddr.fromByteArray([...network]).toString()}/${prefixBits}`;
  return { canonical, version: network.length === 4 ? 4 : 6, network, prefixBits };
}

function bytesOf(address: string): number[] | undefined {
  if (IPV4.test(address)) return ipv4Bytes(address);
  const bytes = ipv6Bytes(address);
  return bytes && (mappedBytes(bytes) ?? bytes);
}

function ipv4Bytes(address: string): number[] {
  return address.split(".").map(Number);
}

function ipv6Bytes(address: string): number[] | undefined {
  if (address.length > IPV6_LENGTH_LIMIT || !/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(address)) {
    return undefined;
  }
  const embedded = EMBEDDED_IPV4.exec(address)?.[1];
  if (embedded !== undefined && !IPV4.test(embedded)) return undefined;
  const plain = embedded === undefined ? address : withGroups(address, embedded);
  return ipaddr.IPv6.isValid(plain) ? ipaddr.IPv6.parse(plain).toByteArray() : undefined;
}

/** The IPv4 end as two groups: ipaddr.js takes `::10.0.0.1` for the mapped `::ffff:10.0.0.1`. */
function withGroups(address: string, embedded: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = ipv4Bytes(embedded);
  const groups = [a * 256 + b, c * 256 + d].map((group) => group.toString(16)).join(":");
  return address.slice(0, -embedded.length) + groups;
}

/** RFC 4291 §2.5.5.2: `::ffff:a.b.c.d`. */
function mappedBytes(bytes: readonly number[]): number[] | undefined {
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff;
  return isMapped && bytes[11] === 0xff ? bytes.slice(12) : undefined;
}

function masked({ network, prefixBits }: Range): number[] {
  return network.map((byte, index) => byte & maskOf(prefixBits, index));
}

/** The mask of one byte: all of it, none, or its upper bits. */
function maskOf(prefixBits: number, index: number): number {
  const bits = Math.min(8, Math.max(0, prefixBits - index * 8));
  return (0xff << (8 - bits)) & 0xff;
}

function holds({ network, prefixBits }: Range, bytes: readonly number[]): boolean {
  if (network.length !== bytes.length) return false;
  return network.every((byte, index) => {
    const here = bytes[index];
    return here !== undefined && (here & maskOf(prefixBits, index)) === byte;
  });
}

function sameBytes(left: readonly number[], right: readonly number[]): boolean {
  return left.every((byte, index) => byte === right[index]);
}
