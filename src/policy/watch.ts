/**
 * Tells when files or folders have changed. Events of the system only wake it up; what counts
 * is whether something is different, looked at every so often even without events: they get
 * lost on network mounts, for folders that appear later, and with editors that rename.
 *
 * @module
 */
import { type FSWatcher, readdirSync, statSync, watch } from "node:fs";
import { join } from "node:path";

const POLL_MS = 400;
/** Changes come in bursts: an editor writes, renames and removes. */
const QUIET_MS = 60;
const ENTRIES_LIMIT = 2_000;

/**
 * @param paths Files, or folders with all that is below them (but dotfiles and
 *   `node_modules`); they need not exist yet.
 * @param onChange Called within a second of a change, once for a burst of them.
 */
export function watchFiles(paths: readonly string[], onChange: () => void): { close(): void } {
  let known = fingerprint(paths);
  let settled = true;
  let timer: Timer | undefined;
  let quick = false;

  const lookAfter = (delayMs: number): void => {
    clearTimeout(timer);
    timer = setTimeout(look, delayMs);
    timer.unref();
    quick = delayMs < POLL_MS;
  };
  // Once wakened, further events do not put the look off: they might never end.
  const wake = (): void => {
    if (!quick) lookAfter(QUIET_MS);
  };
  const look = (): void => {
    const current = fingerprint(paths);
    const changed = current !== known;
    known = current;
    // The burst is over when nothing has changed for a moment.
    const over = !changed && !settled;
    settled = !changed;
    lookAfter(changed ? QUIET_MS : POLL_MS);
    if (over) onChange();
  };

  const watchers = paths.map((path) => watchIfThere(path, wake));
  lookAfter(POLL_MS);
  return {
    close() {
      clearTimeout(timer);
      for (const watcher of watchers) watcher?.close();
    },
  };
}

/** @returns `undefined` where the system cannot: then the regular look must do. */
function watchIfThere(path: string, wake: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false, recursive: true }, wake);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined; // not there yet, or more watches than the system allows
  }
}

/** Tells two states apart: every file's path, time, size and number. */
function fingerprint(paths: readonly string[]): string {
  const parts: string[] = [];
  const visit = (path: string): void => {
    if (parts.length >= ENTRIES_LIMIT) return;
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) parts.push(`${path} -`);
    else if (found.isDirectory()) for (const name of entriesOf(path)) visit(join(path, name));
    else parts.push(`${path} ${found.mtimeNs} ${found.ctimeNs} ${found.size} ${found.ino}`);
  };
  for (const path of paths) visit(path);
  return parts.join("\n");
}

function entriesOf(folder: string): string[] {
  try {
    const names = readdirSync(folder).sort();
    return names.filter((name) => !name.startsWith(".") && name !== "node_modules");
  } catch {
    return []; // gone in between, or not ours to read: a state like any other
  }
}
