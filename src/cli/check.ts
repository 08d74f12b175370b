/**
 * `claimgate check`: says whether a configuration and its policies hold, without serving.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/resolved.ts";
import { type Finding, GateError } from "../errors.ts";
import { type Assembly, assemble, stateFolderOf } from "../gate/assemble.ts";
import type { PolicySet } from "../policy/load.ts";
import { watchFiles } from "../policy/watch.ts";
import { policiesOf, refreshSchema } from "./editor-schema.ts";
import { counted, paintFor } from "./paint.ts";
import { reportFindings } from "./report-findings.ts";

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
    .option("--config <file>", "configuration file", "claimgate.yaml")
    .option("--json", "print the findings as JSON")
    .option("--watch", "check again at every change, until Ctrl-C")
    .action(async (flags: CheckFlags) => {
      if (flags.watch) await watch(flags);
      else tell(await check(flags.config, () => {}), flags);
    });
}

/**
 * @param follow Told which files and folders could change the outcome, before they are read.
 * @throws GateError `usage_wrong` when there is no such file.
 */
async function check(file: string, follow: (paths: readonly string[]) => void): Promise<Outcome> {
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
  return { findings: [...warnings, ...stale], summary };
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
    const { code } = cause as NodeJS.ErrnoException;
    const message = `cannot bring the schema for editors up to date (${code ?? "failed"})`;
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

/** Resolves at SIGINT or SIGTERM, with the exit code of the last run. */
async function watch(flags: CheckFlags): Promise<void> {
  const told = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => told.resolve());

  // What changes while it is being read must count: so the watch begins before.
  let followed = usualPaths(flags.config);
  let watcher = watchFiles(followed, onChange);
  function follow(paths: readonly string[]): void {
    if (Bun.deepEquals(paths, followed)) return;
    const former = watcher;
    followed = paths;
    watcher = watchFiles(paths, onChange);
    former.close();
  }

  // One run at a time; changes that come meanwhile ask for one more.
  let running: Promise<void>;
  let isWaiting = false;
  function onChange(): void {
    if (isWaiting) return;
    isWaiting = true;
    running = running.then(runAgain).catch(told.reject);
  }
  async function runAgain(): Promise<void> {
    isWaiting = false;
    process.stderr.write(`\n${new Date().toTimeString().slice(0, 8)}\n`);
    tell(await checkAgain(flags.config, follow), flags);
  }

  try {
    running = check(flags.config, follow).then((outcome) => tell(outcome, flags));
    await running;
    process.stderr.write("watching for changes; Ctrl-C ends\n");
    await told.promise;
    await running;
  } finally {
    watcher.close();
  }
}

/** As `check`, but a file that is gone for a moment is only one more thing that does not hold. */
async function checkAgain(
  file: string,
  follow: (paths: readonly string[]) => void,
): Promise<Outcome> {
  try {
    return await check(file, follow);
  } catch (fault) {
    if (!(fault instanceof GateError)) throw fault;
    const { code, message } = fault;
    const place = { file, line: 1, column: 1 };
    return { findings: [...fault.findings, { severity: "error", code, message, ...place }] };
  }
}
