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
    const first = Array.from({ length: 5 }, () => summary.admits("token_missing"));
    expect(first).toEqual([true, true, true, false, false]);
    clock.ms = 1_000;
    expect([summary.admits("token_missing"), summary.admits("token_missing")]).toEqual([
      true,
      false,
    ]);
  });

  test("beyond that are counted by code, and the count is recorded", () => {
    const { summary, records } = open();
    for (let count = 0; count < 5; count += 1) summary.admits("token_missing");
    summary.admits("token_invalid");
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

  test("that were all recorded need no summary", () => {
    const { summary, records } = open();
    summary.admits("token_missing");
    summary.close();
    expect(records).toEqual([]);
  });
});
