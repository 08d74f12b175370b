/**
 * `credentials` of a route: where its token or session is looked for.
 *
 * @module
 */
import { isCredentialHeader, isHeaderName, lookAlike } from "./read-headers.ts";
import type { Reading } from "./report.ts";
import type { CredentialPlace, YamlPath } from "./resolved.ts";
import type { RouteContent } from "./schema.ts";

/** The gate's own cookies (design, section 8). */
const GATE_COOKIES: ReadonlySet<string> = new Set(["claimgate", "__Host-claimgate"]);

/**
 * @param path The route's.
 * @param login Whether people sign in here; `undefined` where that could not be read.
 */
export function readCredentials(
  written: RouteContent["credentials"],
  path: YamlPath,
  login: "login" | "none" | undefined,
  reading: Reading,
): readonly CredentialPlace[] {
  const { report, source } = reading;
  const at = [...path, "credentials"];
  if (written === undefined) {
    const header: CredentialPlace = { kind: "authorization" };
    return login === "login" && !source.has(at) ? [header, { kind: "session" }] : [header];
  }
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
  checkSession(places, path, login, reading);
  return places;
}

/** Who signs in comes back with a session: a route that does not look at it would send them off again, without end. */
function checkSession(
  places: readonly CredentialPlace[],
  path: YamlPath,
  login: "login" | "none" | undefined,
  { report, source }: Reading,
): void {
  const at = [...path, "credentials"];
  const index = places.findIndex(({ kind }) => kind === "session");
  if (login === "login" && index < 0 && places.length > 0) {
    report.at(at, {
      code: "session_missing",
      message: "login without session: whoever has signed in would be sent to sign in again",
      fix: "add session to credentials, or remove credentials for [header, session]",
    });
  }
  if (login !== "none" || index < 0) return;
  report.at([...at, sessionIndex(source.value, at) ?? index], {
    code: "session_without_login",
    message: "nobody signs in on this route, so there is no session",
    fix: "add login: true, or remove session",
  });
}

/** Places that could not be read are not in the list, so that its indexes are not those of the file. */
function sessionIndex(file: unknown, at: YamlPath): number | undefined {
  const list = valueAt(file, at);
  const index = Array.isArray(list) ? list.indexOf("session") : -1;
  return index < 0 ? undefined : index;
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
      ? { kind: "session" }
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

const PLACES = "write header, session, { header: NAME }, { cookie: NAME } or { query: NAME }";

function isEmpty(entry: object, file: unknown, at: YamlPath): boolean {
  if (Object.keys(entry).length > 0) return false;
  const written = valueAt(file, at);
  return typeof written === "object" && written !== null && Object.keys(written).length === 0;
}

function valueAt(file: unknown, at: YamlPath): unknown {
  return at.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], file);
}

function isSamePlace(left: CredentialPlace, right: CredentialPlace): boolean {
  if (!("name" in left && "name" in right)) return left.kind === right.kind;
  const fold = left.kind === "header" ? lookAlike : (name: string) => name;
  return left.kind === right.kind && fold(left.name) === fold(right.name);
}
