/**
 * One way to read an issuer's keys for each place where they can be.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { IssuerConfig, KeyOrigin } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Result } from "../result.ts";
import { ensureDevelopmentKeys } from "./development-keys.ts";
import { checkKeyUrl, type Fetch, type FetchLimits, fetchJson } from "./fetch-json.ts";
import { type ImportedKeys, importKeySet, type KeySet } from "./key-set.ts";
import { locateKeys } from "./locate-keys.ts";
import { readPem } from "./pem.ts";

type KeyReader = {
  /** Remote keys are fetched and kept on disk; local ones are looked at every few seconds. */
  readonly where: "remote" | "local";
  /**
   * @param occasion `scheduled` also looks up again where the keys are; `asked` costs one
   *   request where that is known.
   * @returns The keys, or `unchanged` where they cannot have changed since the last call.
   * @throws GateError `keys_unavailable`, `keys_refused` or `state_unusable`.
   */
  read(occasion: "scheduled" | "asked", stop: AbortSignal): Promise<ImportedKeys | "unchanged">;
};

/** @param limits Of each answer. */
export function createKeyReader(
  { keys }: Pick<IssuerConfig, "keys">,
  fetch: Fetch,
  limits: FetchLimits,
): KeyReader {
  const get = (stop: AbortSignal) => (url: string) => fetchJson(url, fetch, stop, limits);
  switch (keys.kind) {
    case "discovery": {
      let located: string | undefined;
      return {
        where: "remote",
        async read(occasion, stop) {
          const known = occasion === "asked" ? located : undefined;
          // Forgotten until this has worked, so that a failure leads to another look-up.
          located = undefined;
          const url = known ?? (await locateKeys(keys.issuer, get(stop)));
          const imported = take(await importKeySet(await get(stop)(url)));
          located = url;
          return imported;
        },
      };
    }
    case "jwksUri":
      return {
        where: "remote",
        async read(_, stop) {
          const complaint = checkKeyUrl(keys.url);
          if (complaint !== undefined) throw new GateError("keys_refused", `it is ${complaint}`);
          return take(await importKeySet(await get(stop)(keys.url)));
        },
      };
    default:
      return createFileReader(fileOf(keys), () => readFileKeys(keys, limits.maxBytes));
  }
}

type FileOrigin = Exclude<KeyOrigin, { kind: "discovery" | "jwksUri" }>;

function fileOf(origin: FileOrigin): string {
  return origin.kind === "development" ? join(origin.folder, "development-keys.json") : origin.file;
}

/** Reads again only when the file's date, size or identity has changed. */
function createFileReader(file: string, read: () => Promise<ImportedKeys>): KeyReader {
  let former: string | undefined;
  return {
    where: "local",
    async read() {
      const stamp = await stampOf(file);
      if (stamp !== undefined && stamp === former) return "unchanged";
      former = undefined;
      const imported = await read();
      former = stamp;
      return imported;
    },
  };
}

async function stampOf(file: string): Promise<string | undefined> {
  try {
    const { mtimeMs, size, ino } = await stat(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return undefined; // Whatever the reason: reading finds it, too, and says it better.
  }
}

async function readFileKeys(origin: FileOrigin, maxBytes: number): Promise<ImportedKeys> {
  if (origin.kind === "development") {
    const keys = await ensureDevelopmentKeys(origin.folder);
    return take(await importKeySet({ keys: keys.map((key) => key.publicJwk) }));
  }
  const text = await readText(origin.file, maxBytes);
  if (origin.kind === "jwks") return take(await importKeySet(parseJson(text)));
  return take(await importFrom(readPem(text), "any"));
}

async function importFrom(
  document: Result<unknown, string>,
  fits: KeySet["fits"],
): Promise<Result<ImportedKeys, string>> {
  return document.ok ? importKeySet(document.value, fits) : document;
}

async function readText(file: string, maxBytes: number): Promise<string> {
  try {
    if (Bun.file(file).size > maxBytes) {
      throw new GateError("keys_refused", `the key file has more than ${maxBytes} bytes`);
    }
    return await Bun.file(file).text();
  } catch (error) {
    if (error instanceof GateError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "failed";
    const message = `the key file cannot be read (${code})`;
    throw new GateError("keys_unavailable", message, { cause: error });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser quotes what it chokes on, and that may be a key that should not be there.
    throw new GateError("keys_refused", "the key file is not JSON");
  }
}

function take(imported: Result<ImportedKeys, string>): ImportedKeys {
  if (imported.ok) return imported.value;
  throw new GateError("keys_refused", imported.error);
}
