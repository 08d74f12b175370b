/**
 * Holds a value against its schema and takes out what does not fit, so that everything else
 * can still be checked and all mistakes are told at once.
 *
 * TypeBox's own errors for unions name every branch; here the branch is chosen by what kind
 * of value is written, and the message says what stands there.
 *
 * @module
 */
import { KindGuard, type TObject, type TSchema, type TUnion } from "@sinclair/typebox";
import { suggest } from "../lib/suggest.ts";
import type { Report } from "./report.ts";
import type { YamlPath } from "./resolved.ts";
import { type Source, UNREADABLE } from "./source.ts";

/** How much of a text is shown back. */
const SHOWN_LIMIT = 60;

/**
 * @returns The value, with `undefined` where something did not fit. Each such place has
 *   been reported.
 */
export function fit(
  schema: TSchema,
  value: unknown,
  path: YamlPath,
  source: Source,
  report: Report,
): unknown {
  if (value === UNREADABLE) return undefined;
  if (KindGuard.IsUnknown(schema)) return value;
  const branch = branchFor(schema, value);
  if (branch !== undefined) return fitBranch(branch, value, path, source, report);

  const coerced = fromText(schema, value, source.variablesOf(path));
  if (coerced !== undefined) return coerced;
  const found = describe(schema, value, path, source);
  report.at(path, {
    code: "type_wrong",
    message: `${nameOf(path)} must be ${expected(schema)}, found ${found}`,
    fix: fixFor(schema, value, path, source),
  });
  return undefined;
}

function fitBranch(
  schema: TSchema,
  value: unknown,
  path: YamlPath,
  source: Source,
  report: Report,
): unknown {
  if (Array.isArray(value) && KindGuard.IsArray(schema)) {
    return value.map((item, index) => fit(schema.items, item, [...path, index], source, report));
  }
  if (isMap(value) && KindGuard.IsObject(schema)) {
    return fitObject(schema, value, path, source, report);
  }
  if (isMap(value) && KindGuard.IsRecord(schema)) {
    const [items] = Object.values(schema.patternProperties);
    const entries = Object.entries(value).map(([key, item]) => [
      key,
      items && fit(items, item, [...path, key], source, report),
    ]);
    return Object.fromEntries(entries);
  }
  return value;
}

function fitObject(
  schema: TObject,
  value: Readonly<Record<string, unknown>>,
  path: YamlPath,
  source: Source,
  report: Report,
): unknown {
  const fitting: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const at = [...path, key];
    const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    if (property === undefined) reportUnknownKey(schema, key, at, report);
    else fitting[key] = fit(property, item, at, source, report);
  }
  for (const key of schema.required ?? []) {
    if (Object.hasOwn(value, key)) continue;
    report.at(path, {
      code: "key_missing",
      message: `${nameOf(path)} has no ${key}`,
      fix: `add ${key}: ${firstSentence(schema.properties[key]?.description)}`,
    });
  }
  return fitting;
}

