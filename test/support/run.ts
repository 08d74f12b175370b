/**
 * The one command that says whether everything holds: `bun run test [PART OF A FILE NAME …]`.
 * Installs the programs that tests ask for where it may, formats, lints, type-checks, builds the
 * executable, runs every test file, and ends with the counts alone on a line.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { buildExecutable } from "./build.ts";
import { EXECUTABLE_VARIABLE } from "./executable.ts";
import { installPackages, isNeed, type Need } from "./packages.ts";
import type { Report } from "./report.ts";
import { endRunningFiles, runTestFile } from "./run-file.ts";

const ROOT = join(import.meta.dir, "../..");
const EXECUTABLE = join(ROOT, "dist/claimgate");

/** More test processes than this only get in each other's way. */
const MOST_PROCESSES = 4;

const PLAIN = process.stdout.isTTY ? [] : ["--colors=off"];

const isCi = process.env.CI === "true";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    endRunningFiles();
    process.exit(130);
  });
}

const filters = process.argv.slice(2);
const files = (await Array.fromAsync(new Bun.Glob("**/*.test.ts").scan(join(ROOT, "test"))))
  .sort()
  .map((file) => join(ROOT, "test", file))
  .filter((file) => filters.length === 0 || filters.some((part) => file.includes(part)));

const { missing, log } = await installPackages(await neededBy(files));
if (log !== "") console.error(log);
if (missing.length > 0) console.error(`Not installed: ${missing.join(", ")}`);

const steps = await Promise.all([
  step("biome ci", () => runTool([join(ROOT, "node_modules/.bin/biome"), "ci", ...PLAIN, "."])),
  step("bun check", () => runTool([process.execPath, "check", "--no-script", "--no-pretty"])),
  step("build", () => buildExecutable({ outfile: EXECUTABLE })),
]);
const results = [...steps, ...(await runFiles(files))];

const skipped = results.flatMap((result) => result.skipped);
for (const name of skipped) console.log(`(skip) ${name}`);
const skipsThatFail = isCi ? skipped.length : 0;
const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed =
  results.reduce((sum, result) => sum + result.failed, 0) +
  skipsThatFail +
  (files.length === 0 ? 1 : 0);
if (files.length === 0) console.log(`(fail) no test file matches ${filters.join(" ")}`);
if (skipsThatFail > 0) console.log(`${skipsThatFail} skipped, which CI=true counts as failed`);
const tail = skipped.length > 0 && !isCi ? `, ${skipped.length} skipped` : "";
console.log(`${passed} passed, ${failed} failed${tail}`);
process.exit(failed === 0 ? 0 : 1);

/** What the files ask for by `describeWith("…` or `describeWith(["…`. */
async function neededBy(paths: readonly string[]): Promise<ReadonlySet<Need>> {
  const texts = await Promise.all(paths.map((path) => Bun.file(path).text()));
  const names = texts.flatMap((text) =>
    [...text.matchAll(/\bdescribeWith\(\s*("[^"]+"|\[[^\]]*\])/g)].flatMap(([, names = ""]) =>
      [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name),
    ),
  );
  return new Set(names.filter(isNeed));
}

async function step(name: string, run: () => Promise<void>): Promise<Report> {
  try {
    await run();
    console.log(`(pass) ${name}`);
    return { passed: 1, failed: 0, skipped: [] };
  } catch (error) {
    console.log(`(fail) ${name}\n${error instanceof Error ? error.message : error}`);
    return { passed: 0, failed: 1, skipped: [] };
  }
}

/** @throws Error with the tool's own words when it does not end well. */
async function runTool(command: readonly string[]): Promise<void> {
  const child = Bun.spawn([...command], { cwd: ROOT, stdin: "ignore", stderr: "pipe" });
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(out + error);
}

/** A few processes at a time; each takes the next file, and its output is printed whole. */
async function runFiles(paths: readonly string[]): Promise<readonly Report[]> {
  const queue = [...paths];
  const reports: Report[] = [];
  const worker = async () => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
      const result = await runTestFile(path, {
        cwd: ROOT,
        environment: { [EXECUTABLE_VARIABLE]: EXECUTABLE },
      });
      console.log(`\n${result.output.trim()}`);
      const where = relative(ROOT, path);
      reports.push({ ...result, skipped: result.skipped.map((name) => `${where}: ${name}`) });
    }
  };
  const processes = Math.min(availableParallelism(), MOST_PROCESSES);
  await Promise.all(Array.from({ length: processes }, worker));
  return reports;
}
