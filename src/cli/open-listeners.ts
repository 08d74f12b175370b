/**
 * The sockets of a configuration, opened all or none; after a reload those that can stay do.
 *
 * @module
 */
import type { Config } from "../config/resolved.ts";
import type { Gate } from "../gate/site.ts";
import { type Listener, listen, type SharedPorts, type TlsMaterial } from "./listen.ts";

type Places = {
  /** Those that are open, whose places new ones take. */
  readonly former?: readonly Listener[];
  /** Those of them that stay. */
  readonly kept?: readonly Listener[];
  /** What workers have in common; absent where the gate is one process. */
  readonly shared: SharedPorts | undefined;
};

/** Opens what is not open yet; when one cannot be, those opened here are closed again. */
export async function openListeners(
  gate: Gate,
  config: Config,
  tls: TlsMaterial | undefined,
  { former = [], kept = [], shared }: Places,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const address of config.listen) {
      const same = (listener: Listener) => Bun.deepEquals(listener.address, address);
      const socket = { successorOf: former.find(same), shared };
      listeners.push(kept.find(same) ?? (await listen(gate, address, config, tls, socket)));
    }
  } catch (fault) {
    const fresh = listeners.filter((listener) => !kept.includes(listener));
    await Promise.all(fresh.map((listener) => listener.cut()));
    throw fault;
  }
  return listeners;
}

/** Whether a socket that is wanted again can stay as it is: same certificate, same limits. */
export function keeps(
  listener: Listener,
  before: Config,
  after: Config,
  tlsBefore: TlsMaterial | undefined,
  tlsAfter: TlsMaterial | undefined,
): boolean {
  return (
    listener.address.kind === "unix" ||
    (Bun.deepEquals(tlsBefore, tlsAfter) &&
      before.http.http2 === after.http.http2 &&
      before.http.idleTimeoutMs === after.http.idleTimeoutMs &&
      before.allowPlainHttp === after.allowPlainHttp)
  );
}
