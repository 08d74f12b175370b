/** What policies find unusual is carried by their outcomes, whatever the route's answer is. */
import { describe, expect, test } from "bun:test";
import type { PolicyRef } from "../../src/config/resolved.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import { compiled, loaded, policy, policyFolder, question, ref } from "./policy-folder.ts";

await using folder = await policyFolder({
  "notes.ts": policy('evaluate: () => allow({ unusual: ["new_device", "new_network"] })'),
  "notes-late.ts": policy('evaluate: async () => allow({ unusual: ["new_device"] })'),
  "quiet.ts": policy("evaluate: () => allow({ unusual: [] })"),
  "refuses.ts": policy('evaluate: () => deny("stolen", "why", { unusual: true })'),
  "lists.ts": policy('evaluate: () => deny("stolen", "why", { unusual: ["far_away"] })'),
  "revokes.ts": policy('evaluate: () => deny("stolen", "why", { revoke: "token" })'),
  "plain.ts": policy('evaluate: () => deny("plain")'),
  "asks.ts": policy('evaluate: () => challenge({ acr: "mfa", unusual: ["new_device"] })'),
});
const set = await loaded(folder.path);

/** Name and what it found unusual, of every policy that was asked. */
async function noted(...refs: readonly PolicyRef[]) {
  const { verdict, outcomes } = await evaluate(compiled(set, ...refs), question(), 1_000);
  expect(verdict).not.toHaveProperty("unusual");
  return Object.fromEntries(outcomes.map(({ name, unusual }) => [name, unusual]));
}

const node = (kind: "all" | "any", ...of: readonly PolicyRef[]): PolicyRef => ({
  kind,
  of,
  path: [],
});
const around = (kind: "not" | "shadow", of: PolicyRef): PolicyRef => ({ kind, of, path: [] });

describe("unusual", () => {
  test.each([
    ["notes", ["new_device", "new_network"]],
    ["notes-late", ["new_device"]],
    ["quiet", undefined],
    ["refuses", ["stolen"]],
    ["lists", ["far_away"]],
    ["revokes", ["stolen"]],
    ["plain", undefined],
    ["asks", ["new_device"]],
  ])("of %s is %p", async (name, expected) => {
    expect(await noted(ref(name))).toEqual({ [name]: expected });
  });

  test("counts even when another policy denies", async () => {
    expect(await noted(ref("notes"), ref("plain"))).toEqual({
      notes: ["new_device", "new_network"],
      plain: undefined,
    });
  });

  test("counts in a branch of any that did not carry the result", async () => {
    expect(await noted(node("any", ref("refuses"), ref("quiet")))).toEqual({
      refuses: ["stolen"],
      quiet: undefined,
    });
  });

  test("does not count under not or shadow, however deep", async () => {
    const other = ref("quiet");
    expect(await noted(around("shadow", ref("refuses")), other)).toEqual({
      refuses: undefined,
      quiet: undefined,
    });
    const denied = around("not", node("any", ref("refuses"), ref("plain")));
    expect(await noted(denied)).toEqual({ refuses: undefined, plain: undefined });
    const twice = around("not", around("not", ref("notes")));
    expect(await noted(twice)).toEqual({ notes: undefined });
    const shadowed = around("shadow", around("not", ref("refuses")));
    expect(await noted(shadowed, other)).toEqual({ refuses: undefined, quiet: undefined });
  });

  test.each([
    '{ verdict: "allow", unusual: "new_device" }',
    '{ verdict: "allow", unusual: ["New Device"] }',
    '{ verdict: "allow", unusual: [1] }',
    '{ verdict: "allow", unusual: Array(17).fill("a") }',
    '{ verdict: "allow", unusual: true }',
    '{ verdict: "deny", code: "no", unusual: "far_away" }',
    '{ verdict: "deny", code: "no", unusual: ["x".repeat(65)] }',
    '{ verdict: "challenge", acr: "mfa", unusual: [null] }',
  ])("%s is nonsense", async (answer) => {
    await using other = await policyFolder({ "one.ts": policy(`evaluate: () => (${answer})`) });
    const own = await loaded(other.path);
    const { verdict } = await evaluate(compiled(own, ref("one")), question(), 1_000);
    own.dispose();
    expect(verdict).toMatchObject({ kind: "fault", code: "nonsense" });
  });
});
