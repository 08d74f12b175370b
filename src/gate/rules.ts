/**
 * Makes of an assembly what decides, and opens nothing: who verifies tokens is told from
 * outside, so that `explain` decides by the very rules that a live gate has.
 *
 * @module
 */
import type { Config, RouteConfig } from "../config/resolved.ts";
import type { Verifier } from "../identity/verify.ts";
import { createRangeMatcher } from "../lib/cidr.ts";
import type { PolicySet } from "../policy/load.ts";
import { planHeaders } from "../proxy/headers.ts";
import type { Assembly } from "./assemble.ts";
import type { Surroundings } from "./inquire.ts";
import { buildRouteTable } from "./match.ts";
import type { Route, Rules } from "./site.ts";

type RuleDependencies = {
  readonly revocations: Rules["revocations"];
  readonly historyOf?: Rules["historyOf"];
  readonly sessions?: Rules["sessions"];
  readonly placeOf: Surroundings["placeOf"];
  /** Asked for each route that is not public. */
  readonly verifierOf: (route: RouteConfig) => Verifier | undefined;
};

export function makeRules(assembly: Assembly, dependencies: RuleDependencies): Rules {
  const { config, policies, programs, policyHeaders } = assembly;
  const { revocations, historyOf, sessions, placeOf, verifierOf } = dependencies;
  const claimedNames = [
    ...identityNames(config),
    ...assertionNames(config),
    ...policyHeaders,
    ...expectedHeaderNames(policies),
    ...[...programs.values()].flatMap(({ headerNames }) => headerNames),
  ];
  const routes = config.routes.map((route): Route => {
    const program = programs.get(route.name);
    const verifier = route.public ? undefined : verifierOf(route);
    return {
      config: route,
      headerPlan: planHeaders(route, claimedNames),
      identity: Object.entries(route.identityHeaders),
      identityCache: new WeakMap(),
      ...(program && { program }),
      ...(verifier && { verifier }),
    };
  });
  return {
    config,
    policies,
    routes,
    revocations,
    historyOf,
    sessions,
    claimedHeaders: distinctNames(claimedNames),
    table: buildRouteTable(routes),
    surroundings: { isTrusted: trustOf(config), placeOf },
  };
}

function distinctNames(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

function identityNames(config: Config): string[] {
  return config.routes.flatMap((route) => Object.keys(route.identityHeaders));
}

function assertionNames({ routes }: Config): string[] {
  return routes.flatMap(({ assertion }) => (assertion === undefined ? [] : [assertion.header]));
}

/**
 * Headers that cases expect policies to set. A policy that sets one in some branches only must
 * not let a client's own through in the others.
 */
function expectedHeaderNames({ policies }: PolicySet): string[] {
  return [...policies.values()].flatMap(({ cases }) =>
    cases.flatMap(({ expect }) =>
      typeof expect === "string" ? [] : Object.keys(expect.allow.headers),
    ),
  );
}

function trustOf(config: Config): (peer: string) => boolean {
  const ranges = config.trustedProxies.filter((entry) => entry !== "unix");
  const trustsUnix = ranges.length < config.trustedProxies.length;
  if (ranges.length === 0) return (peer) => trustsUnix && peer === "unix";
  const inRange = createRangeMatcher(ranges);
  return (peer) => (peer === "unix" ? trustsUnix : inRange(peer));
}
