/**
 * `match`: host, path and methods of a route, and which routes match alike.
 *
 * @module
 */
import { canonicalHost } from "../lib/host.ts";
import { checkPathPattern, checkPrefix } from "./path-pattern.ts";
import type { Reading } from "./report.ts";
import type { RouteConfig, YamlPath } from "./resolved.ts";
import type { RouteContent } from "./schema.ts";

type Match = RouteConfig["match"];

const METHOD = /^[A-Z][A-Z-]{0,31}$/;
/** Always answered 501, before any route is looked for. */
const UNSUPPORTED_METHODS: ReadonlySet<string> = new Set(["TRACE", "CONNECT"]);
const ALL_PATHS = "/*";

export function readMatch(
  content: RouteContent["match"],
  routePath: YamlPath,
  reading: Reading,
): Match {
  const at = [...routePath, "match"];
  const host = content?.host === undefined ? undefined : readHost(content.host, at, reading);
  const methods = content?.methods && readMethods(content.methods, at, reading);
  const path = content?.path ?? ALL_PATHS;
  const pattern = checkPathPattern(path);
  if (!pattern.ok) reading.report.at([...at, "path"], { code: "path_invalid", ...pattern.error });
  return {
    path,
    ...(host !== undefined && { host }),
    ...(methods !== undefined && { methods }),
  };
}

/** `stripPrefix` or `addPrefix`, checked against the path they are taken off or put before. */
export function readPrefixes(
  content: RouteContent,
  match: Match,
  path: YamlPath,
  { report, source }: Reading,
): Pick<RouteConfig, "stripPrefix" | "addPrefix"> {
  const { stripPrefix, addPrefix } = content;
  for (const key of ["stripPrefix", "addPrefix"] as const) {
    const prefix = content[key];
    const checked = prefix === undefined ? undefined : checkPrefix(prefix);
    if (checked?.ok === false) {
      report.at([...path, key], { code: "path_invalid", ...checked.error });
    } else if (key === "stripPrefix" && prefix !== undefined && mismatches(prefix, match.path)) {
      report.at([...path, key], {
        code: "prefix_mismatch",
        message: `stripPrefix is not the beginning of the route's path ${match.path}`,
        fix: "write the path's own beginning",
      });
    }
  }
  if (source.has([...path, "stripPrefix"]) && source.has([...path, "addPrefix"])) {
    const message = "stripPrefix and addPrefix in one route";
    report.atKey([...path, "addPrefix"], {
      code: "keys_exclusive",
      message,
      fix: "keep one of the two",
    });
  }
  return {
    ...(stripPrefix !== undefined && { stripPrefix }),
    ...(addPrefix !== undefined && { addPrefix }),
  };
}

/** Two routes for one request would leave the choice to chance. */
export function refuseAlike(routes: readonly RouteConfig[], { report, source }: Reading): void {
  const groups = new Map<string, RouteConfig[]>();
  for (const route of routes) {
    const key = `${route.match.host ?? ""} ${route.match.path}`;
    const group = groups.get(key) ?? [];
    const twin = group.find((other) => overlap(other.match.methods, route.match.methods));
    groups.set(key, [...group, route]);
    if (twin === undefined) continue;
    const { line } = source.positionOf(twin.path);
    report.at(matchPlace(route, source.has), {
      code: "route_duplicate",
      message: `matches the same requests as route ${twin.name} (line ${line})`,
      fix: "change host or path, or give the two methods that do not overlap (GET implies HEAD)",
    });
  }
}

function matchPlace({ path }: RouteConfig, has: (path: YamlPath) => boolean): YamlPath {
  const places = [
    [...path, "match", "path"],
    [...path, "match"],
  ];
  return places.find(has) ?? path;
}

function overlap(left: Match["methods"], right: Match["methods"]): boolean {
  if (left === undefined || right === undefined) return true;
  const theirs = withHead(right);
  return [...withHead(left)].some((method) => theirs.has(method));
}

function withHead(methods: readonly string[]): ReadonlySet<string> {
  return new Set(methods.includes("GET") ? [...methods, "HEAD"] : methods);
}

/** A path that is itself wrong has been reported. */
function mismatches(prefix: string, path: string): boolean {
  const fixed = path.endsWith("/*") ? path.slice(0, -2) : path;
  return checkPathPattern(path).ok && fixed !== prefix && !fixed.startsWith(`${prefix}/`);
}

function readHost(text: string, path: YamlPath, { report }: Reading): string | undefined {
  const rest = text.startsWith("*.") ? text.slice(2) : text;
  const host = canonicalHost(rest);
  if (host !== undefined) return rest === text ? host : `*.${host}`;
  report.at([...path, "host"], {
    code: "host_invalid",
    message: rest.includes("*") ? "* stands only for the first label" : "not a host name",
    fix:
      text === "*"
        ? "leave host out for any host"
        : "write api.acme.dev, *.acme.dev, or an internationalised name in its xn-- form",
  });
  return undefined;
}

function readMethods(
  written: readonly (string | undefined)[],
  path: YamlPath,
  { report }: Reading,
): readonly string[] {
  const at = [...path, "methods"];
  if (written.length === 0) {
    const fix = "name at least one, or remove the key for all of them";
    report.at(at, { code: "list_empty", message: "methods is empty", fix });
  }
  const found = new Set<string>();
  for (const [index, text] of written.entries()) {
    if (text === undefined) continue;
    const method = text.toUpperCase();
    if (METHOD.test(method) && !UNSUPPORTED_METHODS.has(method)) {
      found.add(method);
      continue;
    }
    report.at([...at, index], {
      code: "method_invalid",
      message: UNSUPPORTED_METHODS.has(method)
        ? `${method} is never forwarded`
        : "not an HTTP method",
      fix: "write GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS",
    });
  }
  return [...found];
}
