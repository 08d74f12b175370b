import { describe, expect, test } from "bun:test";
import type { AuditEntry } from "../../src/audit/entry.ts";
import { openSummary } from "../../src/gate/summarize.ts";

const BUCKET = { limit: 3, perMs: 3_000 };

function open() {
  const records: AuditEntry[] = [];
  const clock = { ms: 0 };
  const summary = openSummary({
    audit: { record: (entry) => void records.push(entry) },
    now: () => Date.parse("2026-01-05T10:00:00Z"),
    uptimeMs: () => clock.ms,
    bucket: BUCKET,
  });
  return { summary, records, clock };
}

describe("refusals without a verified token", () => {
  test("are recorded one by one at first, then as they refill", () => {
    const { summary, clock } = open();
    const first = Array.from({ length: 5 }, () => summary.admits("token_missing", 20));
    expect(first).toEqual([true, true, true, false, false]);
    clock.ms = 1_000;
    expect([summary.admits("token_missing", 20), summary.admits("token_missing", 20)]).toEqual([
      true,
      false,
    ]);
  });

  test("beyond that are counted by code, and the count is recorded", () => {
    const { summary, records } = open();
    for (let count = 0; count < 5; count += 1) summary.admits("token_missing", 20);
    summary.admits("token_invalid", 20);
    summary.close();
    expect(records).toEqual([
      {
        kind: "act",
        at: "2026-01-05T10:00:00.000Z",
        actor: "gate",
        act: "summarize",
        target: "refusals without a verified token",
        reason: "1 token_invalid, 2 token_missing",
      },
    ]);
  });

  test("count by the kilobyte: long paths fill the disk no sooner than short ones", () => {
    const { summary, clock } = open();
    expect(summary.admits("route_not_found", 8_000)).toBe(true);
    clock.ms = 1_000;
    expect(summary.admits("route_not_found", 20)).toBe(false);
    clock.ms = 4_000; // the long one took eight, and no more is owed than there can be
    expect(summary.admits("route_not_found", 1_023)).toBe(true);
    expect(summary.admits("route_not_found", 20)).toBe(false);
  });

  test("that were all recorded need no summary", () => {
    const { summary, records } = open();
    summary.admits("token_missing", 20);
    summary.close();
    expect(records).toEqual([]);
  });
});
