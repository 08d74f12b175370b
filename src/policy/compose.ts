/**
 * Turns a route's policies, as the configuration names them, into a program: names resolved,
 * options checked, the tree of `all`, `any`, `not` and `shadow` ready to be walked.
 *
 * @module
 */
import { TypeGuard } from "@sinclair/typebox";
import type { PolicyRef, YamlPath } from "../config/resolved.ts";
import type { Finding } from "../errors.ts";
import { suggest } from "../lib/suggest.ts";
import { err, ok, type Result } from "../result.ts";
import type { LoadedPolicy, PolicySet } from "./load.ts";
import { placeOfText } from "./load-findings.ts";
import { resolveOptions } from "./options.ts";

export type Leaf = {
  readonly kind: "policy";
  /** Its place among the program's leaves. */
  readonly index: number;
  readonly policy: LoadedPolicy;
  readonly options: unknown;
  /** Under `shadow`: recorded, never enforced. */
  readonly shadow: boolean;
  /** What it finds unusual is noted: it is neither under `shadow` nor under `not`. */
  readonly notes: boolean;
  readonly neutral: false;
};

/** A neutral node is `shadow`, or made of nothing else: for its parent it neither allows nor denies. */
export type Node =
  | Leaf
  | { readonly kind: "all" | "any"; readonly of: readonly Node[]; readonly neutral: boolean }
  | { readonly kind: "not"; readonly of: Node; readonly name: string; readonly neutral: boolean }
  | { readonly kind: "shadow"; readonly of: Node; readonly neutral: true };

export type Program = {
  readonly root: Node;
  readonly leaves: readonly Leaf[];
  readonly set: PolicySet;
  /** Top-level names in the claims schemas of its policies, sorted. */
  readonly declaredClaims: readonly string[];
  /** Those, and claims that options name, sorted; of these, dotted paths too. */
  readonly claimNames: readonly string[];
  /** Headers that its policies' options name as theirs to set, in lower case. */
  readonly headerNames: readonly string[];
  /**
   * For claims seen before, which leaves' schemas they fit, by leaf. Claims are frozen, so
   * the answer holds as long as they live.
   */
  readonly fits: WeakMap<object, (boolean | undefined)[]>;
};

type Place = { readonly file: string; readonly line: number; readonly column: number };
type PlaceOf = (path: YamlPath) => Place;

type CompileOptions = {
  /**
   * What to do with a route whose policies are all under `shadow`, so that none is enforced:
   * an error, or, where the route lets any verified token pass anyway, fine.
   */
  readonly unenforced: "refuse" | "allow";
};

/**
 * @param refs A route's policies: all must allow.
 * @param placeOf Where a value, or its nearest ancestor, stands in the configuration.
 * @returns The program, or everything that is wrong with the references.
 */
export function compile(
  refs: readonly PolicyRef[],
  set: PolicySet,
  placeOf: PlaceOf,
  options: CompileOptions = { unenforced: "refuse" },
): Result<Program, readonly Finding[]> {
  const findings: Finding[] = [];
  const leaves: Leaf[] = [];
  const context: Context = { set, placeOf, findings, leaves };
  const of = refs.map((ref) => nodeOf(ref, "plain", context)).filter((node) => node !== undefined);
  const root: Node = { kind: "all", of, neutral: of.every(({ neutral }) => neutral) };

  if (refs.length === 0) {
    findings.push(emptyList("a route's policies", placeOf([])));
  } else if (findings.length === 0 && root.neutral && options.unenforced === "refuse") {
    findings.push({
      severity: "error",
      code: "policies_unenforced",
      message: "all policies of this route are under shadow: nothing would be enforced",
      ...placeOf(refs[0]?.path ?? []),
      fix: "add a policy that is enforced, or anyAuthenticated: true",
    });
  }
  if (findings.length > 0) return err(findings);
  const declared = declaredClaims(leaves);
  const named = {
    declaredClaims: declared,
    claimNames: [...new Set([...declared, ...namedByOptions(leaves, "claim")])].sort(),
    headerNames: headerNames(leaves),
  };
  return ok({ root, leaves, set, ...named, fits: new WeakMap() });
}

type Context = {
  readonly set: PolicySet;
  readonly placeOf: PlaceOf;
  readonly findings: Finding[];
  readonly leaves: Leaf[];
};

/** Whether what a policy answers is enforced as it is, turned by a `not`, or under `shadow`. */
type Mode = "plain" | "negated" | "shadow";

