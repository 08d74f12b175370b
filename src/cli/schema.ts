/**
 * `claimgate schema`: prints the JSON Schema of claimgate.yaml.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { policiesIn, schemaText } from "./editor-schema.ts";
import { isThere } from "./is-there.ts";
import { USUAL_CONFIG } from "./options.ts";

type SchemaFlags = { readonly config?: string };

export function schemaCommand(program: Command): void {
  program
    .command("schema")
    .description("Print the JSON Schema of claimgate.yaml, for editors")
    .option("--config <file>", `whose policies it knows (default ./${USUAL_CONFIG}, if there)`)
    .action(async ({ config }: SchemaFlags) => {
      const folder = await policiesFolder(config);
      const policies = folder === undefined ? undefined : await policiesIn(folder);
      process.stdout.write(schemaText(policies));
    });
}

/**
 * @returns Absolute; absent where there is no configuration.
 * @throws GateError `usage_wrong` when the one that was named is not there.
 */
async function policiesFolder(named: string | undefined): Promise<string | undefined> {
  const file = named ?? USUAL_CONFIG;
  if (named === undefined && !(await isThere(file))) return undefined;
  const config = await loadConfig(file, process.env);
  // The schema is most wanted while the configuration does not hold.
  return config.ok ? config.value.policies : join(dirname(resolve(file)), "policies");
}
