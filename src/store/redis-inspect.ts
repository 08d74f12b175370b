/**
 * A look into Redis, by commands that change nothing.
 *
 * @module
 */
import type { StoreConfig } from "../config/resolved.ts";
import type { Inspection } from "./inspect.ts";
import { fault } from "./redis-fault.ts";
import { openLink, type RedisLink } from "./redis-link.ts";
import { LAYOUT_VERSION } from "./redis-scripts.ts";

type RedisConfig = Extract<StoreConfig, { kind: "redis" }>;

/** Questions in one go. */
const BATCH = 500;
const MOST_PROBLEMS = 20;

/** A writer's records, and those that its anchor tells of. */
type Chain = { readonly writer: string; readonly kept: number; readonly due: number };

/** @throws GateError `store_unavailable`, `store_damaged` */
export async function inspectRedis(
  { url, prefix }: RedisConfig,
  depth: "count" | "check",
): Promise<Inspection | undefined> {
  const { protocol, host, pathname } = new URL(url);
  const where = `${protocol}//${host === "" ? pathname : host}`;
  const link = openLink({ url, where });
  try {
    await link.first;
    const ask = (command: string, key: string, ...args: string[]) =>
      link.send(command, [`${prefix}${key}`, ...args]);
    const version = await ask("HGET", "meta", "version");
    if (version === null) return undefined;
    if (Number(version) !== LAYOUT_VERSION) {
      const known = `its schema is version ${String(version)}, and this claimgate knows ${LAYOUT_VERSION}`;
      throw fault("store_damaged", where, known);
    }
    const sizes = await Promise.all([
      ask("HLEN", "revoked"),
      ask("ZCARD", "revoked:until"),
      ask("ZCARD", "sightings:until"),
      ask("ZCARD", "sightings:all"),
      ask("ZCARD", "values"),
    ]);
    const [revocations = 0, ends = 0, sightings = 0, seen = 0, values = 0] = sizes.map(Number);
    const chains = await chainsOf(link, prefix);
    const first = await ask("ZRANGE", "index:all", "0", "0", "WITHSCORES");
    const [, oldest] = (first as readonly unknown[]).flat(); // a pair of its own in RESP3
    const memory = String(await link.send("INFO", ["memory"]).catch(() => ""));
    const bytes = /^used_memory:(\d+)/m.exec(memory)?.[1];
    const report = {
      kind: "redis",
      place: where,
      schemaVersion: LAYOUT_VERSION,
      ...(bytes !== undefined && { bytes: Number(bytes) }),
      records: chains.reduce((sum, { kept }) => sum + kept, 0),
      writers: chains.length,
      revocations,
      sightings,
      values,
      ...(oldest !== undefined && { oldestRecordMs: Number(oldest) }),
    } as const;
    if (depth === "count") return { report, problems: [] };
    const problems = chains
      .filter(({ kept, due }) => kept !== due)
      .slice(0, MOST_PROBLEMS)
      .map(({ writer, kept, due }) => `${writer} has ${kept} records where ${due} were written`);
    if (revocations !== ends) problems.push(`of ${ends} revocations ${revocations} are there`);
    if (sightings !== seen) problems.push(`of ${sightings} sightings ${seen} are listed`);
    const policy = /^maxmemory_policy:(allkeys-[a-z-]+)/m.exec(memory)?.[1];
    if (policy !== undefined && Number(/^maxmemory:(\d+)/m.exec(memory)?.[1]) > 0) {
      problems.push(`it evicts keys (${policy}): set maxmemory-policy noeviction`);
    }
    return { report, problems };
  } finally {
    link.close();
  }
}

async function chainsOf(link: RedisLink, prefix: string): Promise<readonly Chain[]> {
  const writers = (await link.send("ZRANGE", [`${prefix}writers`, "0", "-1"])) as string[];
  const chains: Chain[] = [];
  const look = async (writer: string): Promise<Chain> => {
    const [kept, at] = await Promise.all([
      link.send("XLEN", [`${prefix}chain:${writer}`]),
      link.send("HMGET", [`${prefix}anchor:${writer}`, "sweptSeq", "lastSeq"]),
    ]);
    const [swept, last] = at as readonly (string | null)[];
    return { writer, kept: Number(kept), due: Number(last ?? 0) - Number(swept ?? 0) };
  };
  for (let from = 0; from < writers.length; from += BATCH) {
    chains.push(...(await Promise.all(writers.slice(from, from + BATCH).map(look))));
  }
  return chains;
}
