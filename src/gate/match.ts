/**
 * From host, path and method to the one route that answers for them. The order in
 * which routes are written never matters: the most specific host wins, then the
 * most specific path. Pure.
 *
 * @module
 */
import type { RouteConfig } from "../config/resolved.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial } from "../types.ts";

/** Anything that carries a route's configuration; `assemble` adds what serves it. */
type Matchable = { readonly config: RouteConfig };

/** The routes of one host pattern. A path's routes differ in their methods. */
type HostTable<R> = {
  readonly exact: Map<string, R[]>;
  /** By the prefix before `/*`: "" for `/*` itself. */
  readonly prefixes: Map<string, R[]>;
  longestPrefix: number;
};

export type RouteTable<R extends Matchable> = {
  readonly hosts: ReadonlyMap<string, HostTable<R>>;
  /** By the part after `*.`. */
  readonly wildcards: ReadonlyMap<string, HostTable<R>>;
  readonly anyHost: HostTable<R> | undefined;
};

/** @param routes Already checked: no two match alike (config/load). */
export function buildRouteTable<R extends Matchable>(routes: readonly R[]): RouteTable<R> {
  const hosts = new Map<string, HostTable<R>>();
  const wildcards = new Map<string, HostTable<R>>();
  const anyHost = emptyTable<R>();
  for (const route of routes) {
    const { host, path } = route.config.match;
    if (host === undefined) addRoute(anyHost, path, route);
    else if (host.startsWith("*.")) addRoute(tableOf(wildcards, host.slice(2)), path, route);
    else addRoute(tableOf(hosts, host), path, route);
  }
  return { hosts, wildcards, anyHost };
}

/**
 * @param host Canonical: lower case, no port, no trailing dot.
 * @param path Canonical.
 * @returns The route, or 404 `route_not_found`, or 405 `method_not_allowed` with
 *   the methods that this host and path have; never a less specific route instead.
 */
export function matchRoute<R extends Matchable>(
  table: RouteTable<R>,
  host: string,
  path: string,
  method: string,
): Result<R, Denial> {
  const routes = findRoutes(table, host, path);
  if (routes === undefined) return err({ status: 404, code: "route_not_found" });
  for (const route of routes) if (allowsMethod(route.config, method)) return ok(route);
  return err({ status: 405, code: "method_not_allowed", allow: allowedMethods(routes) });
}

function findRoutes<R extends Matchable>(table: RouteTable<R>, host: string, path: string) {
  const exact = table.hosts.get(host);
  const atExact = exact && findPath(exact, path);
  if (atExact !== undefined) return atExact;

  // A wildcard stands for exactly one label, so only the first one is cut off.
  const wildcard = table.wildcards.get(host.slice(host.indexOf(".") + 1));
  const atWildcard = wildcard && host.indexOf(".") > 0 ? findPath(wildcard, path) : undefined;
  if (atWildcard !== undefined) return atWildcard;

  return table.anyHost && findPath(table.anyHost, path);
}

function findPath<R>(table: HostTable<R>, path: string): R[] | undefined {
  const exact = table.exact.get(path);
  if (exact !== undefined) return exact;
  // Longest prefix first. No look-up is longer than the longest prefix in the table,
  // so a long path costs no more than a short one.
  let end = path.length;
  if (end > table.longestPrefix) {
    end =
      path.charCodeAt(table.longestPrefix) === SLASH
        ? table.longestPrefix
        : path.lastIndexOf("/", table.longestPrefix);
  }
  while (end >= 0) {
    const found = table.prefixes.get(path.slice(0, end));
    if (found !== undefined) return found;
    end = end === 0 ? -1 : path.lastIndexOf("/", end - 1);
  }
  return undefined;
}

const SLASH = 47;

function allowsMethod(config: RouteConfig, method: string): boolean {
  const methods = config.match.methods;
  if (methods === undefined) return true;
  return methods.includes(method) || (method === "HEAD" && methods.includes("GET"));
}

function allowedMethods(routes: readonly Matchable[]): string[] {
  const methods = new Set(routes.flatMap((route) => route.config.match.methods ?? []));
  if (methods.has("GET")) methods.add("HEAD");
  return [...methods].sort();
}

function emptyTable<R>(): HostTable<R> {
  return { exact: new Map(), prefixes: new Map(), longestPrefix: 0 };
}

function tableOf<R>(tables: Map<string, HostTable<R>>, host: string): HostTable<R> {
  const table = tables.get(host) ?? emptyTable<R>();
  tables.set(host, table);
  return table;
}

function addRoute<R>(table: HostTable<R>, pattern: string, route: R): void {
  const isPrefix = pattern.endsWith("/*");
  const key = isPrefix ? pattern.slice(0, -2) : pattern;
  if (isPrefix) table.longestPrefix = Math.max(table.longestPrefix, key.length);
  const group = isPrefix ? table.prefixes : table.exact;
  const routes = group.get(key);
  if (routes === undefined) group.set(key, [route]);
  else routes.push(route);
}
