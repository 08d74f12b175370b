/**
 * Loads a policy folder: one set of modules, apart from every set before it, whole or not at all.
 *
 * @module
 */
import { type TSchema, TypeGuard } from "@sinclair/typebox";
import type { Finding } from "../errors.ts";
import { inTime } from "../lib/in-time.ts";
import { err, ok, type Result } from "../result.ts";
import type { PolicyCase, PolicyDefinition, PolicyInput } from "./definition.ts";
import { discover, policyNameOf, type SourceFile } from "./discover.ts";
import { displayPath } from "./display-path.ts";
import { openGraph, type PolicyGraph, reportStray } from "./graph.ts";
import { loadFindings, placeOfText } from "./load-findings.ts";
import { type CompiledSchema, compileSchema } from "./schema.ts";
import { shippedPolicies } from "./shipped.ts";

export type LoadedPolicy = {
  /** Path under the folder without `.ts`: `finance/approver`. */
  readonly name: string;
  /** For findings; of a shipped policy not a file on disk. */
  readonly file: string;
  readonly shipped: boolean;
  readonly description: string;
  readonly claims?: TSchema;
  readonly options?: TSchema;
  readonly cases: readonly PolicyCase<TSchema, TSchema>[];
  /** The module's text. */
  readonly source: string;
  readonly claimsSchema?: CompiledSchema;
  readonly optionsSchema?: CompiledSchema;
  /** Trusted to be nothing: it may throw, and answer whatever it likes. */
  readonly evaluate: (input: PolicyInput<TSchema, TSchema>) => unknown;
};

export type PolicySet = {
  readonly policies: ReadonlyMap<string, LoadedPolicy>;
  /** Where the policies' code runs. */
  readonly graph: PolicyGraph;
  /** Closes what policies opened, after the last evaluation in flight. */
  dispose(): void;
};

/** Words of the configuration's own; a policy of such a name could never be asked. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(["all", "any", "not", "shadow"]);
const CASES_LIMIT = 1_000;
/** A module that waits for ever at its top level must not hold a reload for ever. */
const LOAD_LIMIT_MS = 10_000;

/**
 * Loads the policies of `folder` and adds the shipped ones that it does not replace.
 *
 * @param folder Absolute. If it does not exist, there are only the shipped ones.
 * @param onStray Told of errors that no evaluation waits for; default: a line on stderr.
 * @returns The set, or all findings.
 */
export async function loadPolicies(
  folder: string,
  onStray: (error: unknown) => void = reportStray,
): Promise<Result<PolicySet, readonly Finding[]>> {
  const { files, findings: unreadable } = await discover(folder);
  const findings = [...unreadable];
  const graph = openGraph(onStray);
  const policies = new Map<string, LoadedPolicy>();
  for (const { name, definition, text } of shippedPolicies) {
    const file = `claimgate/policies/${name}.ts`;
    const policy = readDefinition(definition, { name, file, text, shipped: true });
    if (policy.ok) policies.set(name, policy.value);
    else findings.push(policy.error);
  }
  for (const source of files) {
    const policy = await loadOne(source, files, graph);
    if (policy?.ok) policies.set(policy.value.name, policy.value);
    else if (policy !== undefined) findings.push(...policy.error);
  }
  if (findings.length > 0) {
    graph.dispose();
    return err(withoutRepeats(findings));
  }
  return ok({ policies, graph, dispose: graph.dispose });
}

/** @returns `undefined` for a helper: it is loaded by those who import it. */
async function loadOne(
  source: SourceFile,
  files: readonly SourceFile[],
  graph: PolicyGraph,
): Promise<Result<LoadedPolicy, readonly Finding[]> | undefined> {
  const name = policyNameOf(source.path);
  if (name === undefined) return undefined;
  const file = displayPath(source.file);
  if (RESERVED_NAMES.has(name)) {
    const message = `"${name}" is a word of the configuration and cannot name a policy`;
    return err([finding("policy_name_reserved", message, file, "give the file another name")]);
  }
  try {
    const definition = await inTime(graph.load(source.file), LOAD_LIMIT_MS, neverLoaded);
    const policy = readDefinition(definition, { name, file, text: source.text, shipped: false });
    return policy.ok ? policy : err([policy.error]);
  } catch (error) {
    return err(loadFindings(error, source, files));
  }
}

