/**
 * Puts configuration and policies together into rules, or says everything that does not
 * hold. `serve`, a reload and `check` all go through here.
 *
 * @module
 */
import { join } from "node:path";
import { policyNames } from "../config/named-policies.ts";
import type { Config, IssuerConfig, YamlPath } from "../config/resolved.ts";
import type { Finding } from "../errors.ts";
import { type CaseResult, runCases } from "../policy/cases.ts";
import { compile, type Program } from "../policy/compose.ts";
import { loadPolicies, type PolicySet } from "../policy/load.ts";
import { typecheckPolicies } from "../policy/typecheck.ts";
import { err, ok, type Result } from "../result.ts";

/** A configuration that holds, with its policies ready to be asked. */
export type Assembly = {
  readonly config: Config;
  readonly policies: PolicySet;
  /** By route name; absent for a route without policies. */
  readonly programs: ReadonlyMap<string, Program>;
  readonly cases: readonly CaseResult[];
  /** Headers that policies set, as far as their cases tell. */
  readonly policyHeaders: ReadonlySet<string>;
  readonly warnings: readonly Finding[];
};

/**
 * @param file The configuration's path as findings should show it.
 * @param onStray Told of errors in policy code that no evaluation waits for.
 * @returns The assembly, or all findings (errors and warnings) in order of place.
 */
export async function assemble(
  config: Config,
  file: string,
  onStray?: (error: unknown) => void,
): Promise<Result<Assembly, readonly Finding[]>> {
  const stateFolder = stateFolderOf(config);
  const [loaded, typeFindings] = await Promise.all([
    loadPolicies(config.policies, onStray),
    typecheckPolicies(config.policies, stateFolder),
  ]);
  // A folder that does not load mostly does not type-check either: the type checker's word
  // comes first, and what only loading finds is added.
  if (!loaded.ok) return err(sorted(withoutRepeats([...typeFindings, ...loaded.error])));
  const policies = loaded.value;

  const placeOf = (path: YamlPath) => ({ file, ...config.positionOf(path) });
  const programs = new Map<string, Program>();
  const findings: Finding[] = [...typeFindings];
  for (const route of config.routes) {
    if (route.policies.length === 0) continue;
    const unenforced = route.anyAuthenticated ? "allow" : "refuse";
    const program = compile(route.policies, policies, placeOf, { unenforced });
    if (program.ok) programs.set(route.name, program.value);
    else findings.push(...program.error);
  }

  const used = policyNames(config.routes);
  const policyHeaders = new Set<string>();
  const cases = await runCases(policies, {
    timeoutMs: config.policyTimeoutMs,
    names: ownOrUsed(policies, used),
    onHeaders: (names) => {
      for (const name of names) policyHeaders.add(name);
    },
  });
  // What fails where the types are wrong mostly fails for that.
  const mistyped = new Set(typeFindings.map((finding) => finding.file));
  const failed = cases.filter(({ ok, file }) => !ok && !mistyped.has(file));
  findings.push(...failed.map((one) => caseFinding(one, config)));
  findings.push(...unusedPolicies(policies, used));
  findings.push(...countriesUnknown(config, policies, used, file));
  findings.push(...unpromisedClaims(config, programs, placeOf));

  if (findings.some((finding) => finding.severity === "error")) {
    policies.dispose();
    return err(sorted(findings));
  }
  return ok({ config, policies, programs, cases, policyHeaders, warnings: sorted(findings) });
}

/** Where the gate keeps its own files: beside the configuration. */
export function stateFolderOf(config: Config): string {
  return join(config.folder, ".claimgate");
}

function caseFinding(result: CaseResult, config: Config): Finding {
  const { policy, name, expected, actual, file, line } = result;
  return {
    severity: config.reload.requireCases ? "error" : "warning",
    code: "case_failed",
    message: `case "${name}" of policy ${policy}: expected ${expected}, got ${actual}`,
    file,
    line,
    column: 1,
    fix: caseFix(actual),
  };
}

