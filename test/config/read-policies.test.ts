import { describe, expect, test } from "bun:test";
import { loadValid, placesOf } from "./load-text.ts";

const withPolicies = (list: string) => `issuers: [{ name: dev, development: true }]
routes:
  - upstream: echo
    policies:
${list.replace(/^/gm, "      ")}
`;

describe("policies", () => {
  test("reads names, options and what stands around them, each with its path", async () => {
    const config = await loadValid(
      withPolicies(`- staff
- require-roles: { anyOf: [admin] }
- finance/approver:
- any: [office, { not: { hours: { from: 9 } } }]
- all:
    - a
- shadow: { any: [b, c] }`),
    );
    const at = (...rest: (string | number)[]) => ["routes", 0, "policies", ...rest];
    expect<unknown>(config.routes[0]?.policies).toEqual([
      { kind: "policy", name: "staff", options: undefined, path: at(0) },
      { kind: "policy", name: "require-roles", options: { anyOf: ["admin"] }, path: at(1) },
      { kind: "policy", name: "finance/approver", options: undefined, path: at(2) },
      {
        kind: "any",
        path: at(3),
        of: [
          { kind: "policy", name: "office", options: undefined, path: at(3, "any", 0) },
          {
            kind: "not",
            path: at(3, "any", 1),
            of: {
              kind: "policy",
              name: "hours",
              options: { from: 9 },
              path: at(3, "any", 1, "not"),
            },
          },
        ],
      },
      {
        kind: "all",
        path: at(4),
        of: [{ kind: "policy", name: "a", options: undefined, path: at(4, "all", 0) }],
      },
      {
        kind: "shadow",
        path: at(5),
        of: {
          kind: "any",
          path: at(5, "shadow"),
          of: [
            { kind: "policy", name: "b", options: undefined, path: at(5, "shadow", "any", 0) },
            { kind: "policy", name: "c", options: undefined, path: at(5, "shadow", "any", 1) },
          ],
        },
      },
    ]);
    expect(config.positionOf(at(3, "any", 1, "not", "hours", "from"))).toEqual({
      line: 8,
      column: 47,
    });
  });

  test.each([
    ["- 7", "5:9"],
    ["- [a]", "5:9"],
    ["- {}", "5:9"],
    ["-", "5:8"],
    ["- a: 1\n  b: 2", "5:9"],
    ['- ""', "5:9"],
    ["- any", "5:9"],
    ["- any: []", "5:9"],
    ["- all: []", "5:9"],
    ["- any: a", "5:9"],
    ["- any:", "5:9"],
    ["- not: []", "5:9"],
    ["- not: [a]", "5:9"],
    ["- not:", "5:9"],
    ["- a\n- shadow: [b]", "6:9"],
    ["- not: { shadow: a }", "5:16"],
    ["- any: [a, { shadow: b }]", "5:20"],
    ["- all: [{ shadow: b }]", "5:17"],
    ["- a\n- shadow: { shadow: b }", "6:19"],
    [`- ${"{ not: ".repeat(17)}a${" }".repeat(17)}`, "5:123"],
  ])("%j is refused", async (list, place) => {
    expect(await placesOf(withPolicies(list))).toEqual([`${place} policy_entry_invalid`]);
  });
});
