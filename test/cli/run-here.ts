/**
 * Runs commands in this process, so that a test can look at what they throw.
 *
 * @module
 */
import { spyOn } from "bun:test";
import { Command } from "commander";

export type Outcome = { readonly out: string; readonly err: string; readonly exitCode: number };

/**
 * Keeps what a command writes.
 *
 * @throws What the command throws; `process.exitCode` is as it was before.
 */
export async function runHere(
  commands: readonly ((program: Command) => void)[],
  args: readonly string[],
): Promise<Outcome> {
  const written = { out: "", err: "" };
  const keep = (to: "out" | "err") => (text: string | Uint8Array) => {
    written[to] += text;
    return true;
  };
  const out = spyOn(process.stdout, "write").mockImplementation(keep("out"));
  const err = spyOn(process.stderr, "write").mockImplementation(keep("err"));
  const before = process.exitCode;
  try {
    process.exitCode = 0;
    const program = new Command("claimgate").exitOverride();
    for (const register of commands) register(program);
    await program.parseAsync(args, { from: "user" });
    return { ...written, exitCode: process.exitCode };
  } finally {
    process.exitCode = before ?? 0;
    out.mockRestore();
    err.mockRestore();
  }
}
