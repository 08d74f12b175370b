/**
 * `claimgate check`: says whether a configuration and its policies hold, without serving.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config, YamlPath } from "../config/resolved.ts";
import { type Finding, GateError } from "../errors.ts";
import { type Assembly, assemble, stateFolderOf } from "../gate/assemble.ts";
import { diskReason } from "../lib/disk-fault.ts";
import type { PolicySet } from "../policy/load.ts";
import { policiesOf, refreshSchema } from "./editor-schema.ts";
import { CONFIG_OPTION } from "./options.ts";
import { counted, paintFor } from "./paint.ts";
import { reportFindings } from "./report-findings.ts";
import { type Follow, rerunOnChange } from "./rerun.ts";

type CheckFlags = {
  readonly config: string;
  readonly json?: true;
  readonly watch?: true;
};

type Outcome = {
  readonly findings: readonly Finding[];
  /** One line; absent where the configuration does not hold. */
  readonly summary?: string;
};

export function checkCommand(program: Command): void {
  program
    .command("check")
    .description("Say whether the configuration and its policies hold")
    .option(...CONFIG_OPTION)
    .option("--json", "print the findings as JSON")
    .option("--watch", "check again at every change, until Ctrl-C")
    .action(async (flags: CheckFlags) => {
      if (!flags.watch) return tell(await check(flags.config, () => {}), flags);
      await watch(flags);
    });
}

/** @throws GateError `usage_wrong` when there is no such file. */
async function check(file: string, follow: Follow): Promise<Outcome> {
  const config = await loadConfig(file, process.env);
  if (!config.ok) {
    follow(usualPaths(file));
    return { findings: config.error };
  }
  const { file: absolute, policies, geo } = config.value;
  follow([absolute, policies, ...(geo === undefined ? [] : [geo])]);
  const assembly = await assemble(config.value, file);
  if (!assembly.ok) return { findings: assembly.error };
  const { warnings, policies: set } = assembly.value;
  const summary = summarise(assembly.value);
  const stale = await followInEditors(config.value, set, file);
  set.dispose();
  return { findings: [...warnings, ...weakSecrets(config.value, file), ...stale], summary };
}

/** Fewer characters than anybody could guess their way through. */
const SECRET_LENGTH = 16;

/** Secrets of the gate's own that are short: nobody but their owner can say whether they are good. */
function weakSecrets({ session, admin, positionOf }: Config, file: string): readonly Finding[] {
  const found: [key: string, path: YamlPath][] = [];
  if (session.secrets.some((secret) => secret.length < SECRET_LENGTH)) {
    found.push(["session.secret", ["session", "secret"]]);
  }
  if (admin.token !== undefined && admin.token.length < SECRET_LENGTH) {
    found.push(["admin.token", ["admin", "token"]]);
  }
  return found.map(([key, path]) => ({
    severity: "warning",
    code: "secret_short",
    message: `${key} has fewer than ${SECRET_LENGTH} characters: it can be guessed`,
    file,
    ...positionOf(path),
    fix: "use a random one, for example of openssl rand -base64 32",
  }));
}

/** @returns A warning where the schema cannot be written: editors are a convenience, no condition. */
async function followInEditors(
  config: Config,
  set: PolicySet,
  file: string,
): Promise<readonly Finding[]> {
  try {
    await refreshSchema(stateFolderOf(config), policiesOf(set));
    return [];
  } catch (cause) {
    const message = `cannot bring the schema for editors up to date: ${diskReason(cause)}`;
    const place = { file, line: 1, column: 1 };
    const fix = "let claimgate write .claimgate/schema.json, or remove it";
    return [{ severity: "warning", code: "schema_stale", message, ...place, fix }];
  }
}

/** What there is to follow while the configuration does not say it. */
function usualPaths(file: string): readonly string[] {
  const absolute = resolve(file);
  return [absolute, join(dirname(absolute), "policies")];
}

/** `1 issuer, 2 routes, 1 policy, 2 cases: all hold`. */
function summarise({ config, policies, cases }: Assembly): string {
  // Shipped policies always have cases, and cases run only for those that a route uses.
  const names = new Set(cases.map((result) => result.policy));
  for (const policy of policies.policies.values()) if (!policy.shipped) names.add(policy.name);
  const parts = [
    counted(config.issuers.length, "issuer"),
    counted(config.routes.length, "route"),
    counted(names.size, "policy"),
    counted(cases.length, "case"),
  ];
  const failed = cases.filter((result) => !result.ok).length;
  const verdict = failed === 0 ? "all hold" : `all hold but ${counted(failed, "case")}`;
  return `${parts.join(", ")}: ${verdict}`;
}

function tell({ findings, summary }: Outcome, { json }: CheckFlags): void {
  process.exitCode = summary === undefined ? 1 : 0;
  if (json) {
    process.stdout.write(`${JSON.stringify({ ok: summary !== undefined, findings }, null, 2)}\n`);
    return;
  }
  reportFindings(findings);
  if (summary !== undefined)
    process.stdout.write(`${paintFor(process.stdout)(summary, "green")}\n`);
}

/** Resolves at Ctrl-C, which is no failure: whoever watches has seen what does not hold. */
async function watch(flags: CheckFlags): Promise<void> {
  let run = check;
  await rerunOnChange({
    paths: usualPaths(flags.config),
    says: "all",
    async run(follow) {
      tell(await run(flags.config, follow), flags);
      run = checkAgain;
    },
  });
  process.exitCode = 0;
}

/** As `check`, but a file that is gone for a moment is only one more thing that does not hold. */
async function checkAgain(file: string, follow: Follow): Promise<Outcome> {
  try {
    return await check(file, follow);
  } catch (fault) {
    if (!(fault instanceof GateError)) throw fault;
    const { code, message } = fault;
    const place = { file, line: 1, column: 1 };
    return { findings: [...fault.findings, { severity: "error", code, message, ...place }] };
  }
}
