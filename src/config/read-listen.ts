/**
 * `listen` and who may reach it: addresses, plain HTTP beyond loopback, trusted proxies.
 *
 * @module
 */
import { resolve } from "node:path";
import { canonicalAddress, networkOf, parseRange } from "../lib/cidr.ts";
import { isLoopbackHost } from "../lib/host.ts";
import type { Reading } from "./report.ts";
import type { ListenAddress, YamlPath } from "./resolved.ts";
import type { FileContent } from "./schema.ts";

/** The kernel's `sun_path` holds 108 bytes with its final zero; macOS has 104. */
const SOCKET_PATH_LIMIT_BYTES = 103;

const DEFAULT_LISTEN = "127.0.0.1:8080";
/** Every IPv4 address of the machine; `[::]:8080` asks for IPv6 too. */
const ALL_ADDRESSES = "0.0.0.0";
const PORT = /^(?:0|[1-9]\d{0,4})$/;

/** An address together with where it is written. */
export type Listen = { readonly address: ListenAddress; readonly path: YamlPath };

/** @returns What could be read of `listen`; the rest has been reported. */
export function readListen(written: FileContent["listen"], reading: Reading): readonly Listen[] {
  const { report, source } = reading;
  const path: YamlPath = ["listen"];
  if (written === undefined && source.has(path)) return [];
  const isList = typeof written === "object";
  const entries = isList ? written : [written ?? DEFAULT_LISTEN];
  if (entries.length === 0) {
    report.at(path, {
      code: "list_empty",
      message: "listen names no address",
      fix: `write ${DEFAULT_LISTEN}, or remove it`,
    });
  }
  const found: Listen[] = [];
  for (const [index, entry] of entries.entries()) {
    if (entry === undefined) continue;
    const at = isList ? [...path, index] : path;
    const address = parseListen(String(entry), reading.folder);
    if (address === undefined) {
      report.at(at, {
        code: "listen_invalid",
        message: "not an address to listen on",
        fix: "write 127.0.0.1:8080, [::1]:8080, localhost:8080, :8080 for all addresses, or unix:PATH",
      });
    } else if (found.some((other) => isSame(other.address, address))) {
      const message = "this address is listed twice";
      report.at(at, { code: "listen_duplicate", message, fix: "remove one of the two" });
    } else found.push({ address, path: at });
  }
  return found;
}

/** Whether only this machine can reach the address. */
export function isLocal(address: ListenAddress): boolean {
  return address.kind === "unix" || isLoopbackHost(address.hostname);
}

/** Tokens that cross a network in the clear are for anyone to take. */
export function checkPlainListen(
  addresses: readonly Listen[],
  content: FileContent,
  { report, source }: Reading,
): void {
  const proxies = content.trustedProxies;
  const trustsProxies = proxies === undefined ? source.has(["trustedProxies"]) : proxies.length > 0;
  const isAllowed = source.has(["tls"]) || content.allowPlainHttp === true || trustsProxies;
  if (isAllowed) return;
  for (const { address, path } of addresses) {
    if (isLocal(address)) continue;
    report.at(path, {
      code: "listen_plain",
      message: "plain HTTP beyond this machine: anyone on the way could read the tokens",
      fix: "add tls, or list the proxies before the gate in trustedProxies, or listen on 127.0.0.1; allowPlainHttp: true allows it all the same",
    });
  }
}

/** @returns Ranges in canonical form, or "unix"; what is neither has been reported. */
export function readTrustedProxies(
  written: FileContent["trustedProxies"],
  { report }: Reading,
): readonly string[] {
  const ranges = new Set<string>();
  for (const [index, entry] of (written ?? []).entries()) {
    if (entry === undefined) continue;
    const range = entry === "unix" ? entry : parseRange(entry)?.canonical;
    if (range !== undefined) {
      ranges.add(range);
      continue;
    }
    const meant = networkOf(entry);
    report.at(["trustedProxies", index], {
      code: "range_invalid",
      message:
        meant === undefined ? "not a range of addresses" : "an address with bits beyond its prefix",
      fix: meant === undefined ? "write 10.0.0.0/8, 2001:db8::/32 or unix" : `write ${meant}`,
    });
  }
  return [...ranges];
}

/** @param folder What a socket's relative path is relative to. @returns `undefined` for what is no address. */
export function parseListen(text: string, folder: string): ListenAddress | undefined {
  if (text.startsWith("unix:")) return parseSocket(text.slice("unix:".length), folder);
  const colon = text.lastIndexOf(":");
  const port = text.slice(colon + 1);
  if (!PORT.test(port) || Number(port) > 65_535) return undefined;
  const hostname = colon <= 0 ? ALL_ADDRESSES : parseHostname(text.slice(0, colon));
  return hostname === undefined ? undefined : { kind: "tcp", hostname, port: Number(port) };
}

/** Names other than `localhost` are not taken: what they stand for can change, and with it who gets in. */
function parseHostname(text: string): string | undefined {
  if (text.toLowerCase() === "localhost") return "localhost";
  const [, inside] = /^\[(.*)\]$/.exec(text) ?? [];
  const isIpv6 = inside?.includes(":") === true;
  return isIpv6 || !text.includes(":") ? canonicalAddress(inside ?? text) : undefined;
}

function parseSocket(path: string, folder: string): ListenAddress | undefined {
  const absolute = socketPath(path, folder);
  return absolute === undefined ? undefined : { kind: "unix", path: absolute };
}

/** @returns The absolute path, or `undefined` for one that no socket can have. */
export function socketPath(path: string, folder: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (path === "" || path.endsWith("/") || /[\x00-\x1f\x7f]/.test(path)) return undefined;
  const absolute = resolve(folder, path);
  return Buffer.byteLength(absolute) <= SOCKET_PATH_LIMIT_BYTES ? absolute : undefined;
}

export function isSame(left: ListenAddress, right: ListenAddress): boolean {
  if (left.kind === "unix" || right.kind === "unix") {
    return (
      left.kind === right.kind && "path" in left && "path" in right && left.path === right.path
    );
  }
  // Port 0 is another port each time.
  return left.port !== 0 && left.port === right.port && left.hostname === right.hostname;
}
