/**
 * Options as the configuration has them, made what a policy gets: checked, defaults filled
 * in, frozen.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import type { ValueError } from "@sinclair/typebox/errors";
import { Value } from "@sinclair/typebox/value";
import { suggest } from "../lib/suggest.ts";
import { err, ok, type Result } from "../result.ts";
import { FORMAT_HINTS } from "./formats.ts";
import { freezeDeeply } from "./freeze.ts";
import type { LoadedPolicy } from "./load.ts";
import { expectedWords, memberNames, memberSchema } from "./schema.ts";

/** One thing wrong with options. Never holds a value: an option may be a secret. */
type OptionsError = {
  readonly code: "option_unknown" | "option_invalid" | "options_unexpected";
  readonly message: string;
  readonly path: readonly (string | number)[];
  readonly fix: string;
};

const ERRORS_LIMIT = 10;
const NO_OPTIONS: Readonly<Record<string, never>> = Object.freeze({});

/** @param written `undefined` or null for a plain `- name`. */
export function resolveOptions(
  policy: LoadedPolicy,
  written: unknown,
): Result<unknown, readonly OptionsError[]> {
  const given = written ?? {};
  const { optionsSchema } = policy;
  if (optionsSchema === undefined) {
    if (isRecord(given) && Object.keys(given).length === 0) return ok(NO_OPTIONS);
    return err([
      {
        code: "options_unexpected",
        message: "takes no options",
        path: [],
        fix: "write its name only",
      },
    ]);
  }
  const unknown = unknownMembers(optionsSchema.schema, given, []);
  const options = Value.Default(optionsSchema.schema, structuredClone(given));
  if (unknown.length === 0 && optionsSchema.check(options)) return ok(freezeDeeply(options));
  const invalid = invalidMembers(optionsSchema.errors(options), options);
  // A misspelt name mostly makes the right one missing too: one finding is enough.
  const errors = [
    ...unknown,
    ...invalid.filter((one) => unknown.length === 0 || one.path.length > 1),
  ];
  return err(errors.slice(0, ERRORS_LIMIT));
}

function unknownMembers(
  schema: TSchema,
  value: unknown,
  path: readonly (string | number)[],
): OptionsError[] {
  if (Array.isArray(value)) {
    const items = memberSchema(schema, "");
    if (items === undefined) return [];
    return value.flatMap((item, index) => unknownMembers(items, item, [...path, index]));
  }
  if (!isRecord(value)) return [];
  const known = memberNames(schema);
  return Object.entries(value).flatMap(([name, member]): OptionsError[] => {
    if (known !== undefined && !known.has(name)) return [unknownOption(name, known, path)];
    const inner = memberSchema(schema, name);
    return inner === undefined ? [] : unknownMembers(inner, member, [...path, name]);
  });
}

function unknownOption(
  name: string,
  known: ReadonlySet<string>,
  path: readonly (string | number)[],
): OptionsError {
  const meant = suggest(name, known);
  return {
    code: "option_unknown",
    message: `has no option ${[...path, name].join(".")}`,
    path: [...path, name],
    fix: meant === undefined ? `use one of: ${[...known].join(", ")}` : `did you mean ${meant}?`,
  };
}

/** The first error at each place: TypeBox adds what follows from it. */
function invalidMembers(errors: Iterable<ValueError>, options: unknown): OptionsError[] {
  const byPath = new Map<string, OptionsError>();
  for (const error of errors) {
    if (byPath.size >= ERRORS_LIMIT) break;
    if (byPath.has(error.path)) continue;
    const path = pathOf(error.path, options);
    const hint = FORMAT_HINTS[String(error.schema.format)];
    const wanted = hint === undefined ? expectedWords(error) : `expected ${hint}`;
    const where = path.length === 0 ? "options" : `option ${path.join(".")}`;
    const about: unknown = error.schema.description;
    byPath.set(error.path, {
      code: "option_invalid",
      message: `${where}: ${wanted}`,
      path,
      fix: typeof about === "string" ? lowerFirst(about) : exampleOf(error.schema),
    });
  }
  return [...byPath.values()];
}

function exampleOf({ default: example }: TSchema): string {
  if (example === undefined) return "write what its options ask for";
  return `write something like its default: ${JSON.stringify(example)}`;
}

/** A JSON pointer (RFC 6901) as keys and indexes. */
function pathOf(pointer: string, root: unknown): (string | number)[] {
  let value: unknown = root;
  return pointer
    .split("/")
    .slice(1)
    .map((part) => {
      const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
      const key = Array.isArray(value) ? Number(name) : name;
      value = isRecord(value) || Array.isArray(value) ? Reflect.get(value, key) : undefined;
      return key;
    });
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
