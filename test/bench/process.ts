/**
 * Programs under measurement: started on one core, watched, and ended with the benchmark.
 *
 * @module
 */
import { join } from "node:path";

export type Running = AsyncDisposable & {
  readonly name: string;
  /** The URL that is measured. */
  readonly url: string;
  readonly pid: number;
  /** From the start of the process until it answered. */
  readonly readyMs: number;
};

export type StartOptions = {
  readonly name: string;
  readonly command: readonly string[];
  readonly core: number;
  /** Working directory; the log goes here too, as `NAME.log`. */
  readonly folder: string;
  readonly url: string;
  /** Answered with a status under 500 once the program is up. */
  readonly readyUrl?: string;
  readonly environment?: Readonly<Record<string, string>>;
};

const READY_LIMIT_MS = 10_000;
const POLL_MS = 2;
const STOP_LIMIT_MS = 5_000;

const running = new Set<Bun.Subprocess>();

process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(130));
}

/** @throws Error with the log when the program ends, or is not up in time. */
export async function start(options: StartOptions): Promise<Running> {
  const { name, folder, url, readyUrl = url } = options;
  const log = Bun.file(join(folder, `${name.replaceAll(" ", "-")}.log`));
  const startedAt = performance.now();
  const child = Bun.spawn(["taskset", "-c", String(options.core), ...options.command], {
    cwd: folder,
    env: { ...process.env, ...options.environment },
    stdin: "ignore",
    stdout: "ignore",
    stderr: log,
  });
  running.add(child);
  void child.exited.then(() => running.delete(child));
  const deadline = startedAt + READY_LIMIT_MS;
  while (!(await isUp(readyUrl))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`Cannot start ${name}:\n${await log.text()}`);
    }
    await Bun.sleep(POLL_MS);
  }
  const readyMs = performance.now() - startedAt;
  return {
    name,
    url,
    pid: child.pid,
    readyMs,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
      await child.exited;
      clearTimeout(timer);
    },
  };
}

async function isUp(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { proxy: "", keepalive: false });
    await answer.arrayBuffer();
    return answer.status < 500;
  } catch {
    return false; // not listening yet
  }
}

/** Linux counts processor time in hundredths of a second (`getconf CLK_TCK`). */
const TICK_MS = 10;

/** @returns Processor time of all threads of a process so far, in milliseconds (proc(5), fields 14 and 15). */
export async function processorMs(pid: number): Promise<number> {
  const text = await Bun.file(`/proc/${pid}/stat`).text();
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** @returns Resident memory of a process in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const text = await Bun.file(`/proc/${pid}/status`).text();
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1] ?? Number.NaN) * 1024;
}
