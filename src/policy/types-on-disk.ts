/**
 * Lays what "claimgate" means to a type checker on disk, from inside the executable: policies
 * get types and completion in an editor, and are checked, with nothing installed.
 *
 * @module
 */
import { rename, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { GateError } from "../errors.ts";
import { diskReason } from "../lib/disk-fault.ts";
import { readIfThere, writePrivately } from "./private-file.ts";

/** Where the parts are, absolute. */
export type TypesOnDisk = {
  /** What `claimgate` resolves to. */
  readonly sdk: string;
  readonly globals: string;
  /** Changes whenever any of the text does. */
  readonly version: string;
};

/**
 * Writes the types to `<stateFolder>/types` unless they are there already; an upgrade of
 * claimgate replaces them. Readable by the owner only, like everything in that folder.
 *
 * @throws GateError `state_unusable` if the folder cannot be written.
 */
export async function writeTypes(stateFolder: string): Promise<TypesOnDisk> {
  const { packedTypes } = await import("./embedded-types.ts");
  const version = new Bun.CryptoHasher("sha256").update(packedTypes).digest("hex").slice(0, 32);
  const folder = join(stateFolder, "types");
  const parts = partsOf(folder, version);
  const stamp = join(folder, "version");
  if ((await readIfThere(stamp)) === version) return parts;

  const fresh = join(stateFolder, `types-${crypto.randomUUID()}`);
  const former = `${fresh}-former`;
  try {
    for (const [path, text] of Object.entries(unpack(packedTypes))) {
      await writePrivately(join(fresh, path), text);
    }
    await writePrivately(join(fresh, "version"), version);
    // No rename replaces a folder that has something in it.
    await rename(folder, former).catch(ignoreMissing);
    await rename(fresh, folder);
  } catch (cause) {
    // Another process may have been faster; what it laid down is as good.
    if ((await readIfThere(stamp)) !== version) {
      const message = `cannot write the types of policies to ${folder}: ${diskReason(cause)}`;
      throw new GateError("state_unusable", message, { cause });
    }
  } finally {
    for (const left of [fresh, former]) await rm(left, { recursive: true, force: true });
  }
  return parts;
}

/**
 * The `tsconfig.json` for a policies folder: with it, editors find the types and check policies
 * as `claimgate check` does.
 *
 * @param policiesFolder Where the file will be. @param stateFolder Where `writeTypes` writes. Both absolute.
 * @returns Its text; relative paths, so that it may be committed.
 */
export function editorConfig(policiesFolder: string, stateFolder: string): string {
  const types = relative(policiesFolder, join(stateFolder, "types")).replaceAll("\\", "/");
  const below = types.startsWith(".") ? types : `./${types}`;
  const { sdk, globals } = partsOf(below, "");
  const config = {
    compilerOptions: compilerOptions(sdk),
    files: [globals],
    include: ["./**/*.ts"],
    exclude: ["node_modules"],
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** One set of rules for editors and for `check`. @param sdk What `claimgate` resolves to. */
export function compilerOptions(sdk: string): Readonly<Record<string, unknown>> {
  return {
    lib: ["ESNext"],
    target: "ESNext",
    module: "Preserve",
    moduleResolution: "bundler",
    moduleDetection: "force",
    allowImportingTsExtensions: true,
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
    paths: { claimgate: [sdk] },
  };
}

function partsOf(folder: string, version: string): TypesOnDisk {
  const at = (path: string) => `${folder}/${path}`;
  return { sdk: at("claimgate/policy/sdk.ts"), globals: at("globals.d.ts"), version };
}

function unpack(packed: string): Record<string, string> {
  const json = Bun.gunzipSync(Buffer.from(packed, "base64"));
  return JSON.parse(new TextDecoder().decode(json));
}

function ignoreMissing(cause: unknown): void {
  const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
  if (!isMissing) throw cause;
}
