/**
 * `claimgate test`: runs the cases of policies and the scenarios beside the configuration, by the
 * gate's own rules and without a network.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { diskReason } from "../lib/disk-fault.ts";
import { note } from "./note.ts";
import { CONFIG_OPTION } from "./options.ts";
import { paintFor, printableJson } from "./paint.ts";
import { isCompiled } from "./program-word.ts";
import { reportFindings } from "./report-findings.ts";
import { rerunOnChange } from "./rerun.ts";
import { isRecording, recordingEnvironment } from "./test/coverage.ts";
import { junitXml } from "./test/junit.ts";
import { coverageText, resultsJson, resultsText } from "./test/report.ts";
import type { TestResult } from "./test/result.ts";
import { runTests, type TestRun } from "./test/run-tests.ts";
import { touchedResults } from "./test/touched.ts";

type TestFlags = {
  readonly config: string;
  readonly json?: true;
  readonly junit?: string;
  readonly watch?: true;
  readonly coverage?: true;
};

export function testCommand(program: Command): void {
  program
    .command("test")
    .description("Run the cases of policies and the scenarios; exit 1 where one fails")
    .argument("[filter]", "only what has this in the name of its policy, case, scenario or file")
    .option(...CONFIG_OPTION)
    .option("--json", "print the results as JSON")
    .option("--junit <file>", "write them as JUnit XML, too")
    .option("--coverage", "show which lines and codes of your policies nothing reaches")
    .option("--watch", "run again what a change touches, until Ctrl-C")
    .addHelpText(
      "after",
      `
Scenarios stand in *.scenarios.yaml beside the configuration. Tokens are made up, nothing goes
over the network, and what a policy may ask for (time, address, device, country, history,
secrets, fetch) can be given in a case or a scenario.

Examples:
  claimgate test
  claimgate test staff --watch
  claimgate test --junit results.xml --coverage`,
    )
    .action((filter: string | undefined, flags: TestFlags) => test(filter, flags));
}

async function test(filter: string | undefined, flags: TestFlags): Promise<void> {
  if (flags.coverage && !isRecording()) return runRecording();
  if (!flags.watch) {
    const run = await runTests(flags.config, {
      filter,
      coverage: flags.coverage,
      follow: () => {},
    });
    await tell(run, run.results, flags);
    return;
  }
  let former: TestRun | undefined;
  let hasRun = false;
  await rerunOnChange({
    paths: usualPaths(flags.config),
    async run(follow) {
      try {
        const run = await runTests(flags.config, { filter, coverage: flags.coverage, follow });
        await tell(run, touchedResults(former, run), flags);
        former = run;
      } catch (fault) {
        const isMisuse = fault instanceof GateError && fault.code === "usage_wrong" && !hasRun;
        if (!(fault instanceof GateError) || isMisuse) throw fault;
        reportFindings(fault.findings);
        note(fault.message);
        process.exitCode = 1;
        // Whatever is mended next, all is to be seen once more.
        former = undefined;
      }
      hasRun = true;
    },
  });
  process.exitCode = 0;
}

/** What there is to follow while the configuration does not say it. */
function usualPaths(file: string): readonly string[] {
  const absolute = resolve(file);
  const folder = dirname(absolute);
  return [absolute, join(folder, "policies"), join(folder, "claimgate.scenarios.yaml")];
}

/** @param results Those to show; files have them all. */
async function tell(
  { results: all, coverage }: TestRun,
  results: readonly TestResult[],
  { json, junit }: TestFlags,
): Promise<void> {
  process.exitCode = all.every(({ ok }) => ok) ? 0 : 1;
  if (junit !== undefined) await writeJunit(junit, all);
  const { stdout, stderr } = process;
  if (json) stdout.write(`${printableJson(resultsJson(results))}\n`);
  else stdout.write(resultsText(results, paintFor(stdout)));
  if (coverage === undefined) return;
  // JSON alone is on stdout.
  const stream = json ? stderr : stdout;
  stream.write(`\n${coverageText(coverage, paintFor(stream))}`);
}

async function writeJunit(file: string, results: readonly TestResult[]): Promise<void> {
  try {
    await writeFile(file, junitXml(results));
  } catch (cause) {
    const message = `cannot write the results to ${file}: ${diskReason(cause)}`;
    throw new GateError("usage_wrong", message, { cause });
  }
}

/** Lines are counted from a process's start on, or not at all. */
async function runRecording(): Promise<void> {
  const words = isCompiled() ? process.argv.slice(2) : process.argv.slice(1);
  const child = Bun.spawn([process.execPath, ...words], {
    env: { ...process.env, ...recordingEnvironment },
    stdio: ["inherit", "inherit", "inherit"],
  });
  // Ctrl-C goes to both; the child says how it ended.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  process.exitCode = await child.exited;
}
