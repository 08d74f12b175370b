/**
 * `--watch` of commands: the same again at every change, until Ctrl-C.
 *
 * @module
 */
import { watchFiles } from "../policy/watch.ts";

/** Told which files and folders could change the outcome, before they are read. */
export type Follow = (paths: readonly string[]) => void;

/** Clears a terminal, what has scrolled away too. */
const CLEAR = "\u001b[2J\u001b[3J\u001b[H";

/**
 * Resolves at SIGINT or SIGTERM, and then the exit code is 0: whoever watches has seen for
 * themselves what does not hold.
 *
 * @param usual What to follow until `run` says something else.
 * @param run Called at once, and one call at a time at every change. What it throws ends the watch.
 */
export async function rerunOnChange(
  usual: readonly string[],
  run: (follow: Follow, again: "first" | "again") => Promise<void>,
): Promise<void> {
  const told = Promise.withResolvers<void>();
  const tell = () => told.resolve();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, tell);

  // What changes while it is being read must count: so the watch begins before.
  let followed = usual;
  let watcher = watchFiles(followed, onChange);
  function follow(paths: readonly string[]): void {
    if (Bun.deepEquals(paths, followed)) return;
    const former = watcher;
    followed = paths;
    watcher = watchFiles(paths, onChange);
    former.close();
  }

  // One run at a time; changes that come meanwhile ask for one more.
  let running = run(follow, "first");
  let isWaiting = false;
  function onChange(): void {
    if (isWaiting) return;
    isWaiting = true;
    running = running.then(runAgain);
    running.catch(told.reject);
  }
  async function runAgain(): Promise<void> {
    isWaiting = false;
    begin();
    await run(follow, "again");
    hint();
  }

  try {
    await running;
    hint();
    await told.promise;
    await running;
    process.exitCode = 0;
  } finally {
    watcher.close();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, tell);
  }
}

/** On a terminal each run has it to itself; elsewhere the time sets runs apart. */
function begin(): void {
  const isTerminal = process.stdout.isTTY === true && process.stderr.isTTY === true;
  if (isTerminal) process.stderr.write(CLEAR);
  process.stderr.write(`${isTerminal ? "" : "\n"}${new Date().toTimeString().slice(0, 8)}\n`);
}

function hint(): void {
  process.stderr.write("watching for changes; Ctrl-C ends\n");
}
