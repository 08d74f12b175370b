/**
 * Tells when files or folders have changed. Events of the system only wake it up; what
 * counts is whether something is different, looked at every so often even without events: they get lost
 * on network mounts, for folders that appear later, and with editors that rename.
 *
 * @module
 */
import { type FSWatcher, watch } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

const POLL_MS = 400;
/** Changes come in bursts: an editor writes, renames and removes. */
const QUIET_MS = 60;
const ENTRIES_LIMIT = 10_000;

/**
 * @param paths Files, or folders with all that is below them (but dotfiles and
 *   `node_modules`); they need not exist yet.
 * @param onChange Called within a second of a change, once for a burst of them.
 */
export function watchFiles(paths: readonly string[], onChange: () => void): { close(): void } {
  let closed = false;
  let known: string | undefined;
  let timer: Timer | undefined;
  let looking = false;
  let wokenMeanwhile = false;
  const watchers: FSWatcher[] = [];

  const look = async (): Promise<void> => {
    looking = true;
    wokenMeanwhile = false;
    const former = known;
    const current = await fingerprint(paths);
    looking = false;
    if (closed) return;
    known = current;
    const changed = former !== undefined && former !== current;
    // A second look, a moment later, tells whether the burst is over.
    unsettled = unsettled || changed;
    if (unsettled && !changed) {
      unsettled = false;
      onChange();
    }
    lookAfter(unsettled || wokenMeanwhile ? QUIET_MS : POLL_MS);
  };
  let unsettled = false;
  const lookAfter = (delayMs: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void look(), delayMs);
    timer.unref();
  };
  const wake = (): void => {
    if (closed) return;
    if (looking) wokenMeanwhile = true;
    else lookAfter(QUIET_MS);
  };

  for (const path of new Set(paths.flatMap((path) => [path, dirname(path)]))) {
    const watcher = watchIfThere(path, paths.includes(path), wake);
    if (watcher !== undefined) watchers.push(watcher);
  }
  void look();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** @returns `undefined` where the system cannot: then the regular look must do. */
function watchIfThere(path: string, recursive: boolean, wake: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false, recursive }, wake);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined; // not there yet, or more watches than the system allows
  }
}

/** Tells two states apart: every file's path, time, size and number. */
async function fingerprint(paths: readonly string[]): Promise<string> {
  const parts: string[] = [];
  const visit = async (path: string): Promise<void> => {
    if (parts.length >= ENTRIES_LIMIT) return;
    const found = await stat(path, { bigint: true }).catch(() => undefined); // not there: a state too
    if (found === undefined) {
      parts.push(`${path} -`);
    } else if (found.isDirectory()) {
      const names = await readdir(path).catch(() => []); // gone in between, or not ours to read
      for (const name of names.sort()) {
        if (!name.startsWith(".") && name !== "node_modules") await visit(join(path, name));
      }
    } else parts.push(`${path} ${found.mtimeNs} ${found.size} ${found.ino}`);
  };
  for (const path of paths) await visit(path);
  return parts.join("\n");
}
