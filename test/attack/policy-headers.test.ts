/** Headers that a policy sets for some callers, sent by those for whom it does not. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type AttackGate, bearer, NOW, openAttackGate, shoot, untilStatus } from "./attack-gate.ts";
import { forge, makeKey } from "./forge.ts";

/** Its cases set both headers and expect but one of them by name. */
const TIER = `
import { allow, definePolicy } from "claimgate";
export default definePolicy({
  description: "Tells the tier of those who have one",
  evaluate({ claims }) {
    if (claims.tier === "gold") return allow({ headers: { "X-Tier": "gold" } });
    return claims.tier === "silver" ? allow({ headers: { "X-Discount": "5" } }) : allow();
  },
  cases: [
    { name: "gold", claims: { tier: "gold" }, expect: "allow" },
    { name: "silver", claims: { tier: "silver" }, expect: { allow: { headers: { "X-Discount": "5" } } } },
    { name: "none", expect: "allow" },
  ],
});
`;

/** A header that only the options name, set only for some of those who pass. */
const MAPPING = { groups: { eng: ["developer"] }, header: "X-Mapped" };

const key = makeKey("P-256");
let gate: AttackGate;

beforeAll(async () => {
  const jwks = JSON.stringify({ keys: [{ ...key.jwk, kid: "one" }] });
  gate = await openAttackGate(
    {
      issuers: [
        { name: "main", issuer: "https://main.test", audiences: ["api"], jwks: "jwks.json" },
      ],
      routes: [
        { name: "tier", upstream: "echo", policies: ["tier"] },
        {
          name: "mapped",
          match: { path: "/mapped" },
          upstream: "echo",
          policies: [{ any: [{ not: "tier" }, { "group-mapping": MAPPING }, "tier"] }],
        },
        { name: "public", match: { path: "/public" }, upstream: "echo", public: true },
      ],
    },
    { "jwks.json": jwks, "policies/tier.ts": TIER },
  );
  await untilStatus(200, () => shoot(gate, { lines: [bearer(mint({}))] }));
});

afterAll(() => gate[Symbol.asyncDispose]());

function mint(claims: object): string {
  const usual = { iss: "https://main.test", aud: "api", sub: "mallory", exp: NOW + 300 };
  return forge({ alg: "ES256", kid: "one" }, { ...usual, ...claims }, key, "ES256");
}

async function upstreamSees(target: string, lines: readonly string[]) {
  const { body } = await shoot(gate, { target, lines });
  return JSON.parse(body).headers;
}

test.each(["X-Tier", "x_tier", "X.Tier", "X-Discount", "X_DISCOUNT", "X-Mapped", "x.mapped"])(
  "%s is never the client's word",
  async (name) => {
    const forged = `${name}: forged`;
    for (const [target, lines] of [
      ["/", [bearer(mint({})), forged]],
      ["/", [bearer(mint({ tier: "gold" })), forged]],
      ["/mapped", [bearer(mint({})), forged]],
      ["/public", [forged]],
    ] as const) {
      expect(JSON.stringify(await upstreamSees(target, lines))).not.toContain("forged");
    }
  },
);

test("and the policy's own passes", async () => {
  const lines = [bearer(mint({ tier: "gold" })), "X-Tier: forged"];
  expect((await upstreamSees("/", lines))["x-tier"]).toBe("gold");
  const mapped = [bearer(mint({ groups: ["eng"] })), "X-Mapped: forged"];
  expect((await upstreamSees("/mapped", mapped))["x-mapped"]).toBe("developer");
});
