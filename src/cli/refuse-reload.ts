/**
 * What a reload cannot change, since it was opened for good when the gate started.
 *
 * @module
 */
import type { Config, ListenAddress } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Listener, TlsMaterial } from "./listen.ts";

/** What is revoked and recorded lies in the store that the gate has open; who administers it is there. */
export function refuseOtherPlaces(before: Config, after: Config): void {
  const other = [
    ...(Bun.deepEquals(before.store, after.store) ? [] : ["store"]),
    ...(Bun.deepEquals(before.admin.listen, after.admin.listen) ? [] : ["admin.listen"]),
    ...(before.workers === after.workers ? [] : ["workers"]),
  ];
  if (other.length === 0) return;
  const message = `${other.join(" and ")} cannot change while the gate runs; start it anew for that`;
  throw new GateError("config_invalid", message);
}

/**
 * A unix socket cannot be handed over, so it stays as it was opened. A renewed certificate can
 * wait for a restart; who is let in cannot.
 *
 * @throws GateError `config_invalid` when such a socket would go on letting in others.
 */
export function refuseOtherTls(
  wanted: readonly ListenAddress[],
  listeners: readonly Listener[],
  before: TlsMaterial | undefined,
  after: TlsMaterial | undefined,
): void {
  if (whoIsLetIn(before) === whoIsLetIn(after)) return;
  const stuck = listeners.find(
    ({ address }) => address.kind === "unix" && wanted.some((one) => Bun.deepEquals(one, address)),
  );
  if (stuck === undefined) return;
  const message = `${stuck.url} cannot change whom its TLS lets in while it is open: restart the gate, or name another socket`;
  throw new GateError("config_invalid", message);
}

function whoIsLetIn(tls: TlsMaterial | undefined): string {
  if (tls === undefined) return "plain";
  return tls.clientAuth === "required" ? `clients of ${tls.ca}` : "anyone";
}
