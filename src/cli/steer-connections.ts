/**
 * Sends the connections of a shared port to the server that joined last.
 *
 * A certificate can only be renewed by a second server on the same port (SO_REUSEPORT). Left
 * alone, Linux goes on giving the first one half of what arrives, until its socket closes; and
 * what then waits in its queue, or is half way through the TCP handshake, is reset. So the port
 * gets a rule first: whatever arrives goes to the second socket as soon as there is one. The
 * first then has time to answer what it was given before.
 *
 * @module
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

// <asm-generic/socket.h>, <linux/filter.h>, <net/tcp_states.h>
const SOL_SOCKET = 1;
const SO_ATTACH_REUSEPORT_CBPF = 51;
const BPF_RETURN_CONSTANT = 0x06;
const TCP_LISTEN = "0A";

/** The index within the group of sockets; while there is but one, Linux takes that. */
const SECOND = 1;

const LIBRARIES = [
  "libc.so.6",
  `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`,
];

/**
 * To be called while one server of ours listens on the port, before a second one is opened.
 *
 * @returns Whether the rule is in force. Where it is not (no Linux, no /proc, a sandbox that
 *   forbids it) renewing works all the same, but may reset a connection that is just being made.
 */
export function steerToSuccessor(port: number): boolean {
  if (process.platform !== "linux") return false;
  try {
    const descriptors = listeningDescriptors(port);
    return descriptors.length > 0 && descriptors.every(attachRule);
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

/** Attaches the filter program `return SECOND` (struct sock_fprog) to the socket's group. */
function attachRule(descriptor: number): boolean {
  const instruction = new DataView(new ArrayBuffer(8));
  instruction.setUint16(0, BPF_RETURN_CONSTANT, true);
  instruction.setUint32(4, SECOND, true);
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, 1, true); // instructions
  program.setBigUint64(8, BigInt(ptr(instruction)), true);
  const { byteLength } = program;
  const { setsockopt } = openLibrary().symbols;
  return (
    setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, ptr(program), byteLength) === 0
  );
}

const SYMBOLS = {
  setsockopt: {
    args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i32,
  },
} as const;

type Library = ReturnType<typeof dlopen<typeof SYMBOLS>>;

let library: Library | undefined;

/** @throws Error when the system's library has none of the names we know. */
function openLibrary(): Library {
  for (const name of LIBRARIES) {
    try {
      library ??= dlopen(name, SYMBOLS);
    } catch {
      // the other kind of Linux
    }
  }
  if (library === undefined) throw new Error("Cannot open the system's C library");
  return library;
}
