import { describe, expect, test } from "bun:test";
import type { PolicyRef } from "../../src/config/resolved.ts";
import { compile } from "../../src/policy/compose.ts";
import { loaded, placeOf, policy, policyFolder, ref } from "./policy-folder.ts";

await using folder = await policyFolder({
  "staff.ts": policy(
    "claims: Type.Object({ roles: Type.Array(Type.String()), team: Type.String() }), evaluate: () => allow()",
  ),
  "finance/approver.ts": policy(
    `options: Type.Object({
       limit: Type.Number({ minimum: 1, default: 100, description: "The highest amount" }),
       rules: Type.Array(Type.Object({ path: Type.String(), strict: Type.Optional(Type.Boolean()) }), { default: [] }),
       zone: Type.String({ format: "time-zone", default: "UTC" }),
     }),
     claims: Type.Object({ sub: Type.String() }),
     evaluate: ({ options }) => deny("seen", JSON.stringify(options))`,
  ),
});
const set = await loaded(folder.path);

const all = (...of: readonly PolicyRef[]): PolicyRef => ({ kind: "all", of, path: ["all"] });
const any = (...of: readonly PolicyRef[]): PolicyRef => ({ kind: "any", of, path: ["any"] });
const not = (of: PolicyRef): PolicyRef => ({ kind: "not", of, path: ["not"] });
const shadow = (of: PolicyRef): PolicyRef => ({ kind: "shadow", of, path: ["shadow"] });

function findings(...refs: readonly PolicyRef[]) {
  const program = compile(refs, set, placeOf);
  return program.ok ? [] : program.error;
}

function optionsOf(written: unknown): unknown {
  const program = compile([ref("finance/approver", written)], set, placeOf);
  return program.ok ? program.value.leaves[0]?.options : program.error;
}

describe("compile()", () => {
  test("collects the claims that its policies declare", () => {
    const program = compile(
      [ref("staff"), any(ref("finance/approver"), ref("staff"))],
      set,
      placeOf,
    );
    expect(program.ok && program.value.declaredClaims).toEqual(["roles", "sub", "team"]);
  });

  test("collects the claims that options name", () => {
    const path = { path: "org.plan", equals: "pro" };
    const program = compile([ref("staff"), ref("require-claim", path)], set, placeOf);
    const { declaredClaims, claimNames } = program.ok ? program.value : {};
    expect({ declaredClaims, claimNames }).toEqual({
      declaredClaims: ["roles", "team"],
      claimNames: ["org.plan", "roles", "team"],
    });
  });

  test("an unknown policy, with what was meant", () => {
    const at = { ...ref("finance/aprover"), path: ["routes", 0, "policies", 1] } as const;
    expect(findings(at)).toEqual([
      {
        severity: "error",
        code: "policy_missing",
        message: 'there is no policy "finance/aprover"',
        file: "claimgate.yaml#routes/0/policies/1",
        line: 1,
        column: 1,
        fix: "did you mean finance/approver?",
      },
    ]);
  });

  test("a policy's name is compared exactly, and is no member of an object", () => {
    expect(findings(ref("Staff"), ref("constructor"), ref("__proto__"))).toMatchObject([
      { code: "policy_missing", fix: "did you mean staff?" },
      { code: "policy_missing" },
      { code: "policy_missing" },
    ]);
  });

  test("empty lists, wherever they are", () => {
    expect(findings()).toMatchObject([{ code: "policies_empty" }]);
    expect(findings(all())).toMatchObject([{ code: "policies_empty", file: "claimgate.yaml#all" }]);
    expect(findings(any())).toMatchObject([{ code: "policies_empty", file: "claimgate.yaml#any" }]);
    expect(findings(ref("staff"), not(any()))).toMatchObject([{ code: "policies_empty" }]);
    expect(findings(ref("staff"), shadow(all()))).toMatchObject([{ code: "policies_empty" }]);
  });

  test("nothing but shadows enforces nothing", () => {
    expect(findings(shadow(ref("staff")))).toMatchObject([{ code: "policies_unenforced" }]);
    expect(findings(all(shadow(ref("staff"))))).toMatchObject([{ code: "policies_unenforced" }]);
    expect(findings(shadow(ref("staff")), ref("staff"))).toEqual([]);
  });

  test("nothing but shadows is fine where any token passes anyway", () => {
    const program = compile([shadow(ref("staff"))], set, placeOf, { unenforced: "allow" });
    expect(program.ok).toBe(true);
  });

  test("any and not need something to decide on", () => {
    const vain = { code: "policies_unenforced" };
    expect(findings(ref("staff"), any(shadow(ref("staff"))))).toMatchObject([
      { ...vain, file: "claimgate.yaml#any" },
    ]);
    expect(findings(ref("staff"), not(all(shadow(ref("staff")))))).toMatchObject([
      { ...vain, file: "claimgate.yaml#not" },
    ]);
    expect(findings(any(shadow(ref("staff")), ref("staff")))).toEqual([]);
  });
});

