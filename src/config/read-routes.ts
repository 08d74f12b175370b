/**
 * `routes`: what is served, to whom, and where it goes.
 *
 * @module
 */
import { suggest } from "../lib/suggest.ts";
import { readDurationMs } from "./quantity.ts";
import { readAssertion } from "./read-assertion.ts";
import { readCredentials } from "./read-credentials.ts";
import { readIdentityHeaders, readRequestHeaders, readResponseHeaders } from "./read-headers.ts";
import { hasBrokenIssuers } from "./read-issuers.ts";
import { readRateLimit } from "./read-limits.ts";
import { readMatch, readPrefixes, refuseAlike } from "./read-match.ts";
import { readPolicies } from "./read-policies.ts";
import { checkReachable, readRouteLogin } from "./read-route-login.ts";
import { readStreams } from "./read-streams.ts";
import { readUpstreams } from "./read-upstreams.ts";
import type { Reading } from "./report.ts";
import type { IssuerConfig, RouteConfig, YamlPath } from "./resolved.ts";
import type { FileContent, RouteContent } from "./schema.ts";

const NAME_LIMIT = 128;

export function readRoutes(
  content: FileContent,
  issuers: readonly IssuerConfig[],
  reading: Reading,
): readonly RouteConfig[] {
  const allowPlainHttp = content.allowPlainHttp === true;
  const proxies = content.trustedProxies;
  const isAskedAbout =
    proxies === undefined ? reading.source.has(["trustedProxies"]) : proxies.length > 0;
  const taken = new Map<string, YamlPath>();
  const routes: RouteConfig[] = [];
  for (const [index, written] of (content.routes ?? []).entries()) {
    if (written === undefined) continue;
    const path: YamlPath = ["routes", index];
    const match = readMatch(written.match, path, reading);
    const name = written.name ?? freeName(match, taken);
    checkName(written.name, path, taken, reading);
    taken.set(name, path);
    const rateLimit = readRateLimit(written, path, reading);
    const names = readIssuerNames(written, issuers, path, reading);
    const trusted = issuers.filter((issuer) => names.includes(issuer.name));
    const login = readRouteLogin(written, { trusted, issuers }, path, reading);
    const assertion = readAssertion(written, path, reading);
    routes.push({
      name,
      match,
      upstreams: readUpstreams(written.upstream, path, reading, { allowPlainHttp, isAskedAbout }),
      ...readPrefixes(written, match, path, reading),
      issuers: names,
      ...(typeof login === "object" && { login }),
      crossSite: written.crossSite ?? "refuse",
      credentials: readCredentials(
        written.credentials,
        path,
        typeof login === "object" ? "login" : login,
        reading,
      ),
      policies: readPolicies(written.policies ?? [], [...path, "policies"], reading),
      anyAuthenticated: written.anyAuthenticated ?? false,
      public: written.public ?? false,
      identityHeaders: readIdentityHeaders(written, path, reading),
      forwardToken: written.forwardToken ?? false,
      ...(assertion !== undefined && { assertion }),
      requestHeaders: readRequestHeaders(written, path, reading),
      responseHeaders: readResponseHeaders(written, path, reading),
      preserveHost: written.preserveHost ?? false,
      timeoutMs: readDurationMs(
        written.timeout,
        "30s",
        { from: "1ms", to: "1h" },
        [...path, "timeout"],
        reading.report,
      ),
      ambiguousPaths: written.ambiguousPaths ?? "refuse",
      ...(rateLimit !== undefined && { rateLimit }),
      streams: readStreams(written, path, reading),
      path,
    });
    checkGuard(written, path, reading);
    if (login === "none") checkReachable(trusted, path, reading);
  }
  refuseAlike(routes, reading);
  return routes;
}

/** Host and path; methods and a number only where others are called so already. */
function freeName(
  { host = "", path, methods }: RouteConfig["match"],
  taken: ReadonlyMap<string, YamlPath>,
): string {
  const plain = `${host}${path}`;
  if (!taken.has(plain)) return plain;
  const name = methods === undefined ? plain : `${methods.join(",")} ${plain}`;
  let free = name;
  for (let number = 2; taken.has(free); number++) free = `${name} ${number}`;
  return free;
}

function checkName(
  name: string | undefined,
  path: YamlPath,
  taken: ReadonlyMap<string, YamlPath>,
  { report, source }: Reading,
): void {
  if (name === undefined) return;
  const at = [...path, "name"];
  if (name.trim() === "" || name.length > NAME_LIMIT || /\p{Cc}/u.test(name)) {
    const message = `a route's name has up to ${NAME_LIMIT} characters on one line`;
    report.at(at, { code: "name_invalid", message, fix: "choose a short name, or remove it" });
  }
  const other = taken.get(name);
  if (other === undefined) return;
  const message = `another route is called ${name} (line ${source.positionOf(other).line})`;
  report.at(at, { code: "name_duplicate", message, fix: "choose another name" });
}

