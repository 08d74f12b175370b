import { readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The source text of shipped policies. Runs while the bundle is made, because one bundle
 * cannot hold a module both as code and as text.
 *
 * @param names Without `.ts`.
 */
export function embedShipped(names: readonly string[]): Record<string, string> {
  const folder = join(import.meta.dir, "../../policies");
  return Object.fromEntries(
    names.map((name) => [name, readFileSync(join(folder, `${name}.ts`), "utf8")]),
  );
}
