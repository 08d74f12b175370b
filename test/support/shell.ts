/**
 * A bash that takes one command after the other, as at a terminal.
 *
 * @module
 */

export type Shell = AsyncDisposable & {
  /** @returns What it printed, on stdout and stderr alike. */
  run(command: string): Promise<string>;
};

const COMMAND_LIMIT_MS = 60_000;

export function openShell(cwd: string, environment: Readonly<Record<string, string>>): Shell {
  const child = Bun.spawn(["bash"], {
    cwd,
    env: { ...process.env, ...environment },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  child.stdin.write("exec 2>&1\n");
  let unread = "";
  return {
    async run(command) {
      const mark = `end-${crypto.randomUUID()}`;
      child.stdin.write(`{ ${command}\n} < /dev/null\necho "${mark}"\n`);
      child.stdin.flush();
      const late = setTimeout(() => child.kill(), COMMAND_LIMIT_MS);
      while (!unread.includes(`${mark}\n`)) {
        const { value, done } = await output.read();
        if (done) throw new Error(`The shell has ended after ${command}:\n${unread}`);
        unread += value;
      }
      clearTimeout(late);
      const [said = "", rest = ""] = unread.split(`${mark}\n`);
      unread = rest;
      return said === "" || said.endsWith("\n") ? said : `${said}\n`;
    },
    async [Symbol.asyncDispose]() {
      child.stdin.write("kill $(jobs -p) 2> /dev/null\nexit\n");
      child.stdin.end();
      await child.exited;
    },
  };
}
