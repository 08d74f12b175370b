/**
 * Ports for programs that cannot be told to take any free one.
 *
 * @module
 */

/** Below where Linux takes ports for outgoing connections (32768), so that none of those is in the way. */
const FIRST = 20_000;
const LAST = 32_000;

const given = new Set<number>();

/**
 * @returns A port of 127.0.0.1 that was free a moment ago, never the same one twice.
 * @throws Error when a thousand tries found none.
 */
export function freePort(): number {
  for (let tries = 0; tries < 1_000; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (!given.has(port) && isFree(port)) {
      given.add(port);
      return port;
    }
  }
  throw new Error("Cannot find a free port: 1,000 were taken");
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false; // in use: the next one
  }
}