function nodeOf(ref: PolicyRef, mode: Mode, context: Context): Node | undefined {
  switch (ref.kind) {
    case "policy":
      return leafOf(ref, mode, context);
    case "shadow": {
      const of = nodeOf(ref.of, "shadow", context);
      return of && { kind: "shadow", of, neutral: true };
    }
    case "not": {
      const of = nodeOf(ref.of, mode === "plain" ? "negated" : mode, context);
      if (of === undefined) return undefined;
      if (of.neutral) refuseVain(ref, context);
      return { kind: "not", of, name: nameOf(of), neutral: of.neutral };
    }
    case "all":
    case "any": {
      const { placeOf, findings } = context;
      if (ref.of.length === 0) findings.push(emptyList(ref.kind, placeOf(ref.path)));
      const of = ref.of
        .map((member) => nodeOf(member, mode, context))
        .filter((node) => node !== undefined);
      // A list that is not whole has its findings already.
      if (of.length === 0 || of.length < ref.of.length) return undefined;
      const neutral = of.every((node) => node.neutral);
      if (ref.kind === "any" && neutral) refuseVain(ref, context);
      return { kind: ref.kind, of, neutral };
    }
  }
}

function leafOf(
  ref: Extract<PolicyRef, { kind: "policy" }>,
  mode: Mode,
  { set, placeOf, findings, leaves }: Context,
): Leaf | undefined {
  const policy = set.policies.get(ref.name);
  if (policy === undefined) {
    findings.push(missingPolicy(ref.name, set, placeOf(ref.path)));
    return undefined;
  }
  const options = resolveOptions(policy, ref.options);
  if (!options.ok) {
    const schema = placeOfText(policy.source, ["options:"]);
    const declared = `${policy.file}:${schema.line}:${schema.column}`;
    for (const { code, message, path, fix } of options.error) {
      const place = placeOf([...ref.path, ref.name, ...path]);
      const about = `policy ${ref.name} (${declared}) ${message}`;
      findings.push({ severity: "error", code, message: about, ...place, fix });
    }
    return undefined;
  }
  const leaf: Leaf = {
    kind: "policy",
    index: leaves.length,
    policy,
    options: options.value,
    shadow: mode === "shadow",
    notes: mode === "plain",
    neutral: false,
  };
  leaves.push(leaf);
  return leaf;
}

function missingPolicy(name: string, set: PolicySet, place: Place): Finding {
  const meant = suggest(name, set.policies.keys());
  return {
    severity: "error",
    code: "policy_missing",
    message: `there is no policy ${JSON.stringify(name)}`,
    ...place,
    fix:
      meant === undefined
        ? `write ${name}.ts in the policies folder, or use one of: ${[...set.policies.keys()].sort().join(", ")}`
        : `did you mean ${meant}?`,
  };
}

function emptyList(what: string, place: Place): Finding {
  return {
    severity: "error",
    code: "policies_empty",
    message: `${what} must not be an empty list`,
    ...place,
    fix: "name at least one policy",
  };
}

function refuseVain(ref: PolicyRef, { placeOf, findings }: Context): void {
  findings.push({
    severity: "error",
    code: "policies_unenforced",
    message: `${ref.kind} has nothing to decide on: all it names is under shadow`,
    ...placeOf(ref.path),
    fix: "put shadow around the whole of it, or add a policy that is enforced",
  });
}

/** Whom to name for a verdict that `not` has turned: the first policy that counts. */
function nameOf(node: Node): string {
  if (node.kind === "policy") return node.policy.name;
  if (node.kind === "not" || node.kind === "shadow") return nameOf(node.of);
  const first = node.of.find(({ neutral }) => !neutral) ?? node.of[0];
  return first === undefined ? "" : nameOf(first);
}

function declaredClaims(leaves: readonly Leaf[]): string[] {
  const names = leaves.flatMap(({ policy }) => {
    const { claims } = policy;
    return claims !== undefined && TypeGuard.IsObject(claims) ? Object.keys(claims.properties) : [];
  });
  return [...new Set(names)].sort();
}

function headerNames(leaves: readonly Leaf[]): string[] {
  const names = namedByOptions(leaves, "upstream-header");
  return [...new Set(names.map((name) => name.toLowerCase()))];
}

/** The values of options whose schema has that format. */
function namedByOptions(leaves: readonly Leaf[], format: "upstream-header" | "claim"): string[] {
  return leaves.flatMap(({ policy, options }) => {
    if (policy.options === undefined || !TypeGuard.IsObject(policy.options)) return [];
    return Object.entries(policy.options.properties)
      .filter(([, schema]) => schema.format === format)
      .map(([name]): unknown => Reflect.get(Object(options), name))
      .filter((name) => typeof name === "string");
  });
}
