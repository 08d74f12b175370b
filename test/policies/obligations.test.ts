/** What shipped policies say beyond their verdict, which cases do not compare. */
import { describe, expect, test } from "bun:test";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Claims } from "../../src/types.ts";
import { compiled, loaded, question, ref } from "../policy/policy-folder.ts";

const set = await loaded("/nowhere/policies");

async function ask(
  name: string,
  options: unknown,
  claims: Claims,
  headers: Readonly<Record<string, string>> = {},
) {
  const { inquiry, ...about } = question(claims);
  const asked = { ...about, inquiry: { ...inquiry, headers: new Headers(headers) } };
  const { verdict, outcomes } = await evaluate(compiled(set, ref(name, options)), asked, 1_000);
  return { verdict, outcome: outcomes[0] };
}

describe("break-glass", () => {
  const options = { anyOf: ["sre"] };
  const reason = (text: string) =>
    ask("break-glass", options, { roles: ["sre"] }, { "X-Break-Glass-Reason": text });

  test("is recorded with its reason, and as unusual", async () => {
    const { verdict, outcome } = await reason("INC-42: database is down");
    expect(verdict).toEqual({ kind: "allow", headers: {} });
    expect(outcome).toMatchObject({
      verdict: "allow",
      detail: "emergency access: INC-42: database is down",
      unusual: ["break_glass"],
    });
  });

  test.each([
    ["UTF-8", Buffer.from("Störung im Netz").toString("latin1"), "Störung im Netz"],
    ["Latin-1", "Störung im Netz", "Störung im Netz"],
    ["what a terminal obeys", "\u001b[31mred\u0007 alert\u009b2J", "[31mred alert 2J"],
    [
      "what turns text around",
      Buffer.from("abc\u202edef\u2028 ghi jkl").toString("latin1"),
      "abc def ghi jkl",
    ],
    ["a token that was pasted", `because ${"x".repeat(500)}`, `because ${"x".repeat(39)}…`],
  ])("takes of %s but text", async (_what, written, shown) => {
    expect((await reason(written)).outcome?.detail).toBe(`emergency access: ${shown}`);
  });

  test("keeps 200 characters of a reason", async () => {
    const { outcome } = await reason("word ".repeat(300));
    expect(outcome?.detail?.length).toBe("emergency access: ".length + 200);
  });

  test("notes who tries without the role, and nobody who does not try", async () => {
    const header = { "X-Break-Glass-Reason": "INC-42: database is down" };
    const tried = await ask("break-glass", options, { roles: ["staff"] }, header);
    expect(tried.outcome).toMatchObject({ code: "role_missing", unusual: ["break_glass_refused"] });
    const passing = await ask("break-glass", options, { roles: ["staff"] });
    expect(passing.outcome).toMatchObject({ code: "reason_missing" });
    expect(passing.outcome).not.toHaveProperty("unusual");
  });
});

describe("step-up", () => {
  test.each([
    [{ acr: ["urn:a", "urn:b"] }, { acr: ["urn:a", "urn:b"] }],
    [{ maxAge: "15m" }, { maxAge: 900 }],
    [
      { acr: ["urn:a"], maxAge: "1h", amr: ["otp"] },
      { acr: ["urn:a"], maxAge: 3_600 },
    ],
    [{ amr: ["otp"] }, { maxAge: 0 }],
  ])("with %p asks for %p", async (options, challenge) => {
    const { verdict } = await ask("step-up", options, {});
    expect(verdict).toEqual({ kind: "challenge", policy: "step-up", challenge });
  });
});

describe("group-mapping", () => {
  test("names the groups that would help", async () => {
    const groups = { eng: ["developer"], oncall: ["operator"], hr: ["people"] };
    const { verdict } = await ask(
      "group-mapping",
      { groups, anyOf: ["operator"] },
      { groups: ["hr"] },
    );
    expect(verdict).toMatchObject({ detail: "needs one of the roles operator (groups: oncall)" });
  });

  test("has its header never taken from clients", () => {
    const options = { groups: { eng: ["developer"] }, header: "X-App-Roles" };
    expect(compiled(set, ref("group-mapping", options)).headerNames).toEqual(["x-app-roles"]);
    expect(compiled(set, ref("break-glass", { anyOf: ["sre"] })).headerNames).toEqual([]);
  });
});
