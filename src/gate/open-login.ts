/**
 * Gives signing in what it needs of the gate.
 *
 * @module
 */
import { canonicalHost } from "../lib/host.ts";
import { readPath } from "../lib/path.ts";
import { type Login, openLogin } from "../login/login.ts";
import type { Log } from "../telemetry/log.ts";
import type { Ledger } from "./ledger.ts";
import { matchRoute } from "./match.ts";
import type { Site } from "./site.ts";

type Dependencies = {
  /** The one in force. */
  readonly site: () => Site;
  readonly ledger: Ledger;
  readonly log: Log;
  readonly now: () => number;
};

export function openGateLogin({ site, ledger, log, now }: Dependencies): Login {
  return openLogin({
    store: ledger.store,
    revocations: ledger.revocations,
    config: () => site().config,
    issuers: () => site().issuers,
    issuersOf: (address) => issuersOf(site(), address),
    record: (act) =>
      ledger.audit.record({ kind: "act", at: new Date(now()).toISOString(), ...act }),
    fetch,
    log,
    now,
  });
}

/** By the route that a person would get at that address. */
function issuersOf({ table }: Site, address: URL): readonly string[] | undefined {
  const path = readPath(address.pathname);
  const host = canonicalHost(address.host);
  if (!path.ok || host === undefined) return undefined;
  const matched = matchRoute(table, host, path.value.path, "GET");
  if (!matched.ok || matched.value.config.login === undefined) return undefined;
  const { login, issuers } = matched.value.config;
  return login.issuer === undefined ? issuers : [login.issuer];
}
