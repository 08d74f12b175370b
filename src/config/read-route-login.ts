/**
 * `login` of a route: whether its browsers are sent to sign in, and with whom.
 *
 * @module
 */
import { suggest } from "../lib/suggest.ts";
import { hasBrokenIssuers } from "./read-issuers.ts";
import type { Reading } from "./report.ts";
import type { IssuerConfig, RouteConfig, YamlPath } from "./resolved.ts";
import type { RouteContent } from "./schema.ts";

type Around = {
  /** Those whose credentials pass on this route. */
  readonly trusted: readonly IssuerConfig[];
  /** All that could be read. */
  readonly issuers: readonly IssuerConfig[];
};

/**
 * @param path The route's.
 * @returns `none` for a route where nobody signs in; `undefined` where that could not be read,
 *   which has been reported.
 */
export function readRouteLogin(
  content: RouteContent,
  { trusted, issuers }: Around,
  path: YamlPath,
  reading: Reading,
): NonNullable<RouteConfig["login"]> | "none" | undefined {
  const { report, source } = reading;
  const at = [...path, "login"];
  const written = switchOf(content.login, source.variablesOf(at));
  if (written === undefined) return source.has(at) ? undefined : "none";
  if (written === false) return "none";
  // That it is public has been reported; whatever else there is to say would not matter.
  if (content.public === true) return undefined;
  if (written === true) return readAny(trusted, at, reading);

  const issuer = issuers.find(({ name }) => name === written);
  const names = issuers.filter(({ login }) => login !== undefined).map(({ name }) => name);
  if (issuer === undefined) {
    if (hasBrokenIssuers(issuers, source.value)) return undefined;
    const meant = suggest(written, names);
    report.at(at, {
      code: "issuer_unknown",
      message: `no issuer is called ${written.slice(0, 64)}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
      fix:
        meant === undefined
          ? `write true, or one of: ${names.join(", ") || "(no issuer has login)"}`
          : `write ${meant}`,
    });
    return undefined;
  }
  if (issuer.login === undefined) {
    if (!source.has(["issuers", issuers.indexOf(issuer), "login"])) {
      report.at(at, {
        code: "login_missing",
        message: `the issuer ${issuer.name} has no login`,
        fix: `add login: { clientId: … } to ${issuer.name}${names.length === 0 ? "" : `, or write one of: ${names.join(", ")}`}`,
      });
    }
    return undefined;
  }
  if (!trusted.includes(issuer)) {
    report.at(at, {
      code: "issuer_not_trusted",
      message: `${issuer.name} is not among the route's issuers: whoever signs in there would be refused here`,
      fix: `add ${issuer.name} to issuers, or sign in elsewhere`,
    });
    return undefined;
  }
  return { issuer: issuer.name };
}

function readAny(
  trusted: readonly IssuerConfig[],
  at: YamlPath,
  { report, source }: Reading,
): NonNullable<RouteConfig["login"]> | undefined {
  const [only, second] = trusted.filter(({ login }) => login !== undefined);
  if (only !== undefined) return second === undefined ? { issuer: only.name } : {};
  // A route without issuers, or one whose login could not be read, has been reported already.
  const isReported = trusted.length === 0 || isAnyLoginUnread(source.value);
  if (!isReported) {
    const [first] = trusted;
    report.at(at, {
      code: "login_missing",
      message: "none of the route's issuers has login, so there is nowhere to sign in",
      fix: `add login: { clientId: … } to ${first?.name}, or remove login here`,
    });
  }
  return undefined;
}

/** An issuer with nothing but login has no bearer tokens; a route without login then lets nobody in. */
export function checkReachable(
  trusted: readonly IssuerConfig[],
  path: YamlPath,
  { report, source }: Reading,
): void {
  const isLoginAlone = ({ login, audiences }: IssuerConfig) =>
    login !== undefined && audiences.length === 0;
  const [first] = trusted;
  if (first === undefined || !trusted.every(isLoginAlone)) return;
  const names = trusted.map(({ name }) => name).join(", ");
  report.at(source.has([...path, "issuers"]) ? [...path, "issuers"] : path, {
    code: "route_unreachable",
    message: `${names} has nothing but login, and nobody signs in on this route: no request would ever pass`,
    fix: `add login: true here, or audiences to ${first.name}`,
  });
}

/** A variable holds text only: `login: ${LOGIN}` means the switch all the same. */
function switchOf(
  written: boolean | string | undefined,
  variables: readonly string[],
): boolean | string | undefined {
  if (variables.length === 0) return written;
  return written === "true" || written === "false" ? written === "true" : written;
}

/** Whether an issuer has a `login` that did not fit. */
function isAnyLoginUnread(file: unknown): boolean {
  const written = (file as { issuers?: unknown } | null)?.issuers;
  if (!Array.isArray(written)) return true;
  return written.some((issuer: { login?: unknown } | null) => {
    const login = issuer?.login;
    return login !== undefined && (typeof login !== "object" || login === null);
  });
}
