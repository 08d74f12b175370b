/**
 * `claimgate replay`: what other policies or another configuration would have made of the
 * requests that were recorded.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { DecisionEntry } from "../audit/entry.ts";
import { newestFirst, readEntry } from "../audit/scan.ts";
import { queryOf } from "../audit/search.ts";
import { loadConfig } from "../config/load.ts";
import type { Config } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { assemble } from "../gate/assemble.ts";
import { openGeo } from "../gate/geo.ts";
import { openReplay, type Replay } from "../gate/replay.ts";
import { openStore } from "../store/open.ts";
import type { RecordQuery, Store } from "../store/store.ts";
import { note } from "./note.ts";
import { MOST_LISTED, readLimit, USUAL_CONFIG } from "./options.ts";
import { paintFor, printableJson } from "./paint.ts";
import { openProgress } from "./replay/progress.ts";
import { replayJson, replayText } from "./replay/report.ts";
import { openTally, type Tally, tallyUp } from "./replay/tally.ts";
import { configFault } from "./report-findings.ts";
import { loadStoreConfig } from "./store-config.ts";

type ReplayFlags = {
  readonly since: string;
  readonly until?: string;
  readonly policies?: string;
  readonly config: string;
  readonly limit?: string;
  readonly json?: true;
  readonly failOnChange?: true;
};

export function replayCommand(program: Command): void {
  program
    .command("replay")
    .description("Say what other policies, or another configuration, make of recorded requests")
    .option("--since <time>", "a duration back from now (1h, 7d), or a time in ISO 8601", "24h")
    .option("--until <time>", "as --since; until now unless given")
    .option("--policies <dir>", "ask the policies of this folder")
    .option("--config <file>", "go by this configuration", USUAL_CONFIG)
    .option("--limit <count>", `list at most so many of each kind (default ${MOST_LISTED})`)
    .option("--json", "print it as JSON")
    .option("--fail-on-change", "exit 1 where anybody would be newly denied or newly allowed")
    .addHelpText(
      "after",
      `
Routes are matched and policies asked again, at the time of then and with the claims that the
audit kept; whether the token was good stays as it was recorded. What was not kept is unknown,
and told. Nothing is sent, counted or recorded.

Examples:
  claimgate replay --since 7d --policies ../new-policies
  claimgate replay --config new.yaml --fail-on-change`,
    )
    .action((flags: ReplayFlags) => replay(flags));
}

async function replay(flags: ReplayFlags): Promise<void> {
  const most = readLimit(flags.limit);
  const { since, until } = flags;
  const query = queryOf(
    { since, ...(until !== undefined && { until }), kind: "decision" },
    Date.now(),
  );
  const config = await configOf(flags);
  const assembly = await assemble(config, flags.config);
  if (!assembly.ok) throw configFault(flags.config, assembly.error);
  try {
    const tally = openTally();
    const where = await storeOf(config, flags.config);
    if (where.kind === "sqlite" && !existsSync(where.file)) {
      note("nothing is recorded yet: the store appears when the gate first starts");
    } else {
      const store = await openStore(where, { now: Date.now });
      try {
        await replayAll(
          store,
          query,
          openReplay(assembly.value, await openGeo(config.geo)),
          tally,
          most,
        );
      } finally {
        await store.close();
      }
    }
    tell(tally, flags, most);
  } finally {
    assembly.value.policies.dispose();
  }
}

async function replayAll(
  store: Pick<Store, "find">,
  query: Omit<RecordQuery, "limit">,
  { judge }: Replay,
  tally: Tally,
  most: number,
): Promise<void> {
  const progress = openProgress(process.stderr);
  for await (const record of newestFirst(store, query)) {
    const entry = readEntry(record);
    if (entry?.kind === "decision" && isWhole(entry))
      tallyUp(tally, entry, await judge(entry), most);
    else tally.damaged += 1;
    progress.at(tally.decisions, record.atMs);
  }
  progress.end();
}

/** Whether it has what is read of it here: one forged record must not hide the others. */
function isWhole({ at, client, token, claims = {} }: DecisionEntry): boolean {
  const isKnown =
    token === undefined ||
    (typeof token.issuer === "string" && typeof token.expiresAt === "string");
  const isClaims = typeof claims === "object" && claims !== null;
  return isKnown && isClaims && typeof client.ip === "string" && !Number.isNaN(Date.parse(at));
}

/** @throws GateError `usage_wrong`, `config_invalid` */
async function configOf({ config: file, policies }: ReplayFlags): Promise<Config> {
  const loaded = await loadConfig(file, process.env);
  if (!loaded.ok) throw configFault(file, loaded.error);
  if (policies === undefined) return loaded.value;
  const folder = resolve(policies);
  if (existsSync(folder)) return { ...loaded.value, policies: folder };
  throw new GateError("usage_wrong", `--policies: there is no folder ${policies}`);
}

/** Beside another configuration there may be no store yet: then the one in force says where it is. */
async function storeOf({ store }: Config, file: string): Promise<Config["store"]> {
  const isThere = store.kind !== "sqlite" || existsSync(store.file);
  if (isThere || resolve(file) === resolve(USUAL_CONFIG) || !existsSync(USUAL_CONFIG)) return store;
  note(`${file} has no store yet: the records are those of ${USUAL_CONFIG}`);
  return (await loadStoreConfig(USUAL_CONFIG)).store;
}

function tell(tally: Tally, { json, failOnChange }: ReplayFlags, most: number): void {
  const { newlyDenied, newlyAllowed, unknown, damaged } = tally;
  const hasChanged = newlyDenied.count + newlyAllowed.count > 0;
  if (failOnChange && hasChanged) process.exitCode = 1;
  const { stdout } = process;
  stdout.write(
    json ? `${printableJson(replayJson(tally))}\n` : replayText(tally, paintFor(stdout)),
  );
  if (damaged > 0) note(`${damaged} records are damaged: claimgate audit verify tells more`);
  const isCut = [newlyDenied, newlyAllowed, unknown].some(({ count }) => count > most);
  if (json && isCut) note(`lists end after ${most}; --limit shows more`);
}
