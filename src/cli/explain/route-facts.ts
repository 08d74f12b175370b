/**
 * Which route it was, where it stands, and why it was that one.
 *
 * @module
 */
import type { Config, RouteConfig } from "../../config/resolved.ts";
import type { Explanation } from "./explanation.ts";
import { nearestRoute, patternOf } from "./nearest.ts";

type RouteFacts = {
  readonly route: Explanation["route"];
  /** Of the check. */
  readonly detail: string;
  readonly notes: readonly string[];
};

/** @param asked Absent for a request that could not be read. */
export function routeFacts(
  config: Pick<Config, "routes" | "positionOf">,
  file: string,
  route: RouteConfig | undefined,
  asked: { readonly host: string; readonly path: string; readonly method: string } | undefined,
): RouteFacts {
  const lineOf = (one: RouteConfig) => config.positionOf(one.path).line;
  const nearest = asked && nearestRoute(config.routes, route, asked);
  const notes =
    nearest === undefined
      ? []
      : [
          `nearest other: ${nearest.route.name} (${file}:${lineOf(nearest.route)}: ${patternOf(nearest.route)}) ${nearest.why}`,
        ];
  if (route === undefined) return { route: null, detail: "", notes };
  const place = { name: route.name, file, line: lineOf(route) };
  return { route: place, detail: `${route.name}: ${patternOf(route)}`, notes };
}
