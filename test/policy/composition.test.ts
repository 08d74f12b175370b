/** `all`, `any`, `not` and `shadow` against a small reference, written from the rules alone. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { PolicyRef } from "../../src/config/resolved.ts";
import { compile } from "../../src/policy/compose.ts";
import { evaluate } from "../../src/policy/evaluate.ts";
import type { Verdict } from "../../src/policy/verdict.ts";
import { compiled, loaded, placeOf, policy, policyFolder, question, ref } from "./policy-folder.ts";

/** What leaves answer. Each has a twin that answers later. */
const ANSWERS: Readonly<Record<string, string>> = {
  yes: `allow({ headers: { ["X-" + options.n]: "1" },
    rateLimit: { limit: 1 + options.n, per: "1m", by: "subject" } })`,
  no: 'deny("no_" + options.n, undefined, { revoke: "subject" })',
  ask: 'challenge({ acr: "acr" + options.n })',
  break: "undefined",
};
const files = Object.entries(ANSWERS).flatMap(([name, answer]) => {
  const options = "options: Type.Object({ n: Type.Number() })";
  return [
    [`${name}.ts`, policy(`${options}, evaluate: ({ options }) => ${answer}`)],
    [
      `${name}-later.ts`,
      policy(`${options}, evaluate: async ({ options }) => { await 1; return ${answer}; }`),
    ],
  ];
});
const mismatch =
  "options: Type.Object({ n: Type.Number() }), claims: Type.Object({ no: Type.Null() })";
await using folder = await policyFolder({
  ...Object.fromEntries(files),
  "unfit.ts": policy(`${mismatch}, evaluate: () => allow()`),
});
const set = await loaded(folder.path);

type Tree =
  | { leaf: string; n: number }
  | { all: Tree[] }
  | { any: Tree[] }
  | { not: Tree }
  | { shadow: Tree };

/** The verdict in one word and the policies asked, in order; "-" before those under shadow. */
type Told = { verdict: string; headers: string[]; limits: string[]; asked: string[] };

function toRef(tree: Tree): PolicyRef {
  if ("leaf" in tree) return ref(tree.leaf, { n: tree.n });
  if ("all" in tree) return { kind: "all", of: tree.all.map(toRef), path: [] };
  if ("any" in tree) return { kind: "any", of: tree.any.map(toRef), path: [] };
  if ("not" in tree) return { kind: "not", of: toRef(tree.not), path: [] };
  return { kind: "shadow", of: toRef(tree.shadow), path: [] };
}

/** Whether a tree takes part in its parent's verdict. */
function counts(tree: Tree): boolean {
  if ("leaf" in tree) return true;
  if ("shadow" in tree) return false;
  if ("not" in tree) return counts(tree.not);
  return ("all" in tree ? tree.all : tree.any).some(counts);
}

/** `firm` are denials that `not` cannot turn; a failed `any` is firm if one of its members is. */
type Reference = { verdict: string; firm?: string; headers: string[] };

function reference(tree: Tree, asked: string[], mark: string): Reference {
  if ("leaf" in tree) {
    const name = tree.leaf.replace("-later", "");
    asked.push(`${mark}${tree.leaf}`);
    if (name === "yes") return { verdict: "allow", headers: [`X-${tree.n}`] };
    if (name === "no") return { verdict: `deny no_${tree.n} revoke subject`, headers: [] };
    if (name === "unfit") {
      return { verdict: "deny claims_mismatch", firm: "deny claims_mismatch", headers: [] };
    }
    if (name === "ask") {
      return { verdict: `challenge acr${tree.n}`, firm: `challenge acr${tree.n}`, headers: [] };
    }
    return { verdict: "fault nonsense", firm: "fault nonsense", headers: [] };
  }
  if ("shadow" in tree) {
    reference(tree.shadow, asked, "-");
    return { verdict: "allow", headers: [] };
  }
  if ("not" in tree) {
    const inner = reference(tree.not, asked, mark);
    if (inner.verdict === "allow") return { verdict: "deny negated", headers: [] };
    if (inner.firm !== undefined) return { verdict: inner.firm, firm: inner.firm, headers: [] };
    return { verdict: "allow", headers: [] };
  }
  if ("all" in tree) {
    const headers: string[] = [];
    for (const member of tree.all) {
      const answer = reference(member, asked, mark);
      if (!counts(member)) continue;
      if (answer.verdict !== "allow") return { ...answer, headers: [] };
      headers.push(...answer.headers);
    }
    return { verdict: "allow", headers };
  }
  let last: Reference = { verdict: "allow", headers: [] };
  let firm: string | undefined;
  for (const member of tree.any) {
    const answer = reference(member, asked, mark);
    if (!counts(member)) continue;
    if (answer.verdict === "allow" || answer.verdict.startsWith("fault")) return answer;
    last = answer;
    firm = answer.firm ?? firm;
  }
  return firm === undefined ? last : { ...last, firm: last.firm ?? firm };
}

