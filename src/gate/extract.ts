/**
 * Finds the credential in the places a route names. Pure.
 *
 * @module
 */
import type { CredentialPlace } from "../config/resolved.ts";
import { cookiesNamed } from "../lib/cookies.ts";
import { err, ok, type Result } from "../result.ts";
import type { Denial, Inquiry } from "../types.ts";

/** RFC 6750 §2.1: what may stand after `Bearer`. */
const B64TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;

const MISSING: Denial = { status: 401, code: "token_missing", reason: "credential_missing" };

/**
 * @param places Where the route looks, at least one.
 * @returns The bare token; or `token_missing`; `token_invalid` for a credential that is
 *   empty or holds other characters; 400 `request_malformed` for one given twice.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2
 */
export function extractCredential(
  inquiry: Inquiry,
  places: readonly CredentialPlace[],
): Result<string, Denial> {
  let found: string | undefined;
  for (const place of places) {
    const here = readPlace(inquiry, place);
    if (here === undefined) continue;
    if (here === TWICE || found !== undefined) return err(givenTwice());
    found = here;
  }
  if (found === undefined) return err(MISSING);
  if (!B64TOKEN.test(found)) {
    const reason = found === "" ? "credential_empty" : "credential_characters";
    return err({ status: 401, code: "token_invalid", reason });
  }
  return ok(found);
}

/**
 * The gate's own cookie, for a request without any other credential. Two of its name are two
 * credentials: one may have been put there by a neighbour domain, and nobody can tell which.
 *
 * @param cookieName As the gate names it at its public address.
 */
export function extractSession(
  { headers }: Inquiry,
  places: readonly CredentialPlace[],
  cookieName: string,
): Result<string | undefined, Denial> {
  if (!places.some(({ kind }) => kind === "session")) return ok(undefined);
  const [id, ...others] = new Set(cookiesNamed(headers.get("cookie"), cookieName));
  return others.length > 0 ? err(givenTwice()) : ok(id);
}

const TWICE = Symbol("given twice");

/** `undefined` where the place is empty, or holds another scheme's credential. */
function readPlace(inquiry: Inquiry, place: CredentialPlace): string | typeof TWICE | undefined {
  switch (place.kind) {
    case "authorization":
      return readAuthorization(inquiry.headers.get("authorization"));
    case "header":
      return readHeader(inquiry.headers.get(place.name));
    case "cookie":
      return only(cookiesNamed(inquiry.headers.get("cookie"), place.name));
    case "query":
      return only(parametersNamed(inquiry.query, place.name));
    case "session":
      return undefined; // What comes by itself is looked for only where nothing was sent on purpose.
  }
}

/** Two field lines arrive joined by ", ", which no bearer credential can hold. */
function readAuthorization(value: string | null): string | typeof TWICE | undefined {
  if (value === null) return undefined;
  const isBearer = /^bearer(?: |$)/i.test(value);
  if (isBearer ? value.includes(", ") : /, *bearer(?: |$)/i.test(value)) return TWICE;
  return isBearer ? value.slice("bearer".length).trimStart() : undefined;
}

function readHeader(value: string | null): string | typeof TWICE | undefined {
  if (value === null) return undefined;
  if (value.includes(", ")) return TWICE;
  return value.replace(/^bearer(?: +|$)/i, "");
}

function only(values: readonly string[]): string | typeof TWICE | undefined {
  return values.length > 1 ? TWICE : values[0];
}

function parametersNamed(query: string, name: string): string[] {
  return query === "" ? [] : new URLSearchParams(query).getAll(name);
}

function givenTwice(): Denial {
  return { status: 400, code: "request_malformed", reason: "credential_twice" };
}
