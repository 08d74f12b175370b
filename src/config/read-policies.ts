/**
 * A route's `policies`: names, options, and `all`, `any`, `not`, `shadow` around them.
 * Whether a policy exists and takes its options is checked where policies are known.
 *
 * @module
 */
import type { Reading } from "./report.ts";
import type { PolicyRef, YamlPath } from "./resolved.ts";
import { UNREADABLE } from "./source.ts";

const COMPOSITES = ["all", "any", "not", "shadow"] as const;
type Composite = (typeof COMPOSITES)[number];

const NESTING_LIMIT = 16;
const EXAMPLE =
  "write - staff, - require-roles: { anyOf: [admin] }, or all, any, not, shadow around them";

/**
 * @param entries As written; `undefined` and `UNREADABLE` have been reported already.
 * @returns What could be read. The path of an entry is that of its item in the list: the options of
 *   `- require-roles: { anyOf: [] }` stand at `[...ref.path, "require-roles"]`.
 */
export function readPolicies(
  entries: readonly unknown[],
  path: YamlPath,
  reading: Reading,
): readonly PolicyRef[] {
  return readList(entries, path, 0, reading);
}

function readList(
  entries: readonly unknown[],
  path: YamlPath,
  depth: number,
  reading: Reading,
): readonly PolicyRef[] {
  return entries
    .map((entry, index) => readEntry(entry, [...path, index], depth, reading))
    .filter((ref) => ref !== undefined);
}

function readEntry(
  entry: unknown,
  path: YamlPath,
  depth: number,
  reading: Reading,
): PolicyRef | undefined {
  if (entry === undefined || entry === UNREADABLE) return undefined;
  if (typeof entry === "string") return readName(entry, undefined, path, path, reading);
  const keys = typeof entry === "object" && entry !== null ? Object.keys(entry) : [];
  const [key] = keys;
  if (key === undefined || keys.length > 1 || Array.isArray(entry)) {
    reading.report.at(path, {
      code: "policy_entry_invalid",
      message:
        keys.length > 1 && !Array.isArray(entry)
          ? `one entry names several things: ${keys.slice(0, 4).join(", ")}`
          : "not a policy's name, nor a name with its options",
      fix:
        keys.length > 1 && !Array.isArray(entry)
          ? "begin each policy with its own -, and indent options below their policy"
          : EXAMPLE,
    });
    return undefined;
  }
  const value = (entry as Readonly<Record<string, unknown>>)[key];
  const composite = COMPOSITES.find((word) => word === key);
  if (composite !== undefined) return readComposite(composite, value, path, depth, reading);
  return readName(key, value ?? undefined, path, [...path, key], reading);
}

function readName(
  name: string,
  options: unknown,
  path: YamlPath,
  namePath: YamlPath,
  { report }: Reading,
): PolicyRef | undefined {
  if (name.trim() !== "" && !COMPOSITES.some((word) => word === name)) {
    return { kind: "policy", name, options, path };
  }
  const message = name.trim() === "" ? "an empty policy name" : `${name} needs policies inside`;
  report.at(namePath, { code: "policy_entry_invalid", message, fix: EXAMPLE });
  return undefined;
}

function readComposite(
  kind: Composite,
  value: unknown,
  path: YamlPath,
  depth: number,
  reading: Reading,
): PolicyRef | undefined {
  const inside = [...path, kind];
  const refuse = (message: string, fix: string) => {
    reading.report.atKey(inside, { code: "policy_entry_invalid", message, fix });
    return undefined;
  };
  if (value === UNREADABLE) return undefined;
  if (depth >= NESTING_LIMIT) return refuse("nested too deep", "write a policy that says the same");
  if (kind === "shadow" && depth > 0) {
    return refuse(
      "shadow inside another entry would change its result",
      "move it to the route's own list",
    );
  }
  if (kind === "not" || kind === "shadow") {
    if (value === null || Array.isArray(value)) {
      return refuse(`${kind} takes one policy`, "put all: or any: around several");
    }
    const of = readEntry(value, inside, depth + 1, reading);
    return of && { kind, of, path };
  }
  if (!Array.isArray(value)) return refuse(`${kind} takes a list`, `write ${kind}: [ … ]`);
  if (value.length === 0)
    return refuse(`${kind} is empty`, "name at least one policy, or remove it");
  return { kind, of: readList(value, inside, depth + 1, reading), path };
}
