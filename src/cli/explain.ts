/**
 * `claimgate explain`: the page that a denied browser sees names it. Until it can explain a
 * decision itself, it says where the decision stands.
 *
 * @module
 */
import type { Command } from "commander";
import { GateError } from "../errors.ts";

export function explainCommand(program: Command): void {
  program
    .command("explain", { hidden: true })
    .argument("[id]", "request id")
    .action(() => {
      const message =
        "explain is not in this version; look for the request id in the gate's log: its line says which rule decided, and why";
      throw new GateError("usage_wrong", message);
    });
}
