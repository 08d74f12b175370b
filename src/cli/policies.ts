/**
 * `claimgate policies`: lists the policies that routes can name, and begins new ones.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { loadPolicies } from "../policy/load.ts";
import { isThere } from "./is-there.ts";
import { USUAL_CONFIG } from "./options.ts";
import { paintFor, printableJson } from "./paint.ts";
import { listPolicies } from "./policies/list.ts";
import { newPolicy } from "./policies/new.ts";
import { policiesTable } from "./policies/table.ts";

type PoliciesFlags = { readonly config?: string; readonly json?: true };

const CONFIG_HELP = `configuration file (default ./${USUAL_CONFIG}, if there)`;

export function policiesCommand(program: Command): void {
  const policies = program
    .command("policies")
    .description("List the policies that routes can name, or begin a new one")
    .option("--config <file>", CONFIG_HELP)
    .option("--json", "print them as JSON, with the JSON Schema of their options")
    .action((flags: PoliciesFlags) => list(flags));
  policies
    .command("new")
    .description("Write a policy to begin with, and a case of it to fill in")
    .argument("<name>", "its path below the policies folder, for example finance/approver")
    .option("--config <file>", CONFIG_HELP)
    .addHelpText("after", "\nNothing that exists is overwritten.")
    .action(async (name: string, _: unknown, command: Command) => {
      // The command above takes the option, wherever it stands.
      const { config }: PoliciesFlags = command.optsWithGlobals();
      await newPolicy(name, await foldersOf(config));
    });
}

async function list({ config: named, json }: PoliciesFlags): Promise<void> {
  const file = named ?? USUAL_CONFIG;
  const config = await configOf(named);
  const loaded = await loadPolicies(config?.policies ?? usualFolder(file));
  if (!loaded.ok) {
    const message = "the policies do not load, so they cannot be listed";
    throw new GateError("config_invalid", message, { findings: loaded.error });
  }
  const policies = listPolicies(loaded.value, config && { config, file });
  loaded.value.dispose();
  process.stdout.write(
    json ? `${printableJson({ policies })}\n` : policiesTable(policies, paintFor(process.stdout)),
  );
}

/**
 * @returns `undefined` where there is none and none was named.
 * @throws GateError `usage_wrong` when the one that was named is not there; `config_invalid`.
 */
async function configOf(named: string | undefined): Promise<Config | undefined> {
  const file = named ?? USUAL_CONFIG;
  if (named === undefined && !(await isThere(file))) return undefined;
  const loaded = await loadConfig(file, process.env);
  if (loaded.ok) return loaded.value;
  const message = `${file} does not hold, so what it uses is not known`;
  throw new GateError("config_invalid", message, { findings: loaded.error });
}

/** A new policy may be what the configuration lacks, so that need not hold. */
async function foldersOf(named: string | undefined): Promise<{ policies: string; state: string }> {
  const file = named ?? USUAL_CONFIG;
  const state = join(dirname(resolve(file)), ".claimgate");
  if (named === undefined && !(await isThere(file))) return { policies: usualFolder(file), state };
  const loaded = await loadConfig(file, process.env);
  return { policies: loaded.ok ? loaded.value.policies : usualFolder(file), state };
}

function usualFolder(file: string): string {
  return join(dirname(resolve(file)), "policies");
}
