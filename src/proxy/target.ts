/**
 * The request target for the upstream: the path that was decided on, but for the route's
 * prefixes, and the query without the credential. Pure.
 *
 * @module
 */
import type { RouteConfig } from "../config/resolved.ts";
import { withoutParameters } from "./credential.ts";
import type { HeaderPlan } from "./headers.ts";

/**
 * @param path Canonical, from `readPath`.
 * @param query With its question mark, or empty.
 */
export function upstreamTarget(
  route: Pick<RouteConfig, "stripPrefix" | "addPrefix">,
  plan: Pick<HeaderPlan, "parameters">,
  path: string,
  query: string,
): string {
  const stripped = route.stripPrefix === undefined ? path : stripPrefix(path, route.stripPrefix);
  const prefix = route.addPrefix === undefined ? "" : withoutTrailingSlash(route.addPrefix);
  return prefix + stripped + withoutParameters(query, plan.parameters);
}

/** Whole segments only: `/orders` is no prefix of `/orders-old`. */
function stripPrefix(path: string, written: string): string {
  const prefix = withoutTrailingSlash(written);
  if (path === prefix) return "/";
  return path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
}

function withoutTrailingSlash(prefix: string): string {
  return prefix.endsWith("/") ? prefix.slice(0, -1) : prefix;
}