function caseFix(actual: string): string {
  if (actual.startsWith("fault (threw")) return "mend what threw, or expect a fault";
  if (actual.startsWith("fault (timeout")) {
    return "look for a loop that does not end, or for what takes longer than policyTimeout";
  }
  return "mend the policy or the case";
}

/** Shipped policies that nobody uses were tested when they were shipped. */
function ownOrUsed(policies: PolicySet, used: ReadonlySet<string>): ReadonlySet<string> {
  const names = [...policies.policies.values()]
    .filter((policy) => !policy.shipped || used.has(policy.name))
    .map((policy) => policy.name);
  return new Set(names);
}

function unusedPolicies(policies: PolicySet, used: ReadonlySet<string>): Finding[] {
  return [...policies.policies.values()]
    .filter((policy) => !policy.shipped && !used.has(policy.name))
    .map((policy) => ({
      severity: "warning",
      code: "policy_unused",
      message: `policy ${policy.name} is used by no route`,
      file: policy.file,
      line: 1,
      column: 1,
      fix: `name it under a route's policies, or begin its file name with "_" if it is a helper`,
    }));
}

/** Without a database every country is unknown, and the shipped policy then mostly denies. */
function countriesUnknown(
  { geo, positionOf }: Config,
  { policies }: PolicySet,
  used: ReadonlySet<string>,
  file: string,
): Finding[] {
  if (geo !== undefined || !used.has("country") || !policies.get("country")?.shipped) return [];
  const finding: Finding = {
    severity: "warning",
    code: "geo_missing",
    message: "policy country is used, but without geo no address has a country",
    file,
    ...positionOf(["routes"]),
    fix: "set geo to a country database (mmdb)",
  };
  return [finding];
}

/** Claims that every verified token may have without anybody promising them. */
const STANDARD_CLAIMS: ReadonlySet<string> = new Set([
  ..."iss sub aud exp nbf iat jti".split(" "), // RFC 7519 §4.1
  ..."scope scp scopes client_id azp acr amr auth_time".split(" "), // RFC 9068 §2.2
  "_claim_names", // OpenID Connect Core §5.6.2
]);

/** What a provider promises for a scope that was asked for (OpenID Connect Core 1.0 §5.4). */
const SCOPE_CLAIMS: Readonly<Record<string, readonly string[]>> = {
  profile:
    "name family_name given_name middle_name nickname preferred_username profile picture website gender birthdate zoneinfo locale updated_at".split(
      " ",
    ),
  email: ["email", "email_verified"],
  address: ["address"],
  phone: ["phone_number", "phone_number_verified"],
};

function promisesOf({ claims, requiredClaims, login }: IssuerConfig): string[] {
  const asked = (login?.scopes ?? []).flatMap((scope) => SCOPE_CLAIMS[scope] ?? []);
  return [...Object.keys(claims), ...requiredClaims, ...asked];
}

/** A policy whose claims nobody promises will mostly deny; the development issuer promises all. */
function unpromisedClaims(
  config: Config,
  programs: ReadonlyMap<string, Program>,
  placeOf: (path: YamlPath) => { file: string; line: number; column: number },
): Finding[] {
  const findings: Finding[] = [];
  for (const route of config.routes) {
    const issuers = config.issuers.filter(({ name }) => route.issuers.includes(name));
    if (issuers.some((issuer) => issuer.keys.kind === "development")) continue;
    const promised = new Set(issuers.flatMap(promisesOf));
    for (const claim of programs.get(route.name)?.declaredClaims ?? []) {
      if (promised.has(claim) || STANDARD_CLAIMS.has(claim)) continue;
      findings.push({
        severity: "warning",
        code: "claim_unpromised",
        message: `a policy of route ${route.name} reads claim ${claim}, which none of its issuers promises`,
        ...placeOf([...route.path, "policies"]),
        fix: `map it under the issuer's claims, or add it to requiredClaims`,
      });
    }
  }
  return findings;
}

function withoutRepeats(findings: readonly Finding[]): Finding[] {
  const seen = new Set<string>();
  return findings.filter(({ file, line }) => {
    const place = `${file}:${line}`;
    if (seen.has(place)) return false;
    seen.add(place);
    return true;
  });
}

function sorted(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    (a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column,
  );
}
