/**
 * A clock for programs alone, which whoever has it moves on as fast as work is done. What measures
 * durations in these programs goes on as ever.
 */
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** So far behind it may be before it is moved: each time is a file written, and read at every look. */
const GRAIN_MS = 500;
/** In memory where that is to be had: it is read several times for each request. */
const MEMORY = "/dev/shm";

export type Clock = Disposable & {
  readonly environment: Readonly<Record<string, string>>;
  /** It never goes back. */
  advanceTo(ms: number): void;
  now(): number;
};

/** @throws Error where faketime is not installed. */
export async function startClock(beginsMs: number): Promise<Clock> {
  const [library] = await Array.fromAsync(
    new Bun.Glob("usr/lib/*/faketime/libfaketimeMT.so.1").scan({ cwd: "/", absolute: true }),
  );
  if (library === undefined) throw new Error("faketime has no library here");
  const folder = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "claimgate-test-clock-"));
  const file = join(folder, "offset");
  const next = join(folder, "next");
  let offsetMs = beginsMs - Date.now();
  const write = () => {
    // Whole at once: it may be read at any time.
    writeFileSync(next, `${offsetMs < 0 ? "" : "+"}${(offsetMs / 1_000).toFixed(3)}s\n`);
    renameSync(next, file);
  };
  write();
  return {
    environment: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
    advanceTo(ms) {
      const aheadMs = ms - Date.now() - offsetMs;
      if (aheadMs < GRAIN_MS) return;
      offsetMs += aheadMs;
      write();
    },
    now: () => Date.now() + offsetMs,
    [Symbol.dispose]() {
      rmSync(folder, { recursive: true, force: true });
      removeRemains();
    },
  };
}

/**
 * The library leaves a page of memory for each program that ends at once, as these do. One that later
 * got the same number would complain of it.
 */
function removeRemains(): void {
  if (!existsSync(MEMORY)) return;
  for (const name of readdirSync(MEMORY)) {
    const pid = /^(?:sem\.faketime_sem|faketime_shm)_(\d+)$/.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`))
      rmSync(join(MEMORY, name), { force: true });
  }
}
