/**
 * Reads records newest first, page by page, for questions that the store's own search does not
 * answer.
 *
 * @module
 */
import type { ChainedRecord, RecordQuery, Store } from "../store/store.ts";
import type { AuditEntry } from "./entry.ts";

const PAGE = 1_000;

/** @returns All that the query finds, but for its limit; stop when there is enough. */
export async function* newestFirst(
  store: Pick<Store, "find">,
  query: Omit<RecordQuery, "limit">,
): AsyncGenerator<ChainedRecord> {
  let limit = PAGE;
  let untilMs = query.untilMs;
  let seen: ReadonlySet<string> = new Set();
  for (;;) {
    const page = await store.find({ ...query, ...(untilMs !== undefined && { untilMs }), limit });
    const fresh = page.filter((record) => !seen.has(placeOf(record)));
    yield* fresh;
    const last = page.at(-1);
    if (last === undefined || page.length < limit) return;
    // Of one millisecond there may be more than a page holds.
    if (fresh.length === 0) limit *= 2;
    // The next page begins with what this one ends with, whether the bound itself counts or not.
    untilMs = last.atMs + 1;
    seen = new Set(page.filter(({ atMs }) => atMs <= last.atMs + 1).map(placeOf));
  }
}

function placeOf({ writer, seq }: ChainedRecord): string {
  return `${writer}:${seq}`;
}

/** @returns `undefined` for a body that is no entry: the record has been tampered with. */
export function readEntry({ body }: ChainedRecord): AuditEntry | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return isEntry(value) ? value : undefined;
  } catch {
    // Not JSON is one more way of not being an entry.
    return undefined;
  }
}

/** Whether it has what readers of entries rely on: one forged record must not hide the others. */
function isEntry(value: unknown): value is AuditEntry {
  if (!isObject(value) || typeof value.at !== "string") return false;
  const { kind, policies, token } = value;
  if (kind === "act") return hasTexts(value, ["actor", "act", "target"], ["reason"]);
  return (
    kind === "decision" &&
    hasTexts(
      value,
      ["requestId", "method", "host", "path"],
      ["route", "code", "reason", "policy"],
    ) &&
    typeof value.status === "number" &&
    isObject(value.client) &&
    (token === undefined || (isObject(token) && hasTexts(token, ["subject"], ["id"]))) &&
    Array.isArray(policies) &&
    policies.every((one) => isObject(one) && hasTexts(one, ["name", "verdict"], ["code"]))
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function hasTexts(
  value: Readonly<Record<string, unknown>>,
  names: readonly string[],
  optional: readonly string[],
): boolean {
  return (
    names.every((name) => typeof value[name] === "string") &&
    optional.every((name) => value[name] === undefined || typeof value[name] === "string")
  );
}
