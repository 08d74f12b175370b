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
    if (typeof value !== "object" || value === null || !("kind" in value)) return undefined;
    return value.kind === "decision" || value.kind === "act" ? (value as AuditEntry) : undefined;
  } catch {
    // Not JSON is one more way of not being an entry.
    return undefined;
  }
}
