/**
 * Loads a configuration from text, in a folder of its own that goes afterwards.
 *
 * @module
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/resolved.ts";
import type { Finding } from "../../src/errors.ts";
import type { Result } from "../../src/result.ts";

export type Surroundings = {
  readonly environment?: Readonly<Record<string, string>>;
  /** Name: content, beside claimgate.yaml. */
  readonly files?: Readonly<Record<string, string>>;
};

export type Loaded = {
  readonly folder: string;
  readonly result: Result<Config, readonly Finding[]>;
};

export async function loadText(
  text: string | Uint8Array,
  around: Surroundings = {},
): Promise<Loaded> {
  const folder = await mkdtemp(join(tmpdir(), "claimgate-config-"));
  try {
    const file = join(folder, "claimgate.yaml");
    await writeFile(file, text);
    for (const [name, content] of Object.entries(around.files ?? {})) {
      await writeFile(join(folder, name), content);
    }
    return { folder, result: await loadConfig(file, around.environment ?? {}) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @returns The configuration; fails the test with the findings where there are any. */
export async function loadValid(text: string, around: Surroundings = {}): Promise<Config> {
  const { result } = await loadText(text, around);
  if (result.ok) return result.value;
  throw new Error(
    result.error.map(({ line, column, message }) => `${line}:${column} ${message}`).join("\n"),
  );
}

/** @returns `line:column code` of each finding; empty for a configuration that holds. */
export async function placesOf(
  text: string | Uint8Array,
  around: Surroundings = {},
): Promise<string[]> {
  const { result } = await loadText(text, around);
  const findings = result.ok ? [] : result.error;
  return findings.map(({ line, column, code }) => `${line}:${column} ${code}`);
}
