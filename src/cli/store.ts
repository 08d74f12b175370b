/**
 * `claimgate store`: where the store lies, how large it is and what is in it; `claimgate store
 * check`: whether it is whole. Both only look.
 *
 * @module
 */
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { type Inspection, inspectStore, type StoreReport } from "../store/inspect.ts";
import { CONFIG_OPTION } from "./options.ts";
import { counted, paintFor, printableJson, visible } from "./paint.ts";
import { loadStoreConfig } from "./store-config.ts";

type StoreFlags = { readonly json?: true; readonly config: string };

const NONE_YET = "there is no store yet: it appears when the gate first starts";

export function storeCommand(program: Command): void {
  const store = program
    .command("store")
    .description("Show where the store lies, how large it is and what is in it")
    .option("--json", "print JSON")
    .option(...CONFIG_OPTION)
    .action((flags: StoreFlags) => showStore(flags));
  store
    .command("check")
    .description("Say whether the store is whole; exit 1 if it is not")
    .option("--json", "print the problems as JSON")
    .option(...CONFIG_OPTION)
    // Options that both know are taken by the command above, wherever they stand.
    .action((_: StoreFlags, check: Command) => checkStore(check.optsWithGlobals<StoreFlags>()));
}

async function showStore(flags: StoreFlags): Promise<void> {
  const config = await loadStoreConfig(flags.config);
  const inspection = await inspectStore(config.store, "count");
  if (inspection === undefined) {
    note(NONE_YET);
    if (flags.json) print(printableJson({ kind: config.store.kind, exists: false }));
    return;
  }
  const { report } = inspection;
  if (flags.json) {
    const { oldestRecordMs, ...rest } = report;
    const oldestRecord = oldestRecordMs === undefined ? undefined : isoTime(oldestRecordMs);
    print(printableJson({ ...rest, ...(oldestRecord !== undefined && { oldestRecord }) }));
    return;
  }
  for (const [name, value] of linesOf(report)) print(visible(`${name.padEnd(12)} ${value}`));
}

function linesOf(report: StoreReport): readonly (readonly [string, string])[] {
  const { kind, place, schemaVersion, bytes, records, writers, oldestRecordMs } = report;
  const since = oldestRecordMs === undefined ? "" : `, since ${isoTime(oldestRecordMs)}`;
  return [
    ["store", `${kind} ${place}`],
    ["schema", `version ${schemaVersion}`],
    ...(bytes === undefined ? [] : [["size", sizeOf(bytes)] as const]),
    ["records", `${records} of ${counted(writers, "writer")}${since}`],
    ["revocations", String(report.revocations)],
    ["sightings", String(report.sightings)],
    ["values", String(report.values)],
  ];
}

async function checkStore(flags: StoreFlags): Promise<void> {
  const { store } = await loadStoreConfig(flags.config);
  const inspection = await inspectStore(store, "check").catch(damageOf);
  const problems = inspection?.problems ?? [];
  if (problems.length > 0) process.exitCode = 1;
  if (flags.json) {
    print(printableJson({ ok: problems.length === 0, problems }));
    return;
  }
  if (inspection === undefined) return note(NONE_YET);
  for (const problem of problems) print(visible(problem));
  const paint = paintFor(process.stderr);
  if (problems.length > 0) return note(paint(counted(problems.length, "problem"), "red"));
  note(paint("the store is whole", "green"));
}

/** What cannot be read at all is a problem, too. */
function damageOf(error: unknown): Pick<Inspection, "problems"> {
  if (!(error instanceof GateError) || error.code !== "store_damaged") throw error;
  return { problems: [error.message] };
}

const isoTime = (ms: number) => new Date(ms).toISOString();

function sizeOf(bytes: number): string {
  const [kilo, mega] = [bytes / 1024, bytes / 1024 ** 2];
  return mega >= 1 ? `${mega.toFixed(1)} MB` : `${kilo.toFixed(0)} KB`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function note(text: string): void {
  process.stderr.write(`${text}\n`);
}
