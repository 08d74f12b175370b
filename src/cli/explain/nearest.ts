/**
 * Why a request came to its route, and which other one was nearest. The gate's own matching is
 * asked about one route at a time.
 *
 * @module
 */
import type { RouteConfig } from "../../config/resolved.ts";
import { buildRouteTable, matchRoute } from "../../gate/match.ts";

type Asked = { readonly host: string; readonly path: string; readonly method: string };
type Difference = "none" | "method" | "path" | "host";

/** Of those with another host or path, the one that shares most of the path is nearest. */
const NEARNESS: Readonly<Record<Difference, number>> = { none: 2, method: 1, path: 0, host: 0 };

/** @returns `any host, /orders/*, GET and POST`. */
export function patternOf({ match: { host, path, methods } }: RouteConfig): string {
  const of = methods === undefined ? "every method" : methods.join(", ");
  return `${host ?? "any host"}, ${path}, ${of}`;
}

/** @returns The one that differs least, with how; `undefined` where there is no other. */
export function nearestRoute(
  routes: readonly RouteConfig[],
  chosen: RouteConfig | undefined,
  asked: Asked,
): { readonly route: RouteConfig; readonly why: string } | undefined {
  let nearest: { route: RouteConfig; difference: Difference; shared: number } | undefined;
  for (const route of routes) {
    if (route === chosen) continue;
    const difference = differenceOf(route, asked);
    const shared = sharedLength(route.match.path, asked.path);
    const rank = NEARNESS[difference] - (nearest ? NEARNESS[nearest.difference] : -1);
    if (rank > 0 || (rank === 0 && shared > (nearest?.shared ?? 0))) {
      nearest = { route, difference, shared };
    }
  }
  if (nearest === undefined) return undefined;
  const { route, difference } = nearest;
  // None was chosen though one matches: the path can be read in more than one way.
  const isRefused = chosen === undefined && difference === "none";
  return { route, why: isRefused ? "matches, but only in one reading" : WORDS[difference] };
}

const WORDS: Readonly<Record<Difference, string>> = {
  none: "matches, too, but is less specific",
  method: "does not take this method",
  path: "does not match the path",
  host: "does not match the host",
};

function differenceOf(route: RouteConfig, asked: Asked): Difference {
  const code = matchCode(route, asked);
  if (code === "ok") return "none";
  if (code === "method_not_allowed") return "method";
  const { host: _, ...match } = route.match;
  return matchCode({ ...route, match }, asked) === "route_not_found" ? "path" : "host";
}

function matchCode(config: RouteConfig, { host, path, method }: Asked): string {
  const matched = matchRoute(buildRouteTable([{ config }]), host, path, method);
  return matched.ok ? "ok" : matched.error.code;
}

function sharedLength(a: string, b: string): number {
  let at = 0;
  while (at < a.length && a[at] === b[at]) at += 1;
  return at;
}
