/**
 * Ends synchronous code that does not end by itself: no timer can, but `node:vm` interrupts
 * whatever it runs. Code after an `await` is out of its reach.
 *
 * @module
 */
import { Script } from "node:vm";

/** What the script calls. Only ever one at a time: what it runs is synchronous. */
let task: () => void = () => {};

const HOOK = Symbol.for("claimgate.guard");
Object.defineProperty(globalThis, HOOK, { value: () => task() });
const script = new Script('globalThis[Symbol.for("claimgate.guard")]()');

/**
 * Runs `work` and stops it at the limit, wherever it is: neither its `catch` nor its
 * `finally` blocks run then.
 *
 * @returns "ended", or "cut" if the limit was hit.
 * @throws What `work` throws.
 */
export function runGuarded(work: () => void, limitMs: number): "ended" | "cut" {
  const outer = task;
  task = work;
  try {
    script.runInThisContext({ timeout: limitMs });
    return "ended";
  } catch (error) {
    if (isTimeout(error)) return "cut";
    throw error;
  } finally {
    task = outer;
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
}
