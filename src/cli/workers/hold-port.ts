/**
 * Takes an address for all workers: makes sure that nobody else listens there, and keeps other
 * users' programs from it while workers come and go. The socket that does so is bound and
 * never listens, so that it is given no connection.
 *
 * @module
 */
import { ptr } from "bun:ffi";
import { openLibc } from "../libc.ts";

// <bits/socket.h>, <asm-generic/socket.h>
const AF_INET = 2;
const AF_INET6 = 10;
/** Not handed on to the workers. */
const SOCK_STREAM_CLOEXEC = 1 | 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEPORT = 15;

/**
 * @param port 0 is any that is free.
 * @returns The port. Where the system does not allow to hold it, it is merely free by now.
 * @throws The error of the system that tells why nobody can listen there (`EADDRINUSE`).
 */
export async function holdPort(hostname: string, port: number): Promise<number> {
  // Sharing would hide another program that has it, so the first look is without.
  const probe = Bun.serve({ hostname, port, reusePort: false, fetch: () => new Response() });
  const found = probe.port ?? port;
  const address = probe.hostname ?? hostname;
  await probe.stop(true);
  bindSocket(address, found);
  return found;
}

/** @returns Whether it is bound; it stays so until the process ends. */
function bindSocket(hostname: string, port: number): boolean {
  const address = socketAddress(hostname, port);
  if (address === undefined) return false;
  try {
    const { socket, setsockopt, bind, close } = openLibc();
    const descriptor = socket(address.family, SOCK_STREAM_CLOEXEC, 0);
    if (descriptor < 0) return false;
    const on = new Int32Array([1]);
    // SO_REUSEADDR is left out: with it, whoever has it too could bind as well (socket(7)).
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, ptr(on), on.byteLength);
    if (bind(descriptor, ptr(address.bytes), address.bytes.byteLength) === 0) return true;
    close(descriptor);
    return false;
  } catch {
    return false; // no such library here: the port is free, and that must do
  }
}

/** `struct sockaddr_in` or `sockaddr_in6`; `undefined` for a name. */
function socketAddress(hostname: string, port: number) {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(hostname);
  const bytes = new Uint8Array(v4 === null ? 28 : 16);
  const view = new DataView(bytes.buffer);
  const family = v4 === null ? AF_INET6 : AF_INET;
  view.setUint16(0, family, IS_LITTLE_ENDIAN);
  view.setUint16(2, port);
  if (v4 !== null) {
    bytes.set(v4.slice(1).map(Number), 4);
    return { family, bytes };
  }
  const groups = groupsOf(hostname);
  if (groups === undefined) return undefined;
  for (const [place, group] of groups.entries()) view.setUint16(8 + 2 * place, group);
  return { family, bytes };
}

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** The eight numbers of an IPv6 address without a zone. */
function groupsOf(hostname: string): number[] | undefined {
  const text = hostname.replace(/^\[|\]$/g, "");
  if (!/^[0-9a-f:]+$/i.test(text)) return undefined;
  const [before = "", after] = text.split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === undefined || after === "" ? [] : after.split(":");
  const zeros = new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill("0");
  const groups = [...head, ...zeros, ...tail].map((group) => Number.parseInt(group, 16));
  return groups.length === 8 ? groups : undefined;
}
