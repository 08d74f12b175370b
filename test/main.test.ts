import { describe, expect, test } from "bun:test";
import { tmpdir } from "node:os";
import { claimgateCommand } from "./support/executable.ts";
import { runClaimgate } from "./support/run-claimgate.ts";
import { tempFolder } from "./support/temp-folder.ts";

const isLinux = process.platform === "linux";

/** Runs `claimgate ARGS REDIRECTION` in a shell. */
async function inShell(redirected: string): Promise<{ exitCode: number; err: string }> {
  const script = `"$@" ${redirected}`;
  const child = Bun.spawn(
    ["bash", "-o", "pipefail", "-c", script, "bash", ...claimgateCommand(), "schema"],
    {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [err, exitCode] = await Promise.all([child.stderr.text(), child.exited]);
  return { exitCode, err };
}

describe("output that nobody takes", () => {
  test("a reader that has left is no fault", async () => {
    // The reader is gone before the first word.
    expect(await inShell("| (exec <&-; sleep 0)")).toEqual({ exitCode: 0, err: "" });
  });

  test.if(isLinux)("a full disk is told in one line, with exit 70", async () => {
    expect(await inShell("> /dev/full")).toEqual({
      exitCode: 70,
      err: "claimgate: cannot write the output: the disk is full (ENOSPC)\n",
    });
  });
});

test("what a policy prints is not among the results", async () => {
  await using folder = await tempFolder();
  await runClaimgate(["init"], { cwd: folder.path });
  const file = `${folder.path}/policies/staff.ts`;
  const text = await Bun.file(file).text();
  const calls = ["log", "info", "debug", "error"].map((name) => `console.${name}("said");`);
  await Bun.write(file, `${text}\n${calls.join("\n")}\n`);
  const { exitCode, out, err } = await runClaimgate(["check", "--json"], { cwd: folder.path });
  expect({ exitCode, out: JSON.parse(out) }).toEqual({
    exitCode: 0,
    out: { ok: true, findings: [] },
  });
  expect(err).toBe("said\n".repeat(4));
});

describe("what is mistyped is told, with what was meant and where the help is", () => {
  test.each([
    [
      ["sevre"],
      "unknown command 'sevre'",
      "(Did you mean serve?)",
      "(claimgate --help tells more)",
    ],
    [
      ["serve", "--cofnig", "x"],
      "unknown option '--cofnig'",
      "(Did you mean --config?)",
      "(claimgate serve --help tells more)",
    ],
    [
      ["audit", "verify", "--jsno"],
      "unknown option '--jsno'",
      "(Did you mean --json?)",
      "(claimgate audit verify --help tells more)",
    ],
  ])("%p", async (args, ...lines) => {
    const { exitCode, out, err } = await runClaimgate(args, { cwd: tmpdir() });
    expect({ exitCode, out, err }).toEqual({
      exitCode: 2,
      out: "",
      err: `claimgate: ${lines.join("\n")}\n`,
    });
  });
});
