/** The policies that come with the gate: their own cases, their options, and that one can be copied. */
import { describe, expect, test } from "bun:test";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { runCases } from "../../src/policy/cases.ts";
import { compile } from "../../src/policy/compose.ts";
import { shippedPolicies } from "../../src/policy/shipped.ts";
import { typecheckPolicies } from "../../src/policy/typecheck.ts";
import { loaded, placeOf, policyFolder, ref } from "../policy/policy-folder.ts";

const SOURCES = join(import.meta.dir, "../../policies");
const NAMES =
  "break-glass client-network country device group-mapping office-hours owns-resource require-claim require-roles require-scopes step-up token-age unusual-activity".split(
    " ",
  );
const set = await loaded("/nowhere/policies");

function problems(name: string, options?: unknown): string[] {
  const program = compile([ref(name, options)], set, placeOf);
  return program.ok ? [] : program.error.map(({ code }) => code);
}

describe("shipped policies", () => {
  test("are these, each embedded with its text", async () => {
    const policies = (await readdir(SOURCES)).filter((name) => !name.startsWith("_"));
    expect(policies.sort()).toEqual(NAMES.map((name) => `${name}.ts`));
    expect(shippedPolicies.map(({ name }) => name)).toEqual(NAMES);
    for (const { name, text } of shippedPolicies) {
      expect(text).toBe(await readFile(join(SOURCES, `${name}.ts`), "utf8"));
    }
  });

  test("hold all their cases, and have some for allow and for what is refused", async () => {
    const results = await runCases(set, { timeoutMs: 250 });
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
    for (const name of NAMES) {
      const expected = results.filter(({ policy }) => policy === name).map((one) => one.expected);
      expect(expected).toContain("allow");
      expect(expected.length).toBeGreaterThanOrEqual(5);
      expect(expected.some((one) => one !== "allow")).toBe(true);
    }
    const lines = results.map(({ policy, line }) => `${policy}:${line}`);
    expect(new Set(lines).size).toBe(lines.length);
  });

  test("can be copied into a folder of one's own: they load, type-check and hold", async () => {
    await using folder = await policyFolder();
    await using state = await policyFolder();
    for (const { name, text } of shippedPolicies) await folder.write({ [`${name}.ts`]: text });
    for (const name of await readdir(SOURCES)) {
      const text = await readFile(join(SOURCES, name), "utf8");
      if (name.startsWith("_")) await folder.write({ [name]: text });
    }
    expect(await typecheckPolicies(folder.path, state.path)).toEqual([]);
    const copied = await loaded(folder.path);
    expect([...copied.policies.values()].some(({ shipped }) => shipped)).toBe(false);
    const results = await runCases(copied, { timeoutMs: 250 });
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
  });

  test("describe themselves and every option", () => {
    for (const { description, options } of set.policies.values()) {
      expect(description.length).toBeGreaterThan(20);
      for (const option of Object.values<{ description?: string }>(options?.properties ?? {})) {
        expect(option.description?.length).toBeGreaterThan(10);
      }
    }
  });

  test("two work without options", () => {
    const working = NAMES.filter((name) => problems(name).length === 0);
    expect(working).toEqual(["office-hours", "unusual-activity"]);
  });

  test.each([
    ["require-roles", { anyOf: [] }],
    ["require-roles", { anyOf: "admin" }],
    ["require-roles", { anyof: ["admin"] }],
    ["require-scopes", { allOf: ["two words"] }],
    ["require-scopes", { allOf: ['quo"te'] }],
    ["require-claim", { path: "plan" }],
    ["require-claim", { path: "plan", matches: "(" }],
    ["require-claim", { path: "plan", matches: "x".repeat(513) }],
    ["require-claim", { path: "plan", oneOf: [] }],
    ["require-claim", { equals: "x", matches: "x" }],
    ["office-hours", { timeZone: "Vienna" }],
    ["office-hours", { days: ["monday"] }],
    ["office-hours", { days: [] }],
    ["office-hours", { from: "9:00" }],
    ["office-hours", { from: "24:00" }],
    ["office-hours", { to: "25:00" }],
    ["office-hours", { holidays: ["2026-02-30"] }],
    ["client-network", { allow: ["10.0.0.0/33"] }],
    ["client-network", { allow: ["10.0.0.1/8"] }],
    ["client-network", { allow: [] }],
    ["country", { unknown: "allow" }],
    ["country", { allow: ["at"] }],
    ["country", { allow: ["AT"], unknown: "maybe" }],
    ["token-age", { maxAge: "15" }],
    ["token-age", { maxAge: 900 }],
    ["device", { mobile: "yes" }],
    ["step-up", {}],
    ["step-up", { acr: [] }],
    ["step-up", { acr: "mfa" }],
    ["step-up", { amr: ["two words"] }],
    ["step-up", { maxAge: "900" }],
    ["group-mapping", { groups: {} }],
    ["group-mapping", { groups: { eng: [] } }],
    ["group-mapping", { groups: { eng: ["a,b"] } }],
    ["group-mapping", { groups: { eng: ["dev"] }, anyOf: [] }],
    ["group-mapping", { groups: { eng: ["dev"] }, header: "X-Forwarded-User" }],
    ["group-mapping", { groups: { eng: ["dev"] }, header: "Host" }],
    ["group-mapping", { groups: { eng: ["dev"] }, others: "maybe" }],
    ["owns-resource", { path: "/users" }],
    ["owns-resource", { path: "users/:id" }],
    ["owns-resource", { path: "/users/:id/orders/:order" }],
    ["owns-resource", { path: "/users/:id?x=1" }],
    ["owns-resource", { path: "/users/:id", bypass: [] }],
    ["break-glass", { anyOf: [] }],
    ["break-glass", { anyOf: ["sre"], header: "two words" }],
    ["break-glass", { anyOf: ["sre"], minLength: 0 }],
    ["break-glass", { anyOf: ["sre"], minLength: 201 }],
    ["unusual-activity", { atMost: "ban" }],
    ["unusual-activity", { threshold: 0 }],
    ["unusual-activity", { signInWithin: "soon" }],
    ["unusual-activity", { travel: { action: "shout" } }],
    ["unusual-activity", { travel: { fasterThanKmh: 0 } }],
    ["unusual-activity", { travel: { fasterThan: 900 } }],
    ["unusual-activity", { newDevice: { weight: -1 } }],
    ["unusual-activity", { burst: { times: 1.5 } }],
  ])("%s refuses the options %p", (name, options) => {
    expect(problems(name, options)).not.toEqual([]);
  });
});
