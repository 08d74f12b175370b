import { expect, test } from "bun:test";
import type { Decision } from "../../src/gate/decide.ts";
import { recordDecision } from "../../src/gate/record.ts";
import type { Gate } from "../../src/gate/site.ts";
import type { Seen } from "../../src/ledger/sighting-entry.ts";
import { err } from "../../src/result.ts";
import type { Denial, Inquiry, Token } from "../../src/types.ts";

const CLIENT = {
  ip: "192.0.2.1",
  device: { platform: "unknown", browser: "unknown", mobile: false },
} as const;

const INQUIRY: Inquiry = {
  id: "request-1",
  method: "POST",
  scheme: "https",
  host: "app.example",
  authority: "app.example",
  path: "/orders",
  query: "",
  headers: new Headers(),
  client: CLIENT,
  nowMs: 0,
};

const TOKEN = {
  issuer: "https://id.example",
  issuerName: "main",
  subject: "alice",
  expiresAt: 3_600,
  session: "session-1",
  claims: {},
} as unknown as Token;

/** What the ledger has been told once this denial of alice's session is recorded. */
function seenOf(denial: Denial): readonly Seen[] {
  const seen: Seen[] = [];
  const gate = {
    metrics: { decided: () => {}, judged: () => {} },
    log: { decision: () => {}, event: () => {} },
    subjectHash: () => "hash",
    site: { entryPlan: { claims: "declared", query: [] } },
    ledger: {
      sightings: { note: (one: Seen) => void seen.push(one) },
      audit: { record: () => {} },
      summary: { admits: () => true },
      tokenHash: { of: () => undefined },
    },
  } as unknown as Gate;
  const route = { config: { name: "orders" } } as Decision["route"];
  const decision = { route, token: TOKEN, policies: [], result: err(denial) } as Decision;
  recordDecision(gate, Bun.nanoseconds(), { inquiry: INQUIRY, decision, result: err(denial) });
  return seen;
}

test("what a session's owner is refused is noted", () => {
  const seen = seenOf({ status: 403, code: "policy_denied", reason: "role_missing" });
  expect(seen).toMatchObject([{ token: { subject: "alice" }, denied: true }]);
});

test("what another site made the browser send is not its owner's doing", () => {
  expect(seenOf({ status: 403, code: "cross_site", reason: "origin_foreign" })).toEqual([]);
});
