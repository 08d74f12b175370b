/**
 * Policies for people: what each is for, what it takes, and where it is used.
 *
 * @module
 */
import { type TSchema, TypeGuard } from "@sinclair/typebox";
import { counted, type Paint, visible } from "../paint.ts";
import type { ListedPolicy, PolicyUse } from "./list.ts";

/** @returns Whole lines, one block a policy. */
export function policiesTable(policies: readonly ListedPolicy[], paint: Paint): string {
  return policies.map((policy) => blockOf(policy, paint)).join("\n");
}

function blockOf(policy: ListedPolicy, paint: Paint): string {
  const { name, description, shipped, file = "", cases, options, uses } = policy;
  const origin = shipped ? "shipped" : visible(file);
  const rows: (readonly [label: string, lines: readonly string[]])[] = [
    ["options", options === null ? [] : optionLines(options)],
    ["used by", uses.map(useLine)],
  ];
  const heading = `${paint(name, "bold")}  ${paint(`${origin}, ${counted(cases, "case")}`, "dim")}`;
  const below = rows.flatMap(([label, lines]) =>
    lines.map((line, index) => `  ${paint((index === 0 ? label : "").padEnd(8), "dim")} ${line}\n`),
  );
  return `${heading}\n  ${visible(description)}\n${below.join("")}`;
}

function useLine({ route, file, line, shadow }: PolicyUse): string {
  return `${visible(route)} (${visible(file)}:${line})${shadow ? " as shadow" : ""}`;
}

/** `anyOf: list of text, optional. Roles of which one is enough`, one an option. */
function optionLines(schema: TSchema): string[] {
  return [...membersOf(schema)].map(([name, { schema: member, required }]) => {
    const about = member.description === undefined ? "" : `. ${member.description}`;
    return visible(`${name}: ${wordFor(member)}${presence(member, required)}${about}`);
  });
}

function presence({ default: preset }: TSchema, required: boolean): string {
  if (preset !== undefined) return `, default ${JSON.stringify(preset)}`;
  return required ? "" : ", optional";
}

type Member = { readonly schema: TSchema; readonly required: boolean };

/** Of an object, or of all alternatives; there, nothing is needed in every one of them. */
function membersOf(schema: TSchema): ReadonlyMap<string, Member> {
  const members = new Map<string, Member>();
  if (TypeGuard.IsObject(schema)) {
    const required = new Set(schema.required);
    for (const [name, member] of Object.entries(schema.properties)) {
      members.set(name, { schema: member, required: required.has(name) });
    }
  }
  const isUnion = TypeGuard.IsUnion(schema);
  const parts = isUnion ? schema.anyOf : TypeGuard.IsIntersect(schema) ? schema.allOf : [];
  for (const part of parts) {
    for (const [name, member] of membersOf(part)) {
      members.set(name, { ...member, required: member.required && !isUnion });
    }
  }
  return members;
}

function wordFor(schema: TSchema): string {
  if (TypeGuard.IsLiteral(schema)) return JSON.stringify(schema.const);
  if (TypeGuard.IsUnion(schema)) return [...new Set(schema.anyOf.map(wordFor))].join(" or ");
  if (TypeGuard.IsArray(schema)) return `list of ${wordFor(schema.items)}`;
  if (TypeGuard.IsString(schema)) return "text";
  if (TypeGuard.IsInteger(schema)) return "whole number";
  if (TypeGuard.IsNumber(schema)) return "number";
  if (TypeGuard.IsBoolean(schema)) return "true or false";
  if (TypeGuard.IsObject(schema) || TypeGuard.IsRecord(schema)) return "map";
  return "anything";
}
