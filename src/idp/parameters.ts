/**
 * Reads OAuth parameters against a TypeBox schema: bounded, and none twice.
 *
 * @module
 */
import { type Static, type TObject, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { err, ok, type Result } from "../result.ts";
import { type OAuthError, oauthError } from "./oauth-error.ts";

/** A parameter with at least one character and at most as many as given. */
export const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });

/** Space-delimited scope tokens (RFC 6749 §3.3). */
export const Scope = Type.String({
  pattern: "^[!#-\\[\\]-~]+( [!#-\\[\\]-~]+)*$",
  maxLength: 1_024,
});

/** Absolute URIs without fragment (RFC 8707 §2); the only parameter that may come more than once. */
export const Resources = Type.Array(text(1_024), { maxItems: 10 });

/** What a schema of parameters reads to. */
export type Parameters<T extends TObject> = Static<T>;

/**
 * Picks what the schema names and ignores the rest (RFC 6749 §3.1). A parameter without a value
 * counts as absent, one given twice is refused, but for those the schema has as arrays.
 *
 * @returns The parameters, or `invalid_request` with the name of the one that does not fit.
 */
export function readParameters<T extends TObject>(
  schema: T,
  sent: URLSearchParams,
): Result<Parameters<T>, OAuthError> {
  const picked: Record<string, string | string[]> = {};
  for (const [name, member] of Object.entries<TSchema>(schema.properties)) {
    const values = sent.getAll(name).filter((value) => value !== "");
    const [first, ...others] = values;
    if (first === undefined) continue;
    const isList = member.type === "array";
    if (others.length > 0 && !isList) {
      return err(oauthError("invalid_request", `${name} is given more than once`));
    }
    picked[name] = isList ? values : first;
  }
  if (Value.Check(schema, picked)) return ok(picked);
  const [, name] = Value.Errors(schema, picked).First()?.path.split("/") ?? [];
  const problem = name !== undefined && name in picked ? "does not fit" : "is missing";
  return err(oauthError("invalid_request", `${name} ${problem}`));
}

/**
 * Reads a form; Bun's own bound on bodies has been applied by then.
 *
 * @returns `invalid_request` for any other kind of body.
 */
export async function readForm(request: Request): Promise<Result<URLSearchParams, OAuthError>> {
  const [type] = (request.headers.get("content-type") ?? "").split(";");
  if (type?.trim().toLowerCase() !== "application/x-www-form-urlencoded") {
    const description = "the body must be application/x-www-form-urlencoded";
    return err(oauthError("invalid_request", description));
  }
  return ok(new URLSearchParams(await request.text()));
}

/**
 * The audience a client asks for: `resource` (RFC 8707), or `audience` as several providers name it.
 *
 * @returns Empty when it asks for none; `invalid_target` for a resource that is no absolute URI.
 */
export function readAudience(asked: {
  readonly audience?: string;
  readonly resource?: readonly string[];
}): Result<readonly string[], OAuthError> {
  const { audience, resource = [] } = asked;
  if (!resource.every((uri) => URL.canParse(uri) && !uri.includes("#"))) {
    return err(oauthError("invalid_target", "resource must be an absolute URI without fragment"));
  }
  return ok([...new Set(audience === undefined ? resource : [...resource, audience])]);
}
