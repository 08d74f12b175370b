/**
 * The only file that knows `Bun.ModuleGraph`, which is experimental: loads modules of a policy
 * folder afresh, apart from every former set, and runs their code so that what it opens, and
 * what it throws later, is the graph's and not the gate's. A loop at the top level of a module
 * is cut: it would hold up every request of a gate that only wanted to reload.
 *
 * @module
 */
import { dirname } from "node:path";
import { runGuarded } from "./guard.ts";
import * as sdk from "./sdk.ts";

export type PolicyGraph = {
  /**
   * @returns The module's default export; rejects with whatever loading it threw, or when its
   *   top level does not end.
   */
  load(file: string): Promise<unknown>;
  /** Calls `task` in the graph's context, also after `dispose()`. */
  run<T>(task: () => T): T;
  /** An evaluation has begun that does not end in this call: the graph waits for it. */
  begin(): void;
  /** One that had begun has ended. */
  end(): void;
  /** Closes what policies opened, once the last evaluation in flight has ended. */
  dispose(): void;
};

/** @param onStray Told of errors that no evaluation waits for: a timer's, a promise nobody awaits. */
export function openGraph(onStray: (error: unknown) => void): PolicyGraph {
  registerModules();
  const graph = new Bun.ModuleGraph({ onError: (error) => onStray(error) });
  let inFlight = 0;
  let state: "open" | "retired" | "disposed" = "open";

  const settle = () => {
    if (state !== "retired" || inFlight > 0) return;
    state = "disposed";
    graph.dispose();
  };
  return {
    load: (file) => loadModule(graph, file),
    run: (task) => (state === "disposed" ? latecomers() : graph).run(task),
    begin() {
      inFlight++;
    },
    end() {
      inFlight--;
      settle();
    },
    dispose() {
      if (state === "open") state = "retired";
      settle();
    },
  };
}

/** Requests wait meanwhile: what a module does when it is loaded takes milliseconds. */
const TOP_LEVEL_LIMIT_MS = 2_000;

async function loadModule(graph: Bun.ModuleGraph, file: string): Promise<unknown> {
  // Only what is synchronous can be cut, and `import()` never is; the graph's own require is.
  const { default: require } = await graph.import<{ default: NodeJS.Require }>(LOADER);
  // `require` trusts the listing of the folder that Bun has kept; looking for the file here
  // makes Bun read the folder again, so that a file which came later is found.
  Bun.resolveSync(file, dirname(file));
  let module: { readonly default?: unknown } | undefined;
  let isAsync = false;
  const load = () => {
    try {
      module = require(file);
    } catch (error) {
      isAsync = isAwaiting(error);
      if (!isAsync) throw error;
    }
  };
  if (graph.run(() => runGuarded(load, TOP_LEVEL_LIMIT_MS)) === "cut") {
    throw new Error(`its top level has not ended within ${TOP_LEVEL_LIMIT_MS / 1_000} s`);
  }
  return (isAsync ? await graph.import(file) : module)?.default;
}

/** A module that awaits at its top level, which `require()` refuses before it runs. */
function isAwaiting(error: unknown): boolean {
  return error instanceof TypeError && error.message.startsWith("require() async module");
}

let shared: Bun.ModuleGraph | undefined;

/**
 * Where policies of a set that was disposed run: a request that took the site before a reload
 * may ask its policies only afterwards. Their code still works; it needs but a context.
 */
function latecomers(): Bun.ModuleGraph {
  shared ??= new Bun.ModuleGraph({ onError: (error) => reportStray(error) });
  return shared;
}

/** Says on stderr that policy code failed where nobody waits for it. */
export function reportStray(error: unknown): void {
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  console.error(`claimgate: policy code failed outside its evaluation: ${what.slice(0, 2_000)}`);
}

/** Gives a graph's own `require` away. */
const LOADER = "claimgate:loader";

let registered = false;

/** Modules that a graph loads find the SDK under its name, whatever lies on disk. */
function registerModules(): void {
  if (registered) return;
  registered = true;
  Bun.plugin({
    name: "claimgate-sdk",
    setup(build) {
      build.module("claimgate", () => ({ exports: { ...sdk }, loader: "object" }));
      const contents = "export default import.meta.require;";
      build.module(LOADER, () => ({ contents, loader: "js" }));
    },
  });
}
