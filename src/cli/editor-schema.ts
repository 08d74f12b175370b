/**
 * The JSON Schema of claimgate.yaml as editors get it: with the names of the policies that
 * are there, and the options of each.
 *
 * @module
 */
import { join } from "node:path";
import type { TSchema } from "@sinclair/typebox";
import { jsonSchema } from "../config/json-schema.ts";
import { discover, policyNameOf } from "../policy/discover.ts";
import { loadPolicies, type PolicySet } from "../policy/load.ts";
import { readIfThere, writePrivately } from "../policy/private-file.ts";
import { shippedPolicies } from "../policy/shipped.ts";

/** Names, with the schema of their options where that is known. */
type KnownPolicies = ReadonlyMap<string, TSchema | undefined>;

/**
 * @param folder Absolute. One that does not load is known by the names of its files.
 * @returns The shipped policies too.
 */
export async function policiesIn(folder: string): Promise<KnownPolicies> {
  const loaded = await loadPolicies(folder);
  if (loaded.ok) {
    const known = policiesOf(loaded.value);
    loaded.value.dispose();
    return known;
  }
  const { files } = await discover(folder);
  const names = files.map(({ path }) => policyNameOf(path)).filter((name) => name !== undefined);
  return new Map(
    [...shippedPolicies.map(({ name }) => name), ...names].map((name) => [name, undefined]),
  );
}

export function policiesOf({ policies }: PolicySet): KnownPolicies {
  return new Map([...policies.values()].map(({ name, options }) => [name, options]));
}

/** @param policies Absent where any name and options are to pass. */
export function schemaText(policies?: KnownPolicies): string {
  return `${JSON.stringify(jsonSchema(policies), undefined, 2)}\n`;
}

/** Where the first line of a claimgate.yaml that `init` has written points. */
const FILE = "schema.json";

/** @param stateFolder `.claimgate` beside the configuration; made where it is not there. */
export async function writeSchema(stateFolder: string, policies: KnownPolicies): Promise<void> {
  await writePrivately(join(stateFolder, FILE), schemaText(policies));
}

/**
 * Follows the policies, so that editors do not call a new one unknown. Does nothing where no
 * editor was set up.
 */
export async function refreshSchema(stateFolder: string, policies: KnownPolicies): Promise<void> {
  const former = await readIfThere(join(stateFolder, FILE));
  if (former === undefined || former === schemaText(policies)) return;
  await writeSchema(stateFolder, policies);
}
