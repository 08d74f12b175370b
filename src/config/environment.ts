/**
 * `${NAME}`, `${NAME:-default}` and `$$` in a text. Pure.
 *
 * @module
 */
import { err, ok, type Result } from "../result.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

type Substitution = {
  readonly text: string;
  /** The variables that were read, in order; empty when nothing was replaced. */
  readonly names: readonly string[];
};

export type SubstitutionError =
  | { readonly reason: "unset"; readonly name: string }
  | { readonly reason: "malformed" };

/** A dollar pair, a whole reference, or the beginning of a broken one. */
const REFERENCE = /\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-((?:(?!\$\{)[^}])*))?\}|\$\{/g;

/**
 * Replaces references once: what a variable holds is never looked at again. A default stands
 * in for a variable that is unset or empty, as in a shell; a dollar before anything but `{` or
 * `$` stays.
 *
 * @returns The text, or why not: a variable that is unset and has no default, or `${` that
 *   begins no reference.
 */
export function substitute(
  text: string,
  environment: Environment,
): Result<Substitution, SubstitutionError> {
  const names: string[] = [];
  let error: SubstitutionError | undefined;
  const replaced = text.replace(REFERENCE, (found, name?: string, preset?: string) => {
    if (found === "$$") return "$";
    if (name === undefined) {
      error ??= { reason: "malformed" };
      return found;
    }
    names.push(name);
    // Only own members: `${constructor}` is a variable like any other.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (preset !== undefined) return value === undefined || value === "" ? preset : value;
    if (value === undefined) error ??= { reason: "unset", name };
    return value ?? "";
  });
  return error === undefined ? ok({ text: replaced, names }) : err(error);
}
