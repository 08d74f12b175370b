import { expect, test } from "bun:test";
import { explainPolicies, type PlacedPolicy } from "../../../src/cli/explain/places.ts";
import type { PolicyOutcome } from "../../../src/types.ts";

const at = (line: number, name: string, shadow = false): PlacedPolicy => ({
  name,
  shadow,
  options: { line },
  place: `claimgate.yaml:${line}`,
});

const outcome = (name: string, shadow = false): PolicyOutcome => ({
  name,
  verdict: "allow",
  ms: 0.1,
  shadow,
});

function placesOf(outcomes: readonly PolicyOutcome[], placed: readonly PlacedPolicy[]) {
  const { policies, notAsked } = explainPolicies(outcomes, placed, () => undefined);
  return { places: policies.map(({ places, options }) => [...places, options]), notAsked };
}

test("a policy that was asked at each of its places has them in order", () => {
  const placed = [at(1, "roles"), at(2, "hours"), at(3, "roles"), at(4, "roles", true)];
  const outcomes = [outcome("roles"), outcome("hours"), outcome("roles")];
  expect(placesOf(outcomes, placed)).toEqual({
    places: [
      ["claimgate.yaml:1", '{"line":1}'],
      ["claimgate.yaml:2", '{"line":2}'],
      ["claimgate.yaml:3", '{"line":3}'],
    ],
    notAsked: ["roles (claimgate.yaml:4)"],
  });
});

test("one that was asked fewer times may have been meant at any of them, and none is guessed", () => {
  const placed = [at(1, "roles"), at(2, "roles"), at(3, "roles", true)];
  expect(placesOf([outcome("roles"), outcome("roles", true)], placed)).toEqual({
    places: [
      ["claimgate.yaml:1", "claimgate.yaml:2", undefined],
      ["claimgate.yaml:3", '{"line":3}'],
    ],
    notAsked: [],
  });
});
