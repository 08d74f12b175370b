import { describe, expect, test } from "bun:test";
import { openChain } from "../../src/audit/chain.ts";
import type { AuditEntry } from "../../src/audit/entry.ts";
import { readEntry } from "../../src/audit/scan.ts";
import { findRecords, isWantedEntry, type RecordFilter } from "../../src/audit/search.ts";
import { actEntry, denyEntry, forwardEntry, START_MS } from "./entries.ts";
import { memoryStore } from "./memory-store.ts";

const SHADOWED = forwardEntry(4, {
  policies: [{ name: "new-rule", verdict: "deny", code: "too_late", ms: 0.1, shadow: true }],
});
const BOB = { issuer: "okta", subject: "bob", expiresAt: "2026-01-05T11:00:00Z" };
const ENTRIES: readonly AuditEntry[] = [
  forwardEntry(0),
  denyEntry(1),
  actEntry(2),
  forwardEntry(3, { route: "reports", token: BOB }),
  SHADOWED,
  denyEntry(5, { code: "token_missing", reason: "none" }),
];
/** The number of the entry that a time belongs to. */
const at = (number: number) => new Date(START_MS + number * 1_000).toISOString();
const NOW_MS = START_MS + 10_000;

async function filled() {
  const store = memoryStore();
  const chain = openChain(new Uint8Array(32).fill(7));
  await store.append(ENTRIES.map((entry) => chain.link(entry)));
  // As the real ones have it: before `untilMs`, not at it.
  const find: typeof store.find = ({ untilMs, ...query }) =>
    store.find({ ...query, ...(untilMs !== undefined && { untilMs: untilMs - 1 }) });
  return { find };
}

const numberOf = (entry: AuditEntry) => ENTRIES.findIndex((one) => one.at === entry.at);

/** A filter, and the numbers of the entries that fit it. */
const CASES: readonly [RecordFilter, readonly number[]][] = [
  [{}, [0, 1, 2, 3, 4, 5]],
  [{ kind: "act" }, [2]],
  [{ kind: "decision" }, [0, 1, 3, 4, 5]],
  [{ subject: "bob" }, [3]],
  [{ route: "reports" }, [3]],
  [{ denied: true }, [1, 5]],
  [{ denied: false }, [0, 1, 2, 3, 4, 5]],
  [{ code: "token_missing" }, [5]],
  [{ code: "role_missing" }, [1]],
  [{ code: "too_late" }, []],
  [{ shadow: true }, [4]],
  [{ shadow: true, denied: true }, []],
  [{ kind: "act", subject: "alice" }, []],
];
const TIMED: typeof CASES = [
  [{ since: at(3) }, [3, 4, 5]],
  [{ until: at(3) }, [0, 1, 2]],
  [{ since: at(1), until: at(3) }, [1, 2]],
  [{ since: "6s" }, [4, 5]],
  [{ until: "6s", kind: "decision" }, [0, 1, 3]],
];

describe("findRecords()", () => {
  test.each([...CASES, ...TIMED])("%j", async (filter, numbers) => {
    const { records, hasMore } = await findRecords(await filled(), filter, 10, NOW_MS);
    const entries = records.map(readEntry).filter((one) => one !== undefined);
    expect(entries.map(numberOf)).toEqual([...numbers]);
    expect(hasMore).toBe(false);
  });

  test("says what time it takes", async () => {
    const store = await filled();
    for (const name of ["since", "until"]) {
      const asking = findRecords(store, { [name]: "yesterday" }, 10, NOW_MS);
      await expect(asking).rejects.toThrow(`${name} takes a duration`);
    }
  });

  test("leaves the older ones once there is as much text as may be, but never all", async () => {
    const store = await filled();
    const few = await findRecords(store, {}, 10, NOW_MS, { mostText: 1_000 });
    expect(few.hasMore).toBe(true);
    expect(few.records.length).toBeWithin(1, 6);
    const one = await findRecords(store, {}, 10, NOW_MS, { mostText: 1 });
    expect([one.records.length, one.hasMore]).toEqual([1, true]);
  });

  test("ends when nobody waits any more", async () => {
    const { records } = await findRecords(await filled(), {}, 10, NOW_MS, {
      signal: AbortSignal.abort(),
    });
    expect(records).toEqual([]);
  });
});

test.each(CASES)("isWantedEntry() agrees: %j", (filter, numbers) => {
  const wanted = ENTRIES.filter((entry) => isWantedEntry(entry, filter));
  expect(wanted.map(numberOf)).toEqual([...numbers]);
});