describe("options", () => {
  const defaults = { limit: 100, rules: [], zone: "UTC" };

  test("are the defaults for a plain name", () => {
    expect(optionsOf(undefined)).toEqual(defaults);
    expect(optionsOf(null)).toEqual(defaults);
    expect(optionsOf({ limit: 5 })).toEqual({ ...defaults, limit: 5 });
  });

  test("are frozen, and a copy: what was written stays as it is", () => {
    const written = { rules: [{ path: "/" }] };
    const options = optionsOf(written);
    expect(Object.isFrozen(options)).toBe(true);
    expect(Object.isFrozen(Reflect.get(Object(options), "rules"))).toBe(true);
    expect(Object.isFrozen(written.rules)).toBe(false);
  });

  test.each([
    ["a wrong type", { limit: "5" }, "option_invalid", "limit"],
    ["out of bounds", { limit: 0 }, "option_invalid", "limit"],
    ["deep in a list", { rules: [{ path: "/" }, { path: 7 }] }, "option_invalid", "rules/1/path"],
    ["missing deep in a list", { rules: [{}] }, "option_invalid", "rules/0/path"],
    ["a format", { zone: "Europe/Nowhere" }, "option_invalid", "zone"],
    ["an unknown name", { limits: 5 }, "option_unknown", "limits"],
    [
      "an unknown name deep down",
      { rules: [{ path: "/", strikt: 1 }] },
      "option_unknown",
      "rules/0/strikt",
    ],
    ["a name of every object's", { constructor: 1 }, "option_unknown", "constructor"],
    ["a list", [], "option_invalid", ""],
    ["a string", "100", "option_invalid", ""],
  ])("%s has its place", (_what, written, code, place) => {
    const found = optionsOf(written);
    const suffix = place === "" ? "" : `/${place}`;
    expect(found).toMatchObject([{ code, file: `claimgate.yaml#finance/approver${suffix}` }]);
    expect(JSON.stringify(found)).toContain("finance/approver.ts");
  });

  test("say what is wanted, never what was written", () => {
    expect(optionsOf({ limit: "s3cret", zone: "s3cret" })).toMatchObject([
      {
        message: expect.stringMatching(/option limit: expected number$/),
        fix: "the highest amount",
      },
      { message: expect.stringMatching(/option zone: expected a time zone like Europe\/Vienna$/) },
    ]);
    expect(JSON.stringify(optionsOf({ limit: "s3cret", zone: "s3cret" }))).not.toContain("s3cret");
  });

  test("say what was meant", () => {
    expect(optionsOf({ limits: 5 })).toMatchObject([{ fix: "did you mean limit?" }]);
    expect(optionsOf({ rules: [{ path: "/", strikt: 1 }] })).toMatchObject([
      { fix: "did you mean strict?" },
    ]);
  });

  test("of a policy that takes none", () => {
    expect(findings(ref("staff", { role: "x" }))).toMatchObject([{ code: "options_unexpected" }]);
    expect(findings(ref("staff", {}))).toEqual([]);
  });
});
