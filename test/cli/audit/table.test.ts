import { describe, expect, test } from "bun:test";
import { openChain } from "../../../src/audit/chain.ts";
import type { AuditEntry } from "../../../src/audit/entry.ts";
import { openTable } from "../../../src/cli/audit/table.ts";
import { ansi, plain } from "../../../src/cli/paint.ts";
import type { ChainedRecord } from "../../../src/store/store.ts";
import { actEntry, denyEntry, forwardEntry, START_MS } from "../../audit/entries.ts";

const ID = "01a20fca-114c-72b2-80a4-9254d073d29c";
const LONG = `/orders/${"very/long/".repeat(30)}end`;

const ENTRIES: readonly AuditEntry[] = [
  forwardEntry(1, { requestId: ID }),
  denyEntry(2, { requestId: ID, path: LONG }),
  denyEntry(3, { requestId: ID, policy: "a/policy/with/a/long/name", reason: "r".repeat(64) }),
  denyEntry(4, { requestId: ID, status: 503, code: "store_unavailable", reason: undefined }),
  denyEntry(5, { requestId: ID, host: "", path: "", code: "request_malformed" }),
  forwardEntry(6, {
    requestId: ID,
    path: "/東京/東京/東京/東京/東京/東京/東京/東京",
    token: { issuer: "okta", subject: "会員".repeat(20), expiresAt: "" },
  }),
  actEntry(7),
];

function recordsOf(entries: readonly AuditEntry[]) {
  const chain = openChain(new Uint8Array(32));
  return entries.map(chain.link);
}

const once = { isFollowing: false, paint: plain, nowMs: START_MS };

function linesOf(entries: readonly AuditEntry[], columns?: number, nowMs = START_MS) {
  const records = recordsOf(entries);
  const table = openTable({ ...once, sample: records, columns, nowMs });
  return { headings: table.headings, lines: table.format(records).trimEnd().split("\n") };
}

describe("openTable()", () => {
  test.each([60, 80, 100, 120, 139, 140, 160, 200, 400])("fits in %d columns", (columns) => {
    const { headings, lines } = linesOf(ENTRIES, columns);
    for (const line of [...headings.split("\n"), ...lines]) {
      expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
    }
    // A request id is there to be copied.
    expect(lines.filter((line) => line.includes(ID))).toHaveLength(6);
    expect(lines).toHaveLength(columns < 140 ? 13 : 7);
  });

  test("cuts nothing where there is no terminal", () => {
    const { lines } = linesOf(ENTRIES);
    expect(lines).toHaveLength(7);
    expect(lines[1]).toContain(LONG);
    expect(lines.join("")).not.toContain("…");
  });

  test("puts what is short on one line also in a narrow terminal", () => {
    const { headings, lines } = linesOf([denyEntry(1), forwardEntry(2)], 110);
    expect(headings).toMatch(/^time UTC +request +subject +why +policy +request id$/);
    expect(lines).toHaveLength(2);
  });

  test.each([80, 160, undefined])("has room for what will come, in %p columns", (columns) => {
    const records = recordsOf(ENTRIES);
    const table = openTable({ ...once, sample: [], isFollowing: true, columns });
    const lines = table.format(records).trimEnd().split("\n");
    const widest = Math.max(...lines.map((line) => Bun.stringWidth(line)));
    expect(widest).toBeLessThanOrEqual(columns ?? Number.POSITIVE_INFINITY);
    expect(lines[0]).toContain("GET api.acme.dev/orders/1  ");
    if (columns === undefined) expect(lines.join("")).toContain(LONG);
  });

  test("names the day where it is not today", () => {
    expect(linesOf([forwardEntry(1)], 200).lines[0]).toStartWith("10:00:01  200  ");
    const next = linesOf([forwardEntry(1)], 200, START_MS + 86_400_000);
    expect(next.lines[0]).toStartWith("01-05 10:00:01  200  ");
  });

  test("tells a reason once, and what a shadow would have done", () => {
    const twice = denyEntry(1, { code: "token_expired", reason: "token_expired" });
    const policies = [
      { name: "calm", verdict: "allow", ms: 0.1, shadow: true },
      { name: "strict", verdict: "fault", ms: 0.1, shadow: true },
    ] as const;
    const { lines } = linesOf([twice, forwardEntry(2, { policies })], 200);
    expect(lines[0]).toMatch(/ alice +token_expired +staff {2}/);
    expect(lines[1]).toMatch(/ alice +shadow · fault +strict {2}/);
  });

  test("lets no foreign text forge a line or paint one", () => {
    const path = "/a\nb\u001b[31mc\u202e";
    expect(linesOf([forwardEntry(1, { path })], 200).lines).toHaveLength(1);
    expect(linesOf([forwardEntry(1, { path })], 200).lines[0]).toContain("/a?b?[31mc?");
  });

  test("says of a record that is none any more where to look", () => {
    const records = recordsOf([forwardEntry(1)]).map((record) => ({ ...record, body: "{" }));
    const text = openTable({ ...once, sample: records, columns: 100 }).format(records);
    expect(text).toContain("damaged: claimgate audit verify tells more");
  });

  test("shows what is left when one record was tampered with", () => {
    const [first, ...others] = recordsOf([forwardEntry(1), denyEntry(2)]);
    const forged = { ...first, atMs: 9e17, body: '{"kind":"decision"}' } as ChainedRecord;
    const records = [forged, ...others];
    const text = openTable({ ...once, sample: records, columns: 200 }).format(records);
    expect(text).toContain("damaged: claimgate audit verify tells more");
    expect(text).toContain("role_missing");
  });

  test("paints only where there is colour", () => {
    const records = recordsOf([denyEntry(1)]);
    const options = { ...once, sample: records, columns: 200 };
    const text = openTable({ ...options, paint: ansi }).format(records);
    expect(text).toContain("\u001b[33m403\u001b[0m");
    expect(openTable(options).format(records)).not.toContain("\u001b");
  });
});
