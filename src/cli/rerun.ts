/**
 * Runs a command again at every change of what it read, until Ctrl-C.
 *
 * @module
 */
import { watchFiles } from "../policy/watch.ts";

/** Told which files and folders could change the outcome, before they are read. */
export type Follow = (paths: readonly string[]) => void;

type Rerun = {
  /** What there is to follow while a run has not said it. */
  readonly paths: readonly string[];
  /** @throws What ends the watching. */
  readonly run: (follow: Follow) => Promise<void>;
  /** `all`: on a terminal, each run has it to itself, since it says all that the former one did. */
  readonly says?: "all" | "changes";
};

/** Clears a terminal, what has scrolled away too. */
const CLEAR = "\u001b[2J\u001b[3J\u001b[H";
const HINT = "watching for changes; Ctrl-C ends\n";

/** Resolves at SIGINT or SIGTERM. */
export async function rerunOnChange({ paths, run, says = "changes" }: Rerun): Promise<void> {
  const told = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => told.resolve());

  // What changes while it is being read must count: so the watch begins before.
  let followed = paths;
  let watcher = watchFiles(followed, onChange);
  function follow(wanted: readonly string[]): void {
    if (Bun.deepEquals(wanted, followed)) return;
    const former = watcher;
    followed = wanted;
    watcher = watchFiles(wanted, onChange);
    former.close();
  }

  // One run at a time; changes that come meanwhile ask for one more.
  let running: Promise<void> = Promise.resolve();
  let isWaiting = false;
  function onChange(): void {
    if (isWaiting) return;
    isWaiting = true;
    running = running.then(runAgain).catch(told.reject);
  }
  async function runAgain(): Promise<void> {
    isWaiting = false;
    const clears = says === "all" && process.stdout.isTTY && process.stderr.isTTY;
    const time = new Date().toTimeString().slice(0, 8);
    process.stderr.write(`${clears ? CLEAR : "\n"}${time}\n`);
    await run(follow);
    if (clears) process.stderr.write(HINT);
  }

  try {
    running = run(follow);
    await running;
    process.stderr.write(HINT);
    await told.promise;
    await running;
  } finally {
    watcher.close();
  }
}
