/**
 * `claimgate completion`: prints what a shell needs to complete this command line. It is made
 * from the commands themselves, so it has what they have.
 *
 * @module
 */
import { Argument, type Command } from "commander";
import { bashCompletion } from "./completion/bash.ts";
import { commandTree } from "./completion/command-tree.ts";
import { fishCompletion } from "./completion/fish.ts";
import { zshCompletion } from "./completion/zsh.ts";

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

const HELP = `
To have it in every new shell:
  bash  echo 'source <(claimgate completion bash)' >> ~/.bashrc
  zsh   claimgate completion zsh > "\${fpath[1]}/_claimgate"
  fish  claimgate completion fish > ~/.config/fish/completions/claimgate.fish`;

/** @param program With all other commands by the time that this one runs. */
export function completionCommand(program: Command): void {
  program
    .command("completion")
    .description("Print what a shell needs to complete commands and options")
    .addArgument(new Argument("<shell>", "which one").choices(Object.keys(SHELLS)))
    .addHelpText("after", HELP)
    .action((shell: keyof typeof SHELLS) => {
      process.stdout.write(SHELLS[shell](commandTree(program)));
    });
}
