/**
 * From a token's own members to the claims that policies and headers see.
 *
 * @module
 */
import type { Claims } from "../types.ts";
import { isObject, type JsonObject, own } from "./strict-json.ts";

/** Names that are lists of strings for policies, whatever the issuer writes. */
const LISTS: readonly string[] = ["roles", "groups", "scopes"];

/** Members whose string is a list with spaces: RFC 8693 §4.2, and Microsoft's and Okta's. */
const SPACED: ReadonlySet<string> = new Set(["scope", "scp"]);

/**
 * @param mapping Our name: where it is, the exact member first, then the dotted path. A mapped
 *   name replaces what the token has under it; if its source is absent, so is the name.
 * @returns Claims frozen deeply. `roles`, `groups` and `scopes` are lists of strings: what is
 *   neither a string nor a list of strings is dropped. `scopes` not mapped and not in the token
 *   come from `scope` and `scp`.
 */
export function mapClaims(payload: JsonObject, mapping: Readonly<Record<string, string>>): Claims {
  const claims = new Map(Object.entries(payload));
  const scopes = standardScopes(payload);
  if (scopes !== undefined) claims.set("scopes", scopes);
  for (const [name, source] of Object.entries(mapping)) {
    const value = find(payload, source);
    if (value === undefined) claims.delete(name);
    else claims.set(name, SPACED.has(source) && LISTS.includes(name) ? splitSpaces(value) : value);
  }
  for (const name of LISTS) {
    if (!claims.has(name)) continue;
    const list = toList(claims.get(name));
    if (list === undefined) claims.delete(name);
    else claims.set(name, list);
  }
  // fromEntries defines members, so that a `__proto__` among them stays data.
  return freezeDeeply(Object.fromEntries(claims));
}

function standardScopes(payload: JsonObject): readonly string[] | undefined {
  const sources = ["scope", "scp", "scopes"].filter((name) => Object.hasOwn(payload, name));
  if (sources.length === 0) return undefined;
  const all = sources.flatMap((name) => {
    const value = own(payload, name);
    return toList(SPACED.has(name) ? splitSpaces(value) : value) ?? [];
  });
  return [...new Set(all)];
}

function splitSpaces(value: unknown): unknown {
  return typeof value === "string" ? value.split(" ").filter((part) => part !== "") : value;
}

function toList(value: unknown): readonly string[] | undefined {
  if (typeof value === "string") return [value];
  if (!Array.isArray(value)) return undefined;
  return value.every((item) => typeof item === "string") ? value : undefined;
}

function find(payload: JsonObject, source: string): unknown {
  if (Object.hasOwn(payload, source)) return payload[source];
  let value: unknown = payload;
  for (const name of source.split(".")) value = isObject(value) ? own(value, name) : undefined;
  return value;
}

/** The depth is bounded where the text was read. */
function freezeDeeply<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const member of Object.values(value)) freezeDeeply(member);
  return Object.freeze(value);
}
