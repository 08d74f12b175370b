/**
 * `routes`: what is served, to whom, and where it goes.
 *
 * @module
 */
import { suggest } from "../lib/suggest.ts";
import { readDurationMs } from "./quantity.ts";
import {
  isCredentialHeader,
  isHeaderName,
  lookAlike,
  readIdentityHeaders,
  readRequestHeaders,
  readResponseHeaders,
} from "./read-headers.ts";
import { readRateLimit } from "./read-limits.ts";
import { readMatch, readPrefixes, refuseAlike } from "./read-match.ts";
import { readPolicies } from "./read-policies.ts";
import { readStreams } from "./read-streams.ts";
import { readUpstreams } from "./read-upstreams.ts";
import type { Reading } from "./report.ts";
import type { CredentialPlace, IssuerConfig, RouteConfig, YamlPath } from "./resolved.ts";
import type { FileContent, RouteContent } from "./schema.ts";

const NAME_LIMIT = 128;
/** The gate's own cookies (design, section 8). */
const GATE_COOKIES: ReadonlySet<string> = new Set(["claimgate", "__Host-claimgate"]);

export function readRoutes(
  content: FileContent,
  issuers: readonly IssuerConfig[],
  reading: Reading,
): readonly RouteConfig[] {
  const allowPlainHttp = content.allowPlainHttp === true;
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
    routes.push({
      name,
      match,
      upstreams: readUpstreams(written.upstream, path, reading, { allowPlainHttp }),
      ...readPrefixes(written, match, path, reading),
      issuers: readIssuerNames(written, issuers, path, reading),
      credentials: readCredentials(written.credentials, path, reading),
      policies: readPolicies(written.policies ?? [], [...path, "policies"], reading),
      anyAuthenticated: written.anyAuthenticated ?? false,
      public: written.public ?? false,
      identityHeaders: readIdentityHeaders(written, path, reading),
      forwardToken: written.forwardToken ?? false,
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
  const guards = ["policies", "anyAuthenticated"] as const;
  if (content.public === true) {
    for (const key of guards) {
      const isGuard = key === "policies" ? source.has([...path, key]) : anyAuthenticated === true;
      if (!isGuard) continue;
      report.atKey([...path, key], {
        code: "route_public_guarded",
        message: `public: true looks at no credential, so ${key} would never be asked`,
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
  const areComplete = !isBroken(issuers, source.value);
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

/** Whether there are entries in `issuers` that could not be read. */
function isBroken(issuers: readonly IssuerConfig[], file: unknown): boolean {
  const written = (file as { issuers?: unknown } | null)?.issuers;
  if (written === undefined) return false;
  return !Array.isArray(written) || written.length !== issuers.length;
}

function readCredentials(
  written: RouteContent["credentials"],
  path: YamlPath,
  reading: Reading,
): readonly CredentialPlace[] {
  const { report } = reading;
  const at = [...path, "credentials"];
  if (written === undefined) return [{ kind: "authorization" }];
  if (written.length === 0) {
    const fix = "write [header], or remove it";
    report.at(at, { code: "list_empty", message: "credentials is empty", fix });
  }
  const places: CredentialPlace[] = [];
  for (const [index, entry] of written.entries()) {
    if (entry === undefined) continue;
    const place = readCredential(entry, [...at, index], reading);
    if (place === undefined) continue;
    if (places.some((other) => isSamePlace(other, place))) {
      const fix = "remove one of the two";
      report.at([...at, index], { code: "credential_duplicate", message: "listed twice", fix });
    } else places.push(place);
  }
  return places;
}

type CredentialContent = NonNullable<NonNullable<RouteContent["credentials"]>[number]>;

function readCredential(
  entry: CredentialContent,
  at: YamlPath,
  { report, source }: Reading,
): CredentialPlace | undefined {
  const refuse = (code: string, message: string, fix: string): undefined => {
    report.at(at, { code, message, fix });
  };
  if (typeof entry === "string") {
    if (entry === "header") return { kind: "authorization" };
    return entry === "session"
      ? refuse("key_not_supported", "session is not supported by this version yet", "remove it")
      : refuse("value_invalid", "not a place for a credential", PLACES);
  }
  const kinds = (["header", "cookie", "query"] as const).filter((kind) =>
    source.has([...at, kind]),
  );
  const [kind, second] = kinds;
  if (second !== undefined) {
    return refuse("value_invalid", "one entry names several places", "begin each with its own -");
  }
  // An entry with nothing but unknown keys has been reported at those.
  if (kind === undefined) {
    return isEmpty(entry, source.value, at)
      ? refuse("value_invalid", "an empty entry", PLACES)
      : undefined;
  }
  const name = entry[kind];
  if (name === undefined) return undefined;
  if (kind === "header" && lookAlike(name) === "authorization") {
    return refuse(
      "header_forbidden",
      "Authorization is what the plain word stands for",
      "write header",
    );
  }
  const fits =
    kind === "query"
      ? name !== "" && name.length <= 128 && !/\s|\p{Cc}/u.test(name)
      : isHeaderName(name) &&
        (kind === "header" ? isCredentialHeader(name) : !GATE_COOKIES.has(name));
  return fits
    ? { kind, name }
    : refuse(
        "credential_name_invalid",
        `a credential is not taken from this ${kind}`,
        "choose another name",
      );
}

const PLACES = "write header, { header: NAME }, { cookie: NAME } or { query: NAME }";

function isEmpty(entry: object, file: unknown, at: YamlPath): boolean {
  if (Object.keys(entry).length > 0) return false;
  const written = at.reduce<unknown>(
    (value, key) => (value as Record<string | number, unknown>)[key],
    file,
  );
  return typeof written === "object" && written !== null && Object.keys(written).length === 0;
}

function isSamePlace(left: CredentialPlace, right: CredentialPlace): boolean {
  if (left.kind === "authorization" || right.kind === "authorization")
    return left.kind === right.kind;
  const fold = left.kind === "header" ? lookAlike : (name: string) => name;
  return left.kind === right.kind && fold(left.name) === fold(right.name);
}
