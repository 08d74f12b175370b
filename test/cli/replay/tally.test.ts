import { expect, test } from "bun:test";
import type { DecisionEntry } from "../../../src/audit/entry.ts";
import { codeOf, OTHERS, openTally, tallyUp } from "../../../src/cli/replay/tally.ts";
import type { Judgement, Replayed } from "../../../src/gate/replay.ts";

const entry = (subject: string): DecisionEntry => ({
  kind: "decision",
  requestId: `id-${subject}`,
  at: "2026-01-05T10:00:00.000Z",
  method: "GET",
  scheme: "https",
  host: "app.acme.dev",
  path: "/",
  client: { ip: "10.0.0.7" },
  route: "home",
  decision: "forward",
  status: 200,
  token: { issuer: "dev", subject, expiresAt: "2026-01-05T11:00:00.000Z" },
  policies: [],
  ms: 1,
});

const passed: Judgement = { decision: "forward", status: 200 };
const denied: Judgement = {
  decision: "deny",
  status: 403,
  code: "policy_denied",
  policy: "staff",
  reason: "role_missing",
};
const replayed = (more: Partial<Replayed>): Replayed => ({
  before: passed,
  after: { decision: "forward" },
  lacking: [],
  shadow: [],
  ...more,
});

test("each decision is counted once", () => {
  const tally = openTally();
  tallyUp(tally, entry("a"), replayed({}), 10);
  tallyUp(tally, entry("b"), replayed({ after: denied }), 10);
  tallyUp(tally, entry("c"), replayed({ before: denied }), 10);
  tallyUp(tally, entry("d"), replayed({ before: denied, after: denied }), 10);
  const otherwise = { ...denied, reason: "outside_hours" };
  tallyUp(tally, entry("e"), replayed({ before: denied, after: otherwise }), 10);
  tallyUp(tally, entry("f"), replayed({ after: denied, lacking: ["claim a", "claim b"] }), 10);
  const { decisions, unchanged, deniedOtherwise, newlyDenied, newlyAllowed, unknown } = tally;
  expect({ decisions, unchanged, deniedOtherwise }).toEqual({
    decisions: 6,
    unchanged: 3,
    deniedOtherwise: 1,
  });
  expect(newlyDenied.examples.map(({ subject }) => subject)).toEqual(["b"]);
  expect(newlyAllowed.examples.map(({ subject }) => subject)).toEqual(["c"]);
  expect(unknown.examples.map(({ subject }) => subject)).toEqual(["f"]);
  expect([...tally.lacking]).toEqual([
    ["claim a", 1],
    ["claim b", 1],
  ]);
  expect([...newlyDenied.byCode]).toEqual([["policy_denied · staff: role_missing", 1]]);
});

test("what policies under shadow would refuse is counted apart", () => {
  const tally = openTally();
  const outcome = { name: "new-rule", ms: 1, shadow: true } as const;
  const shadow = [
    { ...outcome, verdict: "deny", code: "no" } as const,
    { ...outcome, name: "other", verdict: "allow" } as const,
    { ...outcome, name: "third", verdict: "challenge" } as const,
  ];
  tallyUp(tally, entry("a"), replayed({ shadow }), 10);
  expect([...tally.shadow]).toEqual([
    ["new-rule (no)", 1],
    ["third (challenge)", 1],
  ]);
  expect(tally.unchanged).toBe(1);
});

test("neither names nor examples grow without end", () => {
  const tally = openTally();
  for (let n = 0; n < 10_500; n += 1) {
    tallyUp(tally, entry(`user-${n}`), replayed({ after: denied }), 7);
  }
  const { count, examples, bySubject } = tally.newlyDenied;
  expect({ count, examples: examples.length, names: bySubject.size }).toEqual({
    count: 10_500,
    examples: 7,
    names: 10_001,
  });
  expect(bySubject.get(OTHERS)).toBe(500);
});

test.each<[Judgement, string]>([
  [passed, "forwarded"],
  [denied, "policy_denied · staff: role_missing"],
  [{ decision: "deny", code: "route_not_found" }, "route_not_found"],
  [{ decision: "deny", code: "token_expired", reason: "token_expired" }, "token_expired"],
  [
    { decision: "deny", code: "token_invalid", reason: "issuer_unknown" },
    "token_invalid · issuer_unknown",
  ],
])("%j is %s", (judgement, text) => {
  expect(codeOf(judgement)).toBe(text);
});
