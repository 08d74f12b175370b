import { describe, expect, test } from "bun:test";
import { Command, Option } from "commander";
import { bashCompletion } from "../../src/cli/completion/bash.ts";
import { commandTree } from "../../src/cli/completion/command-tree.ts";
import { fishCompletion } from "../../src/cli/completion/fish.ts";
import { zshCompletion } from "../../src/cli/completion/zsh.ts";
import { runClaimgate } from "../support/run-claimgate.ts";
import { tempFolder } from "../support/temp-folder.ts";

const cwd = import.meta.dir;

const scriptFor = async (shell: string): Promise<string> => {
  const { exitCode, out, err } = await runClaimgate(["completion", shell], { cwd });
  expect({ exitCode, err }).toEqual({ exitCode: 0, err: "" });
  return out;
};

/** What bash offers after these words, as the user who presses Tab at the end of the last one sees it. */
async function offered(script: string, words: readonly string[], folder = cwd): Promise<string[]> {
  const ask = `${script}
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p claimgate | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const child = Bun.spawn(["bash", "--norc", "-c", ask, "bash", "claimgate", ...words], {
    cwd: folder,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect(err).toBe("");
  return out.split("\n").filter((line) => line !== "");
}

describe("claimgate completion bash", () => {
  test("offers every command that the help names", async () => {
    const script = await scriptFor("bash");
    const { out } = await runClaimgate(["--help"], { cwd });
    const named = [...out.matchAll(/^ {2}([a-z]+) .*/gm)].map(([, name = ""]) => name);
    expect(named.length).toBeGreaterThan(12);
    const words = await offered(script, [""]);
    for (const name of named.filter((one) => one !== "help")) expect(words).toContain(name);
    expect(await offered(script, ["che"])).toEqual(["check"]);
    expect(await offered(script, ["--ver"])).toEqual(["--version"]);
    expect(await offered(script, ["nonsen"])).toEqual([]);
  });

  test("offers options, words below a command, and choices", async () => {
    const script = await scriptFor("bash");
    expect(await offered(script, ["check", "--"])).toEqual([
      "--config",
      "--json",
      "--watch",
      "--help",
    ]);
    expect(await offered(script, ["policies", "n"])).toEqual(["new"]);
    expect(await offered(script, ["policies", "new", "--c"])).toEqual(["--config"]);
    expect(await offered(script, ["policies", "new", "--j"])).toEqual([]);
    expect(await offered(script, ["completion", ""])).toEqual(
      expect.arrayContaining(["bash", "zsh", "fish"]),
    );
  });

  test("offers files after an option that takes one, and nothing it cannot know", async () => {
    await using folder = await tempFolder({ "gate.yaml": "", "gate two.yaml": "", "x.txt": "" });
    const script = await scriptFor("bash");
    for (const words of [
      ["check", "--config", "ga"],
      ["check", "--config", "=", "ga"],
      ["--help", "check", "--json", "--config", "ga"],
    ]) {
      const files = await offered(script, words, folder.path);
      expect(files.sort()).toEqual(["gate two.yaml", "gate.yaml"]);
    }
    expect((await offered(script, ["check", "--config", "="], folder.path)).length).toBe(3);
    expect(await offered(script, ["token", "--sub", ""], folder.path)).toEqual([]);
    // A value that reads like a command leads nowhere.
    expect(await offered(script, ["policies", "--config", "new", "--j"])).toEqual(["--json"]);
  });
});

describe("a program's commands", () => {
  const program = () => {
    const root = new Command("claimgate").version("1").description("it's all");
    root
      .command("paint")
      .description("Paint it: 'red' $(date) `date`")
      .argument("<file>", "what")
      .addOption(new Option("-c, --colour <name>", "which").choices(["red", "dark-blue"]))
      .option("--fast [speed]", "how fast")
      .option("--no-frame", "without");
    return commandTree(root);
  };

  test("are told with their options and what those take", () => {
    expect(program().commands).toEqual([
      {
        path: ["paint"],
        description: "Paint it: 'red' $(date) `date`",
        options: [
          {
            names: ["--colour", "-c"],
            description: "which",
            value: { kind: "choice", words: ["red", "dark-blue"] },
          },
          { names: ["--fast"], description: "how fast" },
          { names: ["--no-frame"], description: "without" },
          { names: ["--help", "-h"], description: "display help for command" },
        ],
        values: [{ kind: "file" }],
        commands: [],
      },
    ]);
  });

  test("bash offers choices after either name of an option, and files as arguments", async () => {
    await using folder = await tempFolder({ "a.txt": "" });
    const script = bashCompletion(program());
    for (const name of ["-c", "--colour"]) {
      expect(await offered(script, ["paint", name, "d"], folder.path)).toEqual(["dark-blue"]);
    }
    expect(await offered(script, ["paint", "--fast", ""], folder.path)).toContain("a.txt");
    expect(await offered(script, ["paint", "a"], folder.path)).toEqual(["a.txt"]);
  });

  test("zsh and fish get the same, whatever a description holds", () => {
    const zsh = zshCompletion(program());
    expect(zsh).toStartWith("#compdef claimgate\n");
    expect(zsh).toContain(`'paint:Paint it: '\\''red'\\'' $(date) \`date\`'`);
    expect(zsh).toContain("'paint --colour' | 'paint -c') value='red dark-blue' ;;");
    expect(zsh).toContain("'--fast:how fast'");
    const fish = fishCompletion(program());
    expect(fish).toContain(
      "complete -c claimgate -n '__claimgate_at' -a 'paint' -d 'Paint it: \\'red\\' $(date) `date`'\n",
    );
    expect(fish).toContain(
      "complete -c claimgate -n '__claimgate_at paint' -l colour -s c -x -a 'red dark-blue' -d 'which'\n",
    );
    expect(fish).toContain("complete -c claimgate -n '__claimgate_at paint' -F\n");
  });
});

describe("claimgate completion", () => {
  test.each(["zsh", "fish"])("%s has commands and options", async (shell) => {
    const script = await scriptFor(shell);
    for (const word of ["check", "policies", "watch", "config"]) expect(script).toContain(word);
  });

  test.each([
    [["ksh"], "Allowed choices are bash, zsh, fish"],
    [[], "missing required argument 'shell'"],
  ])("%j: 2", async (args, words) => {
    const { exitCode, out, err } = await runClaimgate(["completion", ...args], { cwd });
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
    expect(err).toContain(words);
  });
});
