/**
 * Sends the connections of a shared port to the server that joined last.
 *
 * A certificate can only be renewed by a second server on the same port (SO_REUSEPORT). Left
 * alone, Linux goes on giving the first one half of what arrives, until its socket closes; and
 * what then waits in its queue, or is half way through the TCP handshake, is reset. So the port
 * gets a rule first: whatever arrives goes to the second socket as soon as there is one. The
 * first then has time to answer what it was given before. Where several workers share the port,
 * it is the socket beyond theirs: while there is none, Linux goes on spreading what arrives.
 *
 * @module
 */
import { ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { openLibc } from "./libc.ts";

// <asm-generic/socket.h>, <linux/filter.h>, <net/tcp_states.h>
const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const BPF_RETURN_CONSTANT = 0x06;
const TCP_LISTEN = "0A";

/**
 * To be called while a server of ours listens on the port, before its successor is opened.
 *
 * @param servers How many have the port now, this process's and others'.
 * @returns Whether the rule is in force. Where it is not (no Linux, no /proc, a sandbox that
 *   forbids it) renewing works all the same, but may reset a connection that is just being made.
 */
export function steerToSuccessor(port: number, servers: number): boolean {
  if (process.platform !== "linux") return false;
  try {
    const descriptors = listeningDescriptors(port);
    return descriptors.length > 0 && descriptors.every((one) => attachRule(one, servers));
  } catch {
    return false; // the caller is told; there is nothing to mend
  }
}

/** Ours, of sockets that listen on the port. Bun does not tell them. */
function listeningDescriptors(port: number): number[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const links = new Set<string>();
  for (const table of ["/proc/self/net/tcp", "/proc/self/net/tcp6"]) {
    for (const line of readFileSync(table, "utf8").split("\n")) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === TCP_LISTEN && local?.endsWith(suffix)) links.add(`socket:[${inode}]`);
    }
  }
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((descriptor) => links.has(linkOf(descriptor)));
}

function linkOf(descriptor: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    return ""; // the one that read the folder is closed by now
  }
}

/**
 * Attaches a filter program that returns an index within the socket's group (struct sock_fprog).
 * An index that nobody has is no answer: Linux then spreads connections as without the rule.
 */
function attachRule(descriptor: number, index: number): boolean {
  const instruction = new DataView(new ArrayBuffer(8));
  instruction.setUint16(0, BPF_RETURN_CONSTANT, true);
  instruction.setUint32(4, index, true);
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, 1, true); // instructions
  program.setBigUint64(8, BigInt(ptr(instruction)), true);
  const { byteLength } = program;
  const { setsockopt } = openLibc();
  return (
    setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, ptr(program), byteLength) === 0
  );
}
