/**
 * Turns an assembly into a site: issuers with their keys, routes with their verifiers,
 * upstreams with their pools. What a former site has and the new one still wants is kept,
 * so that a reload neither fetches keys again nor drops a warm connection.
 *
 * @module
 */
import { entryPlan } from "../audit/entry.ts";
import type { Config, IssuerConfig, RouteConfig } from "../config/resolved.ts";
import { type Issuer, openIssuer } from "../identity/issuers.ts";
import { createVerifier, type Verifier } from "../identity/verify.ts";
import { openUpstream, type Upstream } from "../proxy/upstream.ts";
import type { Log } from "../telemetry/log.ts";
import type { Assembly } from "./assemble.ts";
import { openGeo } from "./geo.ts";
import { makeRules } from "./rules.ts";
import type { Rules, Site } from "./site.ts";

type SiteDependencies = {
  readonly revocations: Rules["revocations"];
  readonly historyOf: Rules["historyOf"];
  readonly sessions: Rules["sessions"];
  readonly log: Log;
  readonly now: () => number;
};

/** @param former The site in force, whose parts may be kept. */
export async function openSite(
  assembly: Assembly,
  former: Site | undefined,
  { log, now, revocations, historyOf, sessions }: SiteDependencies,
): Promise<Site> {
  const { config } = assembly;
  const placeOf = await openGeo(config.geo);
  const issuers = openIssuers(config, former, { log, now });
  const verifiers = openVerifiers(config, issuers, former);
  const verifierOf = (route: RouteConfig) => verifiers.get(issuerKey(route));
  return {
    ...makeRules(assembly, { revocations, historyOf, sessions, placeOf, verifierOf }),
    issuers,
    verifiers,
    entryPlan: entryPlan(config.audit, config.routes),
    upstreams: openUpstreams(config, former, now),
  };
}

/** Closes what the new site did not take over. Requests under way keep what they hold. */
export function retireSite(former: Site, successor: Site | undefined): void {
  for (const [name, issuer] of former.issuers) {
    if (successor?.issuers.get(name) !== issuer) issuer.close();
  }
  const kept = new Set(successor?.upstreams.values());
  for (const upstream of former.upstreams.values()) if (!kept.has(upstream)) upstream.close();
  if (former.policies !== successor?.policies) former.policies.dispose();
}

function openIssuers(
  config: Config,
  former: Site | undefined,
  { log, now }: Pick<SiteDependencies, "log" | "now">,
): Map<string, Issuer> {
  const { folder } = config;
  const issuers = new Map<string, Issuer>();
  for (const wanted of config.issuers) {
    const kept = former?.issuers.get(wanted.name);
    const warn = (message: string) => log.event("warn", "issuer", message, { issuer: wanted.name });
    const same = kept !== undefined && isSame(kept.config, wanted);
    issuers.set(wanted.name, same ? kept : openIssuer(wanted, { folder, fetch, now, warn }));
  }
  return issuers;
}

function isSame(a: IssuerConfig, b: IssuerConfig): boolean {
  return Bun.deepEquals(a, b, true);
}

/**
 * Routes with the same issuers share a verifier, and so its cache; others never do. A
 * former verifier is kept with its cache only while each of its issuers is.
 */
function openVerifiers(
  config: Config,
  issuers: ReadonlyMap<string, Issuer>,
  former: Site | undefined,
): Map<string, Verifier> {
  const verifiers = new Map<string, Verifier>();
  for (const route of config.routes) {
    const key = issuerKey(route);
    if (route.public || verifiers.has(key)) continue;
    const unchanged = route.issuers.every(
      (name) => former?.issuers.get(name) === issuers.get(name),
    );
    const kept = unchanged ? former?.verifiers.get(key) : undefined;
    const wanted = route.issuers.map((name) => issuers.get(name));
    verifiers.set(key, kept ?? createVerifier(wanted.filter((issuer) => issuer !== undefined)));
  }
  return verifiers;
}

function issuerKey(route: RouteConfig): string {
  return JSON.stringify(route.issuers);
}

function openUpstreams(
  config: Config,
  former: Site | undefined,
  now: () => number,
): Map<string, Upstream> {
  const known = new Map<string, Upstream>();
  for (const route of former?.routes ?? []) {
    const upstream = former?.upstreams.get(route.config.name);
    if (upstream !== undefined) known.set(JSON.stringify(route.config.upstreams), upstream);
  }
  const upstreams = new Map<string, Upstream>();
  for (const route of config.routes) {
    const key = JSON.stringify(route.upstreams);
    const upstream = known.get(key) ?? openUpstream(route.upstreams, { now });
    known.set(key, upstream);
    upstreams.set(route.name, upstream);
  }
  return upstreams;
}
