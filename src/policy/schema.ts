/**
 * Schemas of policies: compiled once, and read for what TypeBox itself does not say.
 *
 * @module
 */
import { FormatRegistry, type TSchema, TypeGuard } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import type { ValueError, ValueErrorIterator } from "@sinclair/typebox/errors";
import { registerFormats } from "./formats.ts";

export type CompiledSchema = {
  readonly schema: TSchema;
  readonly check: (value: unknown) => boolean;
  readonly errors: (value: unknown) => ValueErrorIterator;
};

/** Schemas of shipped policies outlive every reload. */
const compiledSchemas = new WeakMap<TSchema, CompiledSchema>();

/** @throws For a schema that TypeBox cannot compile, or that names a format nobody knows. */
export function compileSchema(schema: TSchema): CompiledSchema {
  const known = compiledSchemas.get(schema);
  if (known !== undefined) return known;
  registerFormats();
  const unknown = formatsOf(schema).find((format) => !FormatRegistry.Has(format));
  // TypeBox would refuse every value, without a word.
  if (unknown !== undefined)
    throw new RangeError(`unknown string format ${JSON.stringify(unknown)}`);
  const compiled = TypeCompiler.Compile(schema);
  const result: CompiledSchema = {
    schema,
    check: (value) => compiled.Check(value),
    errors: (value) => compiled.Errors(value),
  };
  compiledSchemas.set(schema, result);
  return result;
}

/** @returns What would have fitted: `expected string`, `expected "staff" or "contractor"`. */
export function expectedWords({ schema, message }: Pick<ValueError, "schema" | "message">): string {
  const alternatives: readonly TSchema[] = TypeGuard.IsUnion(schema) ? schema.anyOf : [];
  if (alternatives.length > 0 && alternatives.every(TypeGuard.IsLiteral)) {
    const words = alternatives.map(({ const: value }) => JSON.stringify(value));
    return `expected ${new Intl.ListFormat("en", { type: "disjunction" }).format(words)}`;
  }
  return message.charAt(0).toLowerCase() + message.slice(1);
}

/**
 * The member names that a schema allows.
 *
 * @returns `undefined` if it allows any.
 */
export function memberNames(schema: TSchema): ReadonlySet<string> | undefined {
  const parts = TypeGuard.IsIntersect(schema)
    ? schema.allOf
    : TypeGuard.IsUnion(schema)
      ? schema.anyOf
      : undefined;
  if (parts !== undefined) {
    const names = parts.map(memberNames);
    if (names.some((set) => set === undefined)) return undefined;
    return new Set(names.flatMap((set) => [...(set ?? [])]));
  }
  if (!TypeGuard.IsObject(schema)) return undefined;
  if (schema.additionalProperties !== undefined && schema.additionalProperties !== false) {
    return undefined;
  }
  return new Set(Object.keys(schema.properties));
}

/** The schema of one member, as far as it can be told without a value. */
export function memberSchema(schema: TSchema, name: string): TSchema | undefined {
  if (TypeGuard.IsObject(schema)) return schema.properties[name];
  if (TypeGuard.IsArray(schema)) return schema.items;
  return undefined;
}

/** The formats named anywhere in a schema, which is plain JSON but for TypeBox's symbols. */
function formatsOf(schema: unknown, depth = 0): string[] {
  if (typeof schema !== "object" || schema === null || depth > 32) return [];
  const own = "type" in schema && schema.type === "string" && "format" in schema;
  const nested = Object.values(schema).flatMap((member) => formatsOf(member, depth + 1));
  return own ? [String(schema.format), ...nested] : nested;
}
