/**
 * As much of JSON Schema, draft 7, as the schema of claimgate.yaml uses: what an editor would mark.
 *
 * @module
 */
type Schema = Readonly<Record<string, unknown>>;

/** Keywords that say something to people, and those that are looked at along with others. */
const SILENT: ReadonlySet<string> = new Set(
  "$schema title description default examples definitions writeOnly format".split(" "),
);

/** @returns Where in the value something does not fit: `/routes/0/policies/0`, once a place. */
export function markedBy(schema: object, value: unknown): string[] {
  return [...new Set(marks(schema as Schema, value, "", schema as Schema))];
}

function marks(schema: Schema, value: unknown, at: string, root: Schema): string[] {
  return Object.entries(schema).flatMap(([keyword, argument]) => {
    if (SILENT.has(keyword)) return [];
    const check = KEYWORDS[keyword];
    if (check === undefined) throw new Error(`Unknown keyword ${keyword} at ${at}`);
    return check(argument as never, value, at, root, schema);
  });
}

type Check = (
  argument: never,
  value: unknown,
  at: string,
  root: Schema,
  schema: Schema,
) => string[];

const markIf = (isWrong: boolean, at: string): string[] => (isWrong ? [at] : []);
const fits = (schema: Schema, value: unknown, root: Schema) =>
  marks(schema, value, "", root).length === 0;

const KEYWORDS: Readonly<Record<string, Check>> = {
  type: (type: string | string[], value, at) =>
    markIf(![type].flat().some((one) => isOf(one, value)), at),
  const: (wanted: unknown, value, at) => markIf(wanted !== value, at),
  enum: (words: unknown[], value, at) => markIf(!words.includes(value), at),
  pattern: (pattern: string, value, at) =>
    markIf(typeof value === "string" && !new RegExp(pattern, "u").test(value), at),
  minLength: (least: number, value, at) => markIf(String(value).length < least, at),
  maxLength: (most: number, value, at) => markIf(String(value).length > most, at),
  minimum: (least: number, value, at) => markIf(typeof value === "number" && value < least, at),
  maximum: (most: number, value, at) => markIf(typeof value === "number" && value > most, at),
  minItems: (least: number, value, at) => markIf(Array.isArray(value) && value.length < least, at),
  maxItems: (most: number, value, at) => markIf(Array.isArray(value) && value.length > most, at),
  uniqueItems: (_: never, value, at) =>
    markIf(Array.isArray(value) && new Set(value).size < value.length, at),
  items: (schema: Schema, value, at, root) =>
    Array.isArray(value)
      ? value.flatMap((item, index) => marks(schema, item, `${at}/${index}`, root))
      : [],
  required: (keys: string[], value, at) =>
    isMap(value) ? markIf(!keys.every((key) => Object.hasOwn(value, key)), at) : [],
  minProperties: (least: number, value, at) =>
    markIf(isMap(value) && Object.keys(value).length < least, at),
  maxProperties: (most: number, value, at) =>
    markIf(isMap(value) && Object.keys(value).length > most, at),
  properties: (schemas: Readonly<Record<string, Schema>>, value, at, root) =>
    entries(value).flatMap(([key, member]) => {
      const schema = Object.hasOwn(schemas, key) ? schemas[key] : undefined;
      return schema === undefined ? [] : marks(schema, member, `${at}/${key}`, root);
    }),
  patternProperties: (schemas: Readonly<Record<string, Schema>>, value, at, root) =>
    entries(value).flatMap(([key, member]) =>
      Object.entries(schemas)
        .filter(([pattern]) => new RegExp(pattern, "u").test(key))
        .flatMap(([, schema]) => marks(schema, member, `${at}/${key}`, root)),
    ),
  additionalProperties: (others: boolean | Schema, value, at, root, { properties = {} }) =>
    entries(value)
      .filter(([key]) => !Object.hasOwn(properties as object, key))
      .flatMap(([key, member]) => {
        if (typeof others === "boolean") return markIf(!others, `${at}/${key}`);
        return marks(others, member, `${at}/${key}`, root);
      }),
  propertyNames: (schema: Schema, value, at, root) =>
    entries(value)
      .filter(([key]) => !fits(schema, key, root))
      .map(([key]) => `${at}/${key}`),
  anyOf: (schemas: Schema[], value, at, root) => {
    const found = schemas.map((schema) => marks(schema, value, at, root));
    // As editors do: of what does not fit at all, the alternative that goes furthest is told.
    const best = found.sort((a, b) => depthOf(b) - depthOf(a))[0] ?? [];
    return found.some((one) => one.length === 0) ? [] : best;
  },
  allOf: (schemas: Schema[], value, at, root) =>
    schemas.flatMap((schema) => marks(schema, value, at, root)),
  not: (schema: Schema, value, at, root) => markIf(fits(schema, value, root), at),
  $ref: (path: string, value, at, root) => {
    const schema = path
      .slice(2)
      .split("/")
      .reduce<unknown>((node, key) => (node as Schema)[key], root);
    return marks(schema as Schema, value, at, root);
  },
};

function depthOf(places: readonly string[]): number {
  return Math.max(...places.map((place) => place.split("/").length));
}

function isOf(type: string, value: unknown): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isMap(value);
  return type === (value === null ? "null" : typeof value);
}

function entries(value: unknown): [string, unknown][] {
  return isMap(value) ? Object.entries(value) : [];
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
