/**
 * The JSON Schema of claimgate.yaml, for editors: completion, and documentation on hover.
 *
 * @module
 */
import type { TSchema } from "@sinclair/typebox";
import { FileSchema, POLICY_DEFINITION } from "./schema.ts";

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

function optionsSchema(options: TSchema | undefined): unknown {
  return options === undefined ? {} : forEditors(JSON.parse(JSON.stringify(options)));
}

/** Keywords whose value is a map of schemas, and those whose value is one or several. */
const MAPS: ReadonlySet<string> = new Set(["properties", "patternProperties"]);
const NESTED: ReadonlySet<string> = new Set(
  "items anyOf oneOf allOf not additionalProperties".split(" "),
);

/** Lets `${NAME}` stand wherever the type is not text, and gathers choices into one `enum`. */
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

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
