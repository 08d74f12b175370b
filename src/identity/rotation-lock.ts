/**
 * One rotation at a time, over all processes: of two that read, add a key and write, one would
 * lose the key that the other already signs with.
 *
 * @module
 */
import { open, rm, stat } from "node:fs/promises";
import { GateError } from "../errors.ts";

/** A rotation takes milliseconds; a lock this old was left by a process that died. */
const ABANDONED_AFTER_MS = 5_000;

/** Longer than a lock can stay, so that giving up means that others keep coming first. */
const GIVE_UP_AFTER_MS = 10_000;

const PAUSE_MS = 10;

/**
 * Waits for the lock file and holds it until disposed.
 *
 * @throws GateError `state_unusable` when the lock cannot be had.
 */
export async function keepRotationLock(file: string): Promise<AsyncDisposable> {
  const deadlineMs = performance.now() + GIVE_UP_AFTER_MS;
  while (performance.now() < deadlineMs) {
    const code = await claim(file);
    if (code === "") return { [Symbol.asyncDispose]: () => rm(file, { force: true }) };
    if (code !== "EEXIST") {
      throw new GateError("state_unusable", `cannot create ${file}: ${code}`);
    }
    if (await isAbandoned(file)) await rm(file, { force: true });
    else await Bun.sleep(PAUSE_MS);
  }
  throw new GateError("state_unusable", `${file} is held by another process: delete it`);
}

/** @returns The system's error code, or nothing when the lock is ours. */
async function claim(file: string): Promise<string> {
  try {
    await (await open(file, "wx", 0o600)).close();
    return "";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "failed";
  }
}

async function isAbandoned(file: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(file)).mtimeMs > ABANDONED_AFTER_MS;
  } catch {
    return false; // Released in between: the next attempt finds out.
  }
}
