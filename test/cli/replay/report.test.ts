import { expect, test } from "bun:test";
import { replayText } from "../../../src/cli/replay/report.ts";
import { type Change, openTally } from "../../../src/cli/replay/tally.ts";

function lost(subject: string, number: number, route = "orders"): Change {
  return {
    requestId: `id-${number}`,
    at: "2026-01-05T10:00:00.000Z",
    method: "GET",
    host: "app.acme.dev",
    path: `/${number}`,
    route,
    subject,
    before: { decision: "forward" },
    after: { decision: "deny", status: 403, code: "policy_denied" },
  };
}

/** @returns Path and subject of each example that is shown. */
function shown(examples: readonly Change[]): readonly string[] {
  const tally = openTally();
  tally.newlyDenied.count = examples.length;
  tally.newlyDenied.examples.push(...examples);
  const text = replayText(tally, (word) => word);
  return [...text.matchAll(/GET app\.acme\.dev(\/\d+ by \w+):/g)].map(([, one = ""]) => one);
}

test("who was denied once is not hidden behind who was denied often", () => {
  const often = [1, 2, 3, 4, 5, 6, 7].map((number) => lost("paula", number));
  expect(shown([...often, lost("lukas", 8), lost("paula", 9, "billing")])).toEqual([
    "/1 by paula",
    "/2 by paula",
    "/3 by paula",
    "/8 by lukas",
    "/9 by paula",
  ]);
});

test("five of many people are the latest five", () => {
  const many = ["a", "b", "c", "d", "e", "f"].map((name, index) => lost(name, index));
  expect(shown(many)).toHaveLength(5);
  expect(shown(many)[0]).toBe("/0 by a");
});
