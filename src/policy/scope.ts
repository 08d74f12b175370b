/**
 * On whose behalf policy code runs, found again after every `await`: `cached()` is a plain import
 * of policies and must not mix up two of them, nor the cases of one with its requests.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Question } from "./input.ts";
import type { LoadedPolicy } from "./load.ts";

export type Scope = {
  readonly policy: LoadedPolicy;
  readonly question: Question;
  readonly timeoutMs: number;
  /** Set within what `cached()` loads, which may outlive the evaluation that began it. */
  readonly load?: {
    readonly signal: AbortSignal;
    /** What is being loaded, the outermost first. */
    readonly keys: readonly string[];
  };
};

export const scopes = new AsyncLocalStorage<Scope>();

/**
 * Calls `task` as the gate's own: what it opens is not closed with the policies of a reload, so
 * that its end is always heard of.
 */
export const asGate: <T>(task: () => T) => T = AsyncLocalStorage.snapshot();
