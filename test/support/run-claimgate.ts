/**
 * Runs one command of claimgate to its end, as a shell would.
 *
 * @module
 */
import { claimgateCommand } from "./executable.ts";

export type CommandResult = {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
};

/** Longer than any command takes that ends by itself. */
const LIMIT_MS = 20_000;

/** @param cwd Absolute. */
export async function runClaimgate(
  args: readonly string[],
  { cwd, environment = {} }: { cwd: string; environment?: Readonly<Record<string, string>> },
): Promise<CommandResult> {
  const child = Bun.spawn([...claimgateCommand(), ...args], {
    cwd,
    env: { ...process.env, ...environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const [out, err, exitCode] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  return { exitCode, out, err };
}
