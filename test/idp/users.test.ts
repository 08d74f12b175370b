import { describe, expect, test } from "bun:test";
import { claimsOf, readUser } from "../../src/idp/users.ts";

describe("readUser()", () => {
  test("takes blanks off the subject and the roles, and drops empty roles", () => {
    const result = readUser(" dora ", " staff , admin,,");
    expect(result).toEqual({ ok: true, value: { subject: "dora", roles: ["staff", "admin"] } });
  });

  test.each([
    ["no subject", "  ", ""],
    ["a subject that is too long", "a".repeat(256), ""],
    ["a control character in the subject", "a\u0000b", ""],
    ["a control character in a role", "a", "st\u0007aff"],
    ["a role that is too long", "a", "r".repeat(129)],
    ["too many roles", "a", Array.from({ length: 51 }, (_, i) => `r${i}`).join(",")],
  ])("refuses %s", (_, subject, roles) => {
    expect(readUser(subject, roles)).toEqual({ ok: false, error: expect.any(String) });
  });
});

describe("claimsOf()", () => {
  const user = { subject: "dora", roles: ["staff"] };

  test.each([
    [[], { roles: ["staff"] }],
    [["profile"], { roles: ["staff"], name: "dora", preferred_username: "dora" }],
    [["email"], { roles: ["staff"], email: "dora@example.test", email_verified: true }],
  ])("tells within the scopes %p", (scopes, claims) => {
    expect(claimsOf(user, scopes)).toEqual(claims);
  });

  test("tells of no roles by an empty list", () => {
    expect(claimsOf({ subject: "carol", roles: [] }, [])).toEqual({ roles: [] });
  });

  test("takes an address for the subject's own", () => {
    const claims = claimsOf({ subject: "dora@acme.dev", roles: [] }, ["email"]);
    expect(claims).toMatchObject({ email: "dora@acme.dev" });
  });
});