function neverLoaded(): never {
  throw new Error(`its top level has not ended within ${LOAD_LIMIT_MS / 1_000} s`);
}

type Origin = { name: string; file: string; text: string; shipped: boolean };

/** Reads what a module exports; its author may have written anything. */
function readDefinition(value: unknown, origin: Origin): Result<LoadedPolicy, Finding> {
  const { name, file, text, shipped } = origin;
  const refuse = (code: string, message: string, fix: string, near: readonly string[]) =>
    err({ ...finding(code, `${name}: ${message}`, file, fix), ...placeOfText(text, near) });

  if (!isDefinition(value)) {
    return refuse(
      "policy_not_defined",
      "the module does not export a policy by default",
      'write `export default definePolicy({ … })`, or begin the file name with "_" if it is a helper',
      ["export default"],
    );
  }
  const { description, claims, options, evaluate, cases = [] } = value;
  if (typeof description !== "string" || description.trim() === "") {
    const fix = "say in one line what it lets pass";
    return refuse("policy_description_missing", "it has no description", fix, ["definePolicy("]);
  }
  if (typeof evaluate !== "function") {
    const fix = "write `evaluate(input) { … }`";
    return refuse("policy_evaluate_missing", "it has no evaluate function", fix, ["definePolicy("]);
  }
  if (!Array.isArray(cases) || cases.length > CASES_LIMIT || !cases.every(isCase)) {
    const message = "cases are a list of at most 1,000, each with a name and what to expect";
    return refuse("policy_cases_invalid", message, "mend the cases", ["cases:", "cases"]);
  }
  const claimsSchema = compiled(claims);
  if (!claimsSchema.ok) {
    const message = `claims are no schema: ${claimsSchema.error}`;
    return refuse("policy_schema_invalid", message, "build them with Type", ["claims:", "claims"]);
  }
  const optionsSchema = compiled(options);
  if (!optionsSchema.ok) {
    const message = `options are no schema: ${optionsSchema.error}`;
    return refuse("policy_schema_invalid", message, "build them with Type", [
      "options:",
      "options",
    ]);
  }
  return ok({
    name,
    file,
    shipped,
    description,
    cases,
    source: text,
    evaluate: (input) => evaluate.call(value, input),
    ...(claimsSchema.value && {
      claims: claimsSchema.value.schema,
      claimsSchema: claimsSchema.value,
    }),
    ...(optionsSchema.value && {
      options: optionsSchema.value.schema,
      optionsSchema: optionsSchema.value,
    }),
  });
}

function isDefinition(value: unknown): value is PolicyDefinition<TSchema, TSchema> {
  return typeof value === "object" && value !== null && Symbol.for("claimgate.policy") in value;
}

function isCase(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return "name" in value && typeof value.name === "string" && "expect" in value;
}

function compiled(schema: unknown): Result<CompiledSchema | undefined, string> {
  if (schema === undefined) return ok(undefined);
  if (!TypeGuard.IsSchema(schema)) return err("not made by Type");
  try {
    return ok(compileSchema(schema));
  } catch (error) {
    return err(error instanceof Error ? error.message : "cannot be compiled");
  }
}

function finding(code: string, message: string, file: string, fix: string): Finding {
  return { severity: "error", code, message, file, line: 1, column: 1, fix };
}

/**
 * A broken helper is reported by everyone who imports it, and one slip of the pen mostly as
 * several errors of one line: the first is the one to mend.
 */
function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ file, line, code }) => {
    const [place, anywhere] = [JSON.stringify([file, code, line]), JSON.stringify([file, code])];
    const isRepeat = seen.has(place) || (line === 1 && seen.has(anywhere));
    seen.add(place).add(anywhere);
    return !isRepeat;
  });
}
