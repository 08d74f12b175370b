/**
 * Ports for the demo: the usual one, or any free one where another program has it.
 *
 * @module
 */
import { GateError } from "../../errors.ts";

/**
 * @param open Called with the usual port, then with 0 where that one is taken.
 * @throws What `open` throws for any other reason.
 */
export async function listenNear<Server>(
  usualPort: number,
  open: (port: number) => Server | Promise<Server>,
): Promise<Server> {
  try {
    return await open(usualPort);
  } catch (fault) {
    if (!isTaken(fault)) throw fault;
    return await open(0);
  }
}

function isTaken(fault: unknown): boolean {
  if (fault instanceof GateError) return fault.code === "port_taken";
  return fault instanceof Error && "code" in fault && fault.code === "EADDRINUSE";
}
