/**
 * A unix socket that its owner alone may use, and that only a live gate holds.
 *
 * @module
 */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import { GateError } from "../errors.ts";
import { reachableSocketPath } from "../lib/socket-path.ts";

/** Of a file, so that what came in its place is left alone. */
type Identity = { readonly ino: number; readonly dev: number };

/**
 * Makes room for a socket.
 *
 * @returns `held` while a live program answers on it.
 * @throws GateError `port_taken` for what is there and is no socket.
 */
export async function clearSocket(path: string): Promise<"free" | "held"> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return "free";
  if (!found.isSocket()) {
    const message = `cannot listen on ${path}: something else is there; move it or change admin.listen`;
    throw new GateError("port_taken", message);
  }
  const isLive = await Bun.connect({ unix: reachableSocketPath(path), socket: { data() {} } }).then(
    (socket) => {
      socket.end();
      return true;
    },
    () => false,
  );
  if (isLive) return "held";
  removeIfSame(path, found);
  return "free";
}

/**
 * Opens a server on the socket with mode 0600, at no moment with more.
 *
 * @throws GateError `port_taken`
 */
export function openOwnSocket<T>(path: string, open: () => T): { server: T; remove(): void } {
  const mask = process.umask(0o077);
  try {
    const server = open();
    chmodSync(path, 0o600);
    const identity = lstatSync(path);
    return { server, remove: () => removeIfSame(path, identity) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `cannot listen on ${path}: ${why}; check ${dirname(path)}, or change admin.listen`;
    throw new GateError("port_taken", message, { cause });
  } finally {
    process.umask(mask);
  }
}

function removeIfSame(path: string, { ino, dev }: Identity): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.ino === ino && found.dev === dev) unlinkSync(path);
}
