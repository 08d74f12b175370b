import { expect, test } from "bun:test";
import { openAdminGate } from "../admin/admin-gate.ts";

const policy = (revoke: "token" | "subject") => `import { definePolicy, deny } from "claimgate";
export default definePolicy({
  description: "Takes every token away",
  evaluate: () => deny("thief", "not the owner", { revoke: ${JSON.stringify(revoke)} }),
  cases: [{ name: "all", expect: "deny thief" }],
});
`;

test("what a policy revokes is named in the audit as by hand: of an issuer by its name", async () => {
  await using gate = await openAdminGate();
  for (const [revoke, path] of [
    ["token", "/staff/1"],
    ["subject", "/staff/2"],
  ] as const) {
    await gate.folder.write("policies/staff.ts", policy(revoke));
    expect((await gate.json("/v1/reload", { method: "POST" })).status).toBe(200);
    expect(await gate.visit(path, "mallory")).toBe(403);
  }
  const { body } = await gate.json("/v1/decisions?kind=act");
  const acts = body.decisions.filter(({ act }: { act: string }) => act === "revoke");
  const { jti } = (await gate.json("/v1/tokens")).body.tokens.at(-1);
  expect(acts).toMatchObject([
    { actor: "policy staff", target: "subject mallory of dev", reason: "thief" },
    { actor: "policy staff", target: `jti ${jti} of dev`, reason: "thief" },
  ]);
});
