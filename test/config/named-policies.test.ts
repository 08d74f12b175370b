import { expect, test } from "bun:test";
import { namedPolicies } from "../../src/config/named-policies.ts";
import type { PolicyRef } from "../../src/config/resolved.ts";

const path: readonly string[] = [];
const named = (name: string): PolicyRef => ({ kind: "policy", name, options: undefined, path });

test("finds what is named at any depth, in order, and what is under shadow", () => {
  const shadow: PolicyRef = { kind: "shadow", of: named("new-rule"), path };
  const not: PolicyRef = { kind: "not", of: named("weekend"), path };
  const any: PolicyRef = { kind: "any", of: [named("office"), not, shadow], path };
  const all: PolicyRef = { kind: "all", of: [any, named("staff")], path };
  const found = namedPolicies([named("staff"), all]);
  expect(found.map(({ ref, shadow: isShadow }) => [ref.name, isShadow])).toEqual([
    ["staff", false],
    ["office", false],
    ["weekend", false],
    ["new-rule", true],
    ["staff", false],
  ]);
});

test("what stands within a shadow is under it, negated or not", () => {
  const of: PolicyRef = {
    kind: "all",
    of: [{ kind: "not", of: named("a"), path }, named("b")],
    path,
  };
  expect(namedPolicies([{ kind: "shadow", of, path }]).map((one) => one.shadow)).toEqual([
    true,
    true,
  ]);
});
