/**
 * Runs a command again at every change of what it read, until Ctrl-C.
 *
 * @module
 */
import { watchFiles } from "../policy/watch.ts";

export type Rerun = {
  /** What there is to follow while a run has not said it. */
  readonly paths: readonly string[];
  /**
   * @param follow Told which files and folders could change the outcome, before they are read.
   * @throws What ends the watching.
   */
  readonly run: (follow: (paths: readonly string[]) => void) => Promise<void>;
};

/** Resolves at SIGINT or SIGTERM. */
export async function rerunOnChange({ paths, run }: Rerun): Promise<void> {
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
    process.stderr.write(`\n${new Date().toTimeString().slice(0, 8)}\n`);
    await run(follow);
  }

  try {
    running = run(follow);
    await running;
    process.stderr.write("watching for changes; Ctrl-C ends\n");
    await told.promise;
    await running;
  } finally {
    watcher.close();
  }
}