function reportUnknownKey(schema: TObject, key: string, at: YamlPath, report: Report): void {
  const shown = shorten(key);
  const known = Object.keys(schema.properties);
  const meant = suggest(key, known);
  report.atKey(at, {
    code: "key_unknown",
    message: `unknown key ${shown}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
    fix: meant === undefined ? `use one of: ${known.join(", ")}` : `write ${meant}`,
  });
}

/** The alternative that a value of this kind can only have meant. */
function branchFor(schema: TSchema, value: unknown): TSchema | undefined {
  if (KindGuard.IsUnion(schema)) {
    for (const branch of schema.anyOf) {
      const found = branchFor(branch, value);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  return accepts(schema, value) ? schema : undefined;
}

function accepts(schema: TSchema, value: unknown): boolean {
  if (KindGuard.IsString(schema)) return typeof value === "string";
  if (KindGuard.IsBoolean(schema)) return typeof value === "boolean";
  if (KindGuard.IsInteger(schema)) return Number.isSafeInteger(value);
  if (KindGuard.IsLiteral(schema)) return value === schema.const;
  if (KindGuard.IsArray(schema)) return Array.isArray(value);
  return (KindGuard.IsObject(schema) || KindGuard.IsRecord(schema)) && isMap(value);
}

/** A variable holds text only: `allowPlainHttp: ${PLAIN}` means the switch all the same. */
function fromText(schema: TSchema, value: unknown, variables: readonly string[]): unknown {
  if (typeof value !== "string" || variables.length === 0) return undefined;
  if (KindGuard.IsUnion(schema)) {
    return schema.anyOf
      .map((branch) => fromText(branch, value, variables))
      .find((coerced) => coerced !== undefined);
  }
  if (KindGuard.IsBoolean(schema) && (value === "true" || value === "false")) {
    return value === "true";
  }
  const isInteger = KindGuard.IsInteger(schema) && /^\d{1,15}$/.test(value);
  return isInteger ? Number(value) : undefined;
}

function expected(schema: TSchema): string {
  if (KindGuard.IsUnion(schema)) {
    const isChoice = schema.anyOf.every((branch) => KindGuard.IsLiteral(branch));
    if (isChoice) return `one of ${choicesOf(schema).join(", ")}`;
    return [...new Set(schema.anyOf.map(expected))].join(" or ");
  }
  if (KindGuard.IsLiteral(schema)) return String(schema.const);
  if (KindGuard.IsBoolean(schema)) return "true or false";
  if (KindGuard.IsInteger(schema)) return "a whole number";
  if (KindGuard.IsArray(schema)) return "a list";
  if (KindGuard.IsString(schema)) return schema.title === undefined ? "text" : `a ${schema.title}`;
  return "a map";
}

/** Never a secret's value, and of an environment variable only its name. */
function describe(schema: TSchema, value: unknown, path: YamlPath, source: Source): string {
  if (value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (isMap(value)) return "a map";
  const kind = typeof value === "string" ? "text" : "";
  if (schema.writeOnly === true) return kind === "" ? `a ${typeof value}` : kind;
  const written = source.writtenAt(path) ?? String(value);
  const shown = typeof value === "string" ? JSON.stringify(shorten(written)) : shorten(written);
  return `${kind} ${shown}`.trim();
}

function fixFor(schema: TSchema, value: unknown, path: YamlPath, source: Source): string {
  if (KindGuard.IsUnion(schema) && typeof value === "string") {
    const meant = suggest(value, choicesOf(schema));
    if (meant !== undefined) return `write ${meant}`;
  }
  if (path.length === 0)
    return "begin with issuers: and routes:, or make a file with claimgate init";
  if (value === null) return "write a value, or remove the key";
  if (schema.title !== undefined) {
    return `write a number and its unit, for example ${schema.default ?? "30s"}`;
  }
  if (KindGuard.IsString(schema) && typeof value !== "object") return "put it in quotes";
  const written = typeof value === "object" ? undefined : source.writtenAt(path);
  if (KindGuard.IsArray(schema) && written !== undefined) return `write [${shorten(written)}]`;
  return `write ${expected(schema)}`;
}

function choicesOf(schema: TUnion): string[] {
  return schema.anyOf
    .filter((branch) => KindGuard.IsLiteral(branch))
    .map(({ const: choice }) => String(choice));
}

/** What a path is called in a message: its last key; `issuers[0]` for an entry of a list. */
function nameOf(path: YamlPath): string {
  const last = path.at(-1);
  if (last === undefined) return "the file";
  if (typeof last === "string") return shorten(last);
  const list = path.findLast((part) => typeof part === "string") ?? "";
  return `${list}[${last}]`;
}

function firstSentence(description: string | undefined): string {
  const [sentence = ""] = (description ?? "").split(/\.(?: |$)/);
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

function shorten(text: string): string {
  return text.length <= SHOWN_LIMIT ? text : `${text.slice(0, SHOWN_LIMIT)}…`;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
