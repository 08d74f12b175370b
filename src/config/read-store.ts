/**
 * `store` and `revocation`: where the ledger lives, and what holds while it is lost.
 *
 * The store's address may hold a password: no finding shows any of it.
 *
 * @module
 */
import { err, ok, type Result } from "../result.ts";
import { readDurationMs } from "./quantity.ts";
import { findNewFile, readSecret } from "./read-files.ts";
import type { Reading } from "./report.ts";
import type { Config, StoreConfig } from "./resolved.ts";
import type { FileContent } from "./schema.ts";
import type { Problem } from "./source.ts";

const PRESET = "sqlite:claimgate.db";
const PREFIX_PRESET = "claimgate:";
const ADVICE = "write sqlite:PATH, or redis://host:port or rediss://host:port";

/** Scheme, authority, path, query: nothing that the URL parser would mend or drop. */
const REDIS = /^rediss?:\/\/(?<authority>[^\s\\/?#]+)(?:\/\d{0,4})?(?:\?[^\s\\#]*)?$/i;
const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])$/i;
/** No characters that mean something in a pattern of keys. */
const PREFIX = /^[\w.:{}@-]{1,64}$/;

/** @param configFile Absolute; the store never is that file. */
export async function readStore(
  written: FileContent["store"],
  configFile: string,
  reading: Reading,
): Promise<StoreConfig> {
  const path = ["store"];
  const text = await readSecret(written ?? PRESET, path, reading);
  const store = await parseStore((text ?? PRESET).trim(), configFile, reading);
  if (store.ok) return store.value;
  reading.report.at(path, store.error);
  return { kind: "sqlite", file: "" };
}

export function readRevocation(
  content: FileContent["revocation"],
  { report }: Reading,
): Config["revocation"] {
  return {
    maxStalenessMs: readDurationMs(
      content?.maxStaleness,
      "30s",
      { from: "1s", to: "24h" },
      ["revocation", "maxStaleness"],
      report,
    ),
    onStoreLoss: content?.onStoreLoss ?? "refuse",
  };
}

async function parseStore(
  text: string,
  configFile: string,
  reading: Reading,
): Promise<Result<StoreConfig, Problem>> {
  if (text.startsWith("sqlite:")) {
    return parseSqlite(text.slice("sqlite:".length), configFile, reading);
  }
  if (/^rediss?:/i.test(text)) return parseRedis(text, reading);
  return refuse("store is neither sqlite:PATH nor a redis address", ADVICE);
}

async function parseSqlite(
  name: string,
  configFile: string,
  { folder }: Reading,
): Promise<Result<StoreConfig, Problem>> {
  if (name === ":memory:") {
    const message = "a store in memory would forget every revocation";
    return refuse(message, "write sqlite:PATH");
  }
  // Where elsewhere the path begins differs; here sqlite://x.db would be a file in /.
  if (name.includes("//")) {
    return refuse("store: PATH in sqlite:PATH is a plain path, no address", "write sqlite:PATH");
  }
  const file = await findNewFile(name, folder);
  if (!file.ok) {
    const { code, complaint, fix } = file.error;
    return err({ code, message: `store: ${complaint}`, fix });
  }
  if (file.value === configFile) return refuse("store is this very configuration", ADVICE);
  return ok({ kind: "sqlite", file: file.value });
}

function parseRedis(text: string, { source }: Reading): Result<StoreConfig, Problem> {
  const authority = REDIS.exec(text)?.groups?.authority;
  const url = authority === undefined ? null : URL.parse(text);
  if (authority === undefined || url === null || !HOST.test(url.hostname) || url.port === "0") {
    const message = "store is not a redis address";
    const fix = `write redis://host:port or rediss://user:password@host:port/0; characters such as @ / ? # % in a password need percent-encoding`;
    return refuse(message, fix);
  }
  if (authority.includes(":@")) {
    const variables = source.variablesOf(["store"]);
    const fix = "write a password after the :, or remove the :";
    return err({
      code: "secret_empty",
      message: "the password in store is empty",
      fix: variables.length === 0 ? fix : `set ${variables.join(", ")}, or ${fix}`,
    });
  }
  const parameters = [...url.searchParams.keys()];
  if (parameters.length > 1 || (parameters[0] ?? "prefix") !== "prefix") {
    return refuse(
      "store has a parameter other than one prefix",
      "write ?prefix=NAME: or remove it",
    );
  }
  const prefix = url.searchParams.get("prefix") ?? PREFIX_PRESET;
  if (!PREFIX.test(prefix)) {
    const message = "the prefix in store has 1 to 64 letters, digits or . : - _ @ { }";
    return refuse(message, "write ?prefix=claimgate: or remove it");
  }
  url.search = "";
  return ok({ kind: "redis", url: url.href, prefix });
}

function refuse(message: string, fix: string): Result<never, Problem> {
  return err({ code: "store_invalid", message, fix });
}