async function told(tree: Tree): Promise<Told> {
  const answer = evaluate(compiled(set, toRef(tree)), question(), 5_000);
  const { verdict, outcomes } = await answer;
  const code =
    verdict.kind === "challenge"
      ? ` ${verdict.challenge.acr?.join(" ")}`
      : "code" in verdict
        ? ` ${verdict.code}`
        : "";
  const revoke =
    verdict.kind === "deny" && verdict.revoke !== undefined ? ` revoke ${verdict.revoke}` : "";
  return {
    verdict: verdict.kind + code + revoke,
    headers: verdict.kind === "allow" ? Object.keys(verdict.headers).sort() : [],
    limits: limitsOf(verdict).sort(),
    asked: outcomes.map(({ name, shadow }) => `${shadow ? "-" : ""}${name}`),
  };
}

/** As the header of the same answer is called: every `yes` sets both. */
function limitsOf(verdict: Verdict): string[] {
  if (verdict.kind !== "allow") return [];
  return (verdict.rateLimits ?? []).map(({ limit }) => `X-${limit - 1}`);
}

const names = [...Object.keys(ANSWERS).flatMap((name) => [name, `${name}-later`]), "unfit"];

/** Numbers its leaves, so that one denial can be told from another. */
function numbered(tree: Tree, next = { n: 0 }): Tree {
  if ("leaf" in tree) return { leaf: tree.leaf, n: next.n++ };
  if ("not" in tree) return { not: numbered(tree.not, next) };
  if ("shadow" in tree) return { shadow: numbered(tree.shadow, next) };
  if ("all" in tree) return { all: tree.all.map((member) => numbered(member, next)) };
  return { any: tree.any.map((member) => numbered(member, next)) };
}

const trees = fc
  .letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      fc.constantFrom(...names).map((leaf): Tree => ({ leaf, n: 0 })),
      fc.array(tie("tree"), { minLength: 1, maxLength: 4 }).map((all): Tree => ({ all })),
      fc.array(tie("tree"), { minLength: 1, maxLength: 4 }).map((any): Tree => ({ any })),
      tie("tree").map((not): Tree => ({ not })),
      tie("tree").map((shadow): Tree => ({ shadow })),
    ),
  }))
  .tree.map((tree) => numbered(tree));

describe("composition", () => {
  test("is as the reference says, for any tree", async () => {
    let compared = 0;
    const property = fc.asyncProperty(trees, async (tree) => {
      // Trees in vain do not compile; compose.test.ts has them.
      fc.pre(compile([toRef(tree)], set, placeOf).ok);
      const asked: string[] = [];
      const { verdict, headers } = reference(tree, asked, "");
      const own = verdict === "allow" ? headers.sort() : [];
      expect(await told(tree)).toEqual({ verdict, headers: own, limits: own, asked });
      compared++;
    });
    await fc.assert(property, { numRuns: 1_500 });
    expect(compared).toBeGreaterThan(500);
  });

  const leaf = (name: string): Tree => ({ leaf: name, n: 0 });
  const verdictOf = async (tree: Tree) => (await told(numbered(tree))).verdict;

  test.each([
    ["yes", "deny negated"],
    ["no", "allow"],
    ["unfit", "deny claims_mismatch"],
    ["ask", "challenge acr0"],
    ["break", "fault nonsense"],
  ])("not %s is %s", async (name, verdict) => {
    expect(await verdictOf({ not: leaf(name) })).toBe(verdict);
    if (name !== "unfit") expect(await verdictOf({ not: leaf(`${name}-later`) })).toBe(verdict);
  });

  test.each([
    ["no", "yes", "allow"],
    ["yes", "break", "allow"],
    ["break", "yes", "fault nonsense"],
    ["no", "break", "fault nonsense"],
    ["no", "ask", "challenge acr1"],
    ["ask", "no", "deny no_1 revoke subject"],
    ["unfit", "yes", "allow"],
    ["no", "unfit", "deny claims_mismatch"],
  ])("any of %s and %s is %s", async (first, second, verdict) => {
    expect(await verdictOf({ any: [leaf(first), leaf(second)] })).toBe(verdict);
  });

  test.each([
    ["unfit", "no", "deny claims_mismatch"],
    ["no", "unfit", "deny claims_mismatch"],
    ["ask", "no", "challenge acr0"],
    ["no", "no", "allow"],
  ])(
    "not any of %s and %s is %s: what is not known is not turned",
    async (first, second, verdict) => {
      expect(await verdictOf({ not: { any: [leaf(first), leaf(second)] } })).toBe(verdict);
    },
  );

  test("headers and limits count from the branches that carried the result only", async () => {
    const tree = numbered({
      all: [
        leaf("yes"),
        { any: [{ all: [leaf("yes"), leaf("no")] }, leaf("yes-later")] },
        { not: { not: leaf("yes") } },
        { shadow: leaf("yes") },
      ],
    });
    expect(await told(tree)).toMatchObject({ headers: ["X-0", "X-3"], limits: ["X-0", "X-3"] });
  });

  test("shadow is neither an allow in any, nor a denial in all", async () => {
    expect(await verdictOf({ any: [{ shadow: leaf("yes") }, leaf("no")] })).toBe(
      "deny no_1 revoke subject",
    );
    expect(await verdictOf({ all: [{ shadow: leaf("no") }, leaf("yes")] })).toBe("allow");
    expect(await verdictOf({ all: [{ shadow: leaf("break-later") }, leaf("yes")] })).toBe("allow");
  });
});
