/**
 * The configuration for commands that read the store and need nothing else of it.
 *
 * @module
 */
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/resolved.ts";
import { GateError } from "../errors.ts";

/**
 * @param file As the owner typed it.
 * @throws GateError `usage_wrong` when there is no such file, or when what is missing is a
 *   variable of the environment: the gate has it, this shell does not; `config_invalid` with all
 *   findings.
 */
export async function loadStoreConfig(file: string): Promise<Config> {
  const loaded = await loadConfig(file, process.env);
  if (loaded.ok) return loaded.value;
  const unset = loaded.error.filter(({ code }) => code === "environment_unset");
  if (unset.length > 0) {
    const message = `${file} names variables that this shell does not have: set them as for the gate`;
    throw new GateError("usage_wrong", message, { findings: unset });
  }
  const message = `${file} does not hold, so the store is not known`;
  throw new GateError("config_invalid", message, { findings: loaded.error });
}