/** Nothing passes unless a rule lets it: a route says who, and says it once. */
function checkGuard(content: RouteContent, path: YamlPath, { report, source }: Reading): void {
  const { policies, anyAuthenticated } = content;
  if (content.public === true) {
    const guards = {
      policies: source.has([...path, "policies"]),
      anyAuthenticated: anyAuthenticated === true,
      login: content.login !== undefined && content.login !== false,
      assertion: source.has([...path, "assertion"]),
    };
    for (const [key, isWritten] of Object.entries(guards)) {
      if (!isWritten) continue;
      const consequence =
        key === "assertion" ? "there is nobody to speak of" : `${key} would never be asked`;
      report.atKey([...path, key], {
        code: "route_public_guarded",
        message: `public: true looks at no credential, so ${consequence}`,
        fix: `remove public or ${key}`,
      });
    }
    return;
  }
  if (policies?.length === 0) {
    report.at([...path, "policies"], {
      code: "list_empty",
      message: "policies is empty",
      fix: "name at least one policy, or remove it and write anyAuthenticated: true or public: true",
    });
    return;
  }
  // What was written and did not fit has been reported; saying more would send the reader astray.
  const isUnreadable = (key: string, value: unknown) =>
    value === undefined && source.has([...path, key]);
  if (anyAuthenticated === true || isUnreadable("anyAuthenticated", anyAuthenticated)) return;
  if (isUnreadable("public", content.public)) return;
  if (policies === undefined) {
    if (source.has([...path, "policies"])) return;
    report.at(path, {
      code: "route_unguarded",
      message: "nothing says who may use this route",
      fix: "add policies, or anyAuthenticated: true for every verified token, or public: true for everyone",
    });
  } else if (policies.every(isShadow)) {
    report.at([...path, "policies"], {
      code: "route_unguarded",
      message: "only shadow policies: nothing is enforced on this route",
      fix: "add a policy outside shadow, or anyAuthenticated: true",
    });
  }
}

function isShadow(entry: unknown): boolean {
  return typeof entry === "object" && entry !== null && Object.keys(entry)[0] === "shadow";
}

function readIssuerNames(
  content: RouteContent,
  issuers: readonly IssuerConfig[],
  path: YamlPath,
  { report, source }: Reading,
): readonly string[] {
  const at = [...path, "issuers"];
  const names = issuers.map(({ name }) => name);
  // A broken entry of `issuers` is reported where it stands, not at each route.
  const areComplete = !hasBrokenIssuers(issuers, source.value);
  const { issuers: written } = content;
  if (written === undefined) {
    const [only, second] = names;
    if (content.public === true || source.has(at) || !areComplete) return [];
    if (only === undefined) {
      const fix = "add an entry to issuers, or make the route public";
      report.at(path, { code: "issuer_missing", message: "no issuer is configured", fix });
    } else if (second !== undefined) {
      report.at(path, {
        code: "issuer_missing",
        message: "several issuers are configured and the route does not say whose tokens pass",
        fix: `add issuers: [${names.join(", ")}], or some of them`,
      });
    }
    return names.slice(0, 1);
  }
  if (written.length === 0 && content.public !== true) {
    const fix = "name at least one issuer";
    report.at(at, { code: "list_empty", message: "issuers is empty", fix });
  }
  const found: IssuerConfig[] = [];
  for (const [index, name] of written.entries()) {
    if (name === undefined) continue;
    const issuer = issuers.find((one) => one.name === name);
    if (issuer === undefined) {
      if (!areComplete) continue;
      const meant = suggest(name, names);
      report.at([...at, index], {
        code: "issuer_unknown",
        message: `no issuer is called ${name.slice(0, 64)}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
        fix:
          meant === undefined
            ? `use one of: ${names.join(", ") || "(none is configured)"}`
            : `write ${meant}`,
      });
      continue;
    }
    const twin = found.find((one) => one.issuer === issuer.issuer);
    if (twin !== undefined) {
      const isRepeat = twin.name === issuer.name;
      report.at([...at, index], {
        code: isRepeat ? "name_duplicate" : "issuer_ambiguous",
        message: isRepeat
          ? `${name} is listed twice`
          : `${name} and ${twin.name} have the same iss: a token does not say which of them it is from`,
        fix: "keep one of the two",
      });
    }
    found.push(issuer);
  }
  return [...new Set(found.map(({ name }) => name))];
}
