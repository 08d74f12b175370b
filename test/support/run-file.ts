/**
 * Runs one test file in a process group of its own, within bounds, and counts what came of it.
 *
 * @module
 */
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Report, readReport } from "./report.ts";

/** The longest a whole file may take; single tests have Bun's own limit. */
const FILE_LIMIT_MS = 420_000;

export type FileResult = Report & { readonly output: string };

const groups = new Set<number>();

/** Ends every file under way and whatever its tests have started. */
export function endRunningFiles(): void {
  for (const leader of groups) endGroup(leader);
}

/**
 * @param file Absolute path.
 * @param options `environment` is added to ours; `cwd` decides which bunfig.toml holds.
 * @returns Counts that are never better than the truth: no report, no test at all, or an exit
 *   code that no failed test explains each count as one failure.
 */
export async function runTestFile(
  file: string,
  options: {
    readonly cwd: string;
    readonly environment: Readonly<Record<string, string>>;
    readonly limitMs?: number;
  },
): Promise<FileResult> {
  const reportFile = join(tmpdir(), `claimgate-report-${crypto.randomUUID()}.xml`);
  const reporter = ["--reporter=junit", `--reporter-outfile=${reportFile}`];
  const child = Bun.spawn([process.execPath, "test", "--no-orphans", ...reporter, file], {
    cwd: options.cwd,
    env: { ...process.env, ...options.environment },
    detached: true,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  groups.add(child.pid);
  const limitMs = options.limitMs ?? FILE_LIMIT_MS;
  let late = "";
  const timer = setTimeout(() => {
    late = `took longer than ${limitMs} ms and was ended`;
    endGroup(child.pid);
  }, limitMs);
  try {
    const text = Promise.all([child.stdout.text(), child.stderr.text()]);
    const exitCode = await child.exited;
    // A child it left behind would hold our pipes open.
    endGroup(child.pid);
    const [out, error] = await text;
    const xml = Bun.file(reportFile);
    const report = (await xml.exists()) ? readReport(await xml.text()) : undefined;
    return judge({ report, exitCode, late, output: out + error });
  } finally {
    clearTimeout(timer);
    groups.delete(child.pid);
    await rm(reportFile, { force: true });
  }
}

function judge(run: {
  readonly report: Report | undefined;
  readonly exitCode: number;
  readonly late: string;
  readonly output: string;
}): FileResult {
  const { report, exitCode, late, output } = run;
  const fault = (why: string, counts: Report): FileResult => ({
    ...counts,
    failed: counts.failed + 1,
    output: `${output}(fail) the file itself: ${why}\n`,
  });
  const none: Report = { passed: 0, failed: 0, skipped: [] };
  if (late !== "") return fault(late, report ?? none);
  if (report === undefined) return fault(`ended with code ${exitCode} and no report`, none);
  if (report.passed + report.failed + report.skipped.length === 0) return fault("no test", none);
  if (exitCode !== 0 && report.failed === 0) return fault(`ended with code ${exitCode}`, report);
  return { ...report, output };
}

function endGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
