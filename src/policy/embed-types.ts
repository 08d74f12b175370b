import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * Everything a type checker needs to understand "claimgate", packed: the SDK's own text with
 * its comments, TypeBox's declarations and the globals of policies. Runs while the bundle is made.
 *
 * @returns A gzipped JSON object of path and text, in base64.
 */
export function embedTypes(): string {
  const source = join(import.meta.dir, "..");
  const typebox = join(source, "../node_modules/@sinclair/typebox/build/esm");
  const files: Record<string, string> = {};
  for (const path of [
    "policy/sdk.ts",
    "policy/definition.ts",
    "lib/claim-at.ts",
    "lib/duration.ts",
  ]) {
    const text = readFileSync(join(source, path), "utf8");
    // Policies cannot import TypeBox by its name at run time, so it must not resolve for them.
    files[`claimgate/${path}`] = text.replaceAll(
      '"@sinclair/typebox"',
      '"../../typebox/index.mjs"',
    );
  }
  files["claimgate/lib/cidr.ts"] = CIDR;
  files["claimgate/policy/cache.ts"] = CACHE;
  files["globals.d.ts"] = readFileSync(join(source, "policy/policy-globals.txt"), "utf8");
  for (const path of readdirSync(typebox, { recursive: true, encoding: "utf8" }).sort()) {
    if (!path.endsWith(".d.mts")) continue;
    files[`typebox/${path.replaceAll("\\", "/")}`] = readFileSync(join(typebox, path), "utf8");
  }
  return Buffer.from(Bun.gzipSync(JSON.stringify(files))).toString("base64");
}

/** What the SDK uses of `lib/cidr.ts`, whose own imports policies need not have. */
const CIDR = `export declare function createRangeMatcher(
  ranges: readonly string[],
): (canonicalIp: string) => boolean;
`;

/** What the SDK uses of `cache.ts`. */
const CACHE = `export declare function recall(
  key: string,
  rule: { readonly ttlMs: number; readonly staleForMs: number },
  load: () => unknown,
): Promise<unknown>;
`;
