/**
 * `claimgate version`: which Claimgate this is, and on which Bun it runs.
 *
 * @module
 */
import type { Command } from "commander";
import { version } from "../../package.json";

export function versionCommand(program: Command): void {
  program
    .version(sentence(), "--version", "print the version")
    .command("version")
    .description("Print the version of Claimgate and of the Bun inside")
    .option("--json", "print it as JSON")
    .action((flags: { readonly json?: true }) => {
      const shown = flags.json ? JSON.stringify({ version, bun: Bun.version }) : sentence();
      process.stdout.write(`${shown}\n`);
    });
}

function sentence(): string {
  return `claimgate ${version} (bun ${Bun.version})`;
}
