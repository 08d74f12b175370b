/**
 * An explanation as a tree: the verdict, then the way to it, step by step.
 *
 * @module
 */
import { type Paint, visible } from "../paint.ts";
import type { Check, ExplainedPolicy, Explanation } from "./explanation.ts";

type Branch = { readonly text: string; readonly below: readonly Branch[] };

/** What the token's check list begins with, up to what is the gate's own again. */
const GATES_OWN: ReadonlySet<string> = new Set([
  "request",
  "limits",
  "route",
  "credential",
  "revocation",
  "policies",
  "identity",
  "headers",
  "upstream",
]);

/** @returns Whole lines. Foreign text cannot forge one. */
export function explanationTree(explanation: Explanation, paint: Paint): string {
  const { decision, status, code, request, requestId } = explanation;
  const verdict = [decision, status, code].filter((part) => part !== null).join(" ");
  const lines = [
    paint(visible(verdict), decision === "forward" ? "green" : "red"),
    visible(request),
    ...(requestId === undefined ? [] : [`request id ${visible(requestId)}`]),
    ...draw(branchesOf(explanation, paint), ""),
    ...explanation.notes.map((note) => paint(visible(note), "dim")),
  ];
  return `${lines.join("\n")}\n`;
}

function branchesOf(explanation: Explanation, paint: Paint): readonly Branch[] {
  const { checks, upstream, advice, notAsked, content } = explanation;
  const branches: Branch[] = [];
  const token = checks.filter(({ name }) => !GATES_OWN.has(name));
  for (const check of checks) {
    if (!GATES_OWN.has(check.name)) {
      if (check === token[0]) branches.push(tokenBranch(token, content, paint));
      continue;
    }
    branches.push(branch(checkText(check, paint), belowOf(check, explanation, paint)));
  }
  if (!checks.some(({ name }) => name === "route")) {
    branches.push(...explanation.routeNotes.map((note) => branch(visible(note))));
  }
  if (notAsked.length > 0) branches.push(branch(`not asked: ${visible(notAsked.join(", "))}`));
  if (upstream !== undefined) {
    const headers = Object.entries(upstream.headers)
      .filter(([, value]) => value !== "")
      .map(([name, value]) => branch(visible(`${name}: ${value}`)));
    branches.push(
      branch(`to the upstream: ${visible(`${upstream.method} ${upstream.target}`)}`, headers),
    );
  }
  if (advice.length > 0) {
    const wishes = advice.map((wish) => branch(visible(wish)));
    branches.push(branch(paint("what it would take", "bold"), wishes));
  }
  return branches;
}

function tokenBranch(
  checks: readonly Check[],
  content: Explanation["content"],
  paint: Paint,
): Branch {
  const below = checks.map((check) => branch(checkText(check, paint)));
  if (content !== undefined) {
    const lines = content.lines.map((line) => branch(visible(line)));
    below.push(branch(paint(STANDINGS[content.standing], "dim"), lines));
  }
  return branch(`${markOf({ ok: checks.every(({ ok }) => ok) }, paint)} token`, below);
}

const STANDINGS: Readonly<Record<NonNullable<Explanation["content"]>["standing"], string>> = {
  verified: "it says (verified)",
  unverified: "it says (UNVERIFIED: anybody may have written this)",
  given: "it would say (as given, nothing signed)",
};

function belowOf({ name }: Check, explanation: Explanation, paint: Paint): readonly Branch[] {
  const { route, routeNotes, policies } = explanation;
  if (name === "policies") return policies.map((policy) => policyBranch(policy, paint));
  if (name !== "route") return [];
  const place = route === null ? [] : [branch(visible(`${route.file}:${route.line}`))];
  return [...place, ...routeNotes.map((note) => branch(visible(note)))];
}

function policyBranch({ outcome, places, source, options }: ExplainedPolicy, paint: Paint): Branch {
  const { name, verdict, code, detail, ms, shadow } = outcome;
  const said = [code, detail].filter((part) => part !== undefined).join(": ");
  const isSo = shadow ? " (shadow: not enforced)" : "";
  const words = `${name}${isSo} ${verdict}${said === "" ? "" : ` ${said}`}`;
  const text = `${markOf({ ok: verdict === "allow" }, paint)} ${visible(words)} ${paint(`${ms} ms`, "dim")}`;
  const where = [places.join(" or "), source].filter((part) => part !== undefined && part !== "");
  return branch(text, [
    ...(where.length === 0 ? [] : [branch(visible(where.join(", ")))]),
    ...(options === undefined ? [] : [branch(`options ${visible(options)}`)]),
  ]);
}

function checkText({ name, ok, detail }: Check, paint: Paint): string {
  const text = visible(detail === "" ? name : `${name}: ${detail}`);
  return `${markOf({ ok }, paint)} ${ok ? text : paint(text, "red")}`;
}

function markOf({ ok }: Pick<Check, "ok">, paint: Paint): string {
  return ok ? paint("✓", "green") : paint("✗", "red");
}

function branch(text: string, below: readonly Branch[] = []): Branch {
  return { text, below };
}

function draw(branches: readonly Branch[], indent: string): readonly string[] {
  return branches.flatMap(({ text, below }, at) => {
    const isLast = at === branches.length - 1;
    const deeper = `${indent}${isLast ? "   " : "│  "}`;
    return [`${indent}${isLast ? "└─" : "├─"} ${text}`, ...draw(below, deeper)];
  });
}
