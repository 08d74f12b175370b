/**
 * The JSON Schema of claimgate.yaml, for editors: completion, and documentation on hover.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import { FileSchema } from "./schema.ts";
import { POLICY_DEFINITION } from "./schema-routes.ts";

type JsonObject = {
  readonly [keyword: string]: unknown;
  readonly const?: unknown;
};

/** A value may stand in the environment; editors then cannot know its type. */
const REFERENCE = { type: "string", pattern: "\\$\\{" } as const;
const POLICY = { $ref: POLICY_DEFINITION } as const;

/**
 * @param policies Names, with the schema of their options where they have one. Without it
 *   any name and any options pass.
 * @returns Draft 7, which every editor's YAML support takes.
 */
export function jsonSchema(policies?: ReadonlyMap<string, TSchema | undefined>): object {
  // What TypeBox keeps for itself is under symbols, which JSON leaves out.
  const file = forEditors(JSON.parse(JSON.stringify(FileSchema))) as JsonObject;
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    ...file,
    definitions: { policy: policyDefinition(policies) },
  };
}

function policyDefinition(policies: ReadonlyMap<string, TSchema | undefined> | undefined): object {
  const list = { type: "array", items: POLICY, minItems: 1 };
  const composites = {
    all: { ...list, description: "Allows when each of these does." },
    any: { ...list, description: "Allows when one of these does." },
    not: { allOf: [POLICY], description: "Allows when this denies." },
    shadow: {
      allOf: [POLICY],
      description: "Evaluated and recorded, never enforced. Only in the route's own list.",
    },
  };
  const known = [...(policies ?? [])].map(([name, options]) => [name, optionsSchema(options)]);
  const names = [...(policies?.keys() ?? [])];
  return {
    anyOf: [
      policies === undefined ? { type: "string" } : { type: "string", enum: names },
      {
        type: "object",
        minProperties: 1,
        maxProperties: 1,
        properties: { ...Object.fromEntries(known), ...composites },
        ...(policies !== undefined && { additionalProperties: false }),
      },
    ],
  };
}

/** Any options for a policy of which that is not known. */
function optionsSchema(options: TSchema | undefined): unknown {
  return options === undefined ? {} : forEditors(closed(JSON.parse(JSON.stringify(options))));
}

/**
 * A misspelt option is an error even where its author did not write `additionalProperties: false`.
 * Alternatives and intersections say so around their parts, each of which knows but its own members.
 */
function closed(schema: unknown): unknown {
  if (!isObject(schema)) return schema;
  if (isObject(schema.items)) return { ...schema, items: closed(schema.items) };
  if (!isObject(schema.properties)) {
    const names = memberNames(schema);
    return names === undefined ? schema : { ...schema, propertyNames: { enum: [...names] } };
  }
  const properties = Object.entries(schema.properties).map(([key, member]) => [
    key,
    closed(member),
  ]);
  return { additionalProperties: false, ...schema, properties: Object.fromEntries(properties) };
}

/** @returns `undefined` where any name is good, or a part is no object. */
function memberNames(schema: unknown): ReadonlySet<string> | undefined {
  if (!isObject(schema)) return undefined;
  const parts = schema.anyOf ?? schema.allOf;
  if (Array.isArray(parts)) {
    const names = parts.map(memberNames);
    if (names.includes(undefined)) return undefined;
    return new Set(names.flatMap((set) => [...(set ?? [])]));
  }
  const isOpen = (schema.additionalProperties ?? false) !== false;
  return !isObject(schema.properties) || isOpen
    ? undefined
    : new Set(Object.keys(schema.properties));
}

/** Keywords whose value is a map of schemas, and those whose value is one or several. */
const MAPS: ReadonlySet<string> = new Set(["properties", "patternProperties"]);
const NESTED: ReadonlySet<string> = new Set(
  "items anyOf oneOf allOf not additionalProperties".split(" "),
);

/**
 * Lets `${NAME}` stand wherever the type is not text, gathers choices into one `enum`, and asks
 * for no member that has a default.
 */
function forEditors(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(forEditors);
  if (!isObject(schema)) return schema;
  const deep: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(schema)) {
    if (MAPS.has(keyword) && isObject(value)) {
      const members = Object.entries(value).map(([key, member]) => [key, forEditors(member)]);
      deep[keyword] = Object.fromEntries(members);
    } else deep[keyword] = NESTED.has(keyword) ? forEditors(value) : value;
  }
  if (isObject(deep.properties)) leaveToDefaults(deep, deep.properties);
  const { type, pattern, anyOf, ...rest } = deep;
  if (Array.isArray(anyOf)) {
    const choices = anyOf.map((branch: JsonObject) => branch.const);
    return choices.includes(undefined) ? deep : { ...rest, anyOf: [{ enum: choices }, REFERENCE] };
  }
  if (type === "boolean" || type === "integer" || type === "number") {
    return { ...rest, type: [type, "string"], pattern: REFERENCE.pattern };
  }
  if (typeof pattern === "string") return { ...deep, pattern: `${pattern}|${REFERENCE.pattern}` };
  return deep;
}

/** What has a default is there without being written, and counts among the members. */
function leaveToDefaults(schema: Record<string, unknown>, properties: JsonObject): void {
  const { required, minProperties } = schema;
  const preset = Object.keys(properties).filter((key) => {
    const member = properties[key];
    return isObject(member) && "default" in member;
  });
  if (Array.isArray(required)) schema.required = required.filter((key) => !preset.includes(key));
  if (typeof minProperties === "number") {
    schema.minProperties = Math.max(0, minProperties - preset.length);
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
