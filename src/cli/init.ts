/**
 * `claimgate init`: a folder to begin with, working as it is.
 *
 * @module
 */
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { diskReason } from "../lib/disk-fault.ts";
import { displayPath } from "../policy/display-path.ts";
import { editorConfig, writeTypes } from "../policy/types-on-disk.ts";
import { policiesIn, writeSchema } from "./editor-schema.ts";
import { discoverIssuer } from "./init/discover.ts";
import { nextSteps } from "./init/next-steps.ts";
import {
  GITIGNORE,
  STAFF_POLICY,
  STARTER_SCENARIOS,
  type StarterIssuer,
  starterConfig,
} from "./init/starter.ts";
import { isThere } from "./is-there.ts";
import { USUAL_CONFIG } from "./options.ts";
import { type Paint, paintFor, visible } from "./paint.ts";
import { programWord } from "./program-word.ts";
import { writeNew } from "./write-new.ts";

type InitFlags = { readonly issuer?: string; readonly audience?: string };

export function initCommand(program: Command): void {
  program
    .command("init")
    .description("Write a claimgate.yaml, a policy with its cases, and types for editors")
    .argument("[dir]", "folder to write into; made where it does not exist", ".")
    .option("--issuer <url>", "trust this issuer instead of the development one")
    .option("--audience <name>", "with --issuer: what its tokens have in aud")
    .addHelpText(
      "after",
      "\nNothing that exists is overwritten.\n\nExample:\n  claimgate init --issuer https://id.example.com --audience api",
    )
    .action((dir: string, flags: InitFlags) => init(dir, flags));
}

/** One file of the start, and what became of it. */
type Written = { readonly name: string; readonly about: string; readonly isNew: boolean };

/** @throws GateError `usage_wrong`, `config_invalid` from discovery, `state_unusable` from the disk. */
async function init(dir: string, flags: InitFlags): Promise<void> {
  if (flags.audience !== undefined && flags.issuer === undefined) {
    throw new GateError(
      "usage_wrong",
      "--audience goes with --issuer; the development issuer has its own",
    );
  }
  const folder = resolve(dir);
  // Nothing for the working directory itself.
  const shown = folder === process.cwd() ? "" : displayPath(folder);
  if (await isThere(join(folder, USUAL_CONFIG))) {
    const message = `${visible(join(shown, USUAL_CONFIG))} exists already and is left as it is`;
    throw new GateError("config_invalid", message);
  }
  const issuer = await starterIssuer(flags);
  const paint = paintFor(process.stdout);
  const told = await onDisk(folder, async () =>
    report(await writeStart(folder, issuer), folder, paint),
  );
  process.stdout.write(told);
  process.stdout.write(`\n${paint("Next", "bold")}\n`);
  if (issuer.kind === "real" && issuer.audience === undefined) {
    process.stdout.write(
      `  Fill in audiences in ${visible(join(shown, USUAL_CONFIG))}: what the tokens meant for you have in aud\n`,
    );
  }
  const program = programWord();
  const steps = { program, issuer, ...(shown !== "" && { folder: shown }) };
  process.stdout.write(nextSteps(steps, paint));
}

async function starterIssuer({ issuer, audience }: InitFlags): Promise<StarterIssuer> {
  if (issuer === undefined) return { kind: "development" };
  const exact = await discoverIssuer(issuer, fetch);
  return { kind: "real", issuer: exact, ...(audience !== undefined && { audience }) };
}

/** The configuration comes last: while it is not there, `init` can be run again. */
async function writeStart(folder: string, issuer: StarterIssuer): Promise<readonly Written[]> {
  const policies = join(folder, "policies");
  const state = join(folder, ".claimgate");
  await mkdir(policies, { recursive: true });
  const create = async (name: string, about: string, text: string): Promise<Written> => {
    const isNew = await writeNew(join(folder, name), text);
    return { name, about, isNew };
  };
  const policy = await create("policies/staff.ts", "lets staff pass; two cases", STAFF_POLICY);
  const types = await create(
    "policies/tsconfig.json",
    "types and completion in editors",
    editorConfig(policies, state),
  );
  const scenarios = await create(
    "claimgate.scenarios.yaml",
    "requests, and what must become of them",
    STARTER_SCENARIOS,
  );
  const ignored = await create(".gitignore", "keeps keys out of version control", GITIGNORE);
  await writeTypes(state);
  await writeSchema(state, await policiesIn(policies));
  const about = issuer.kind === "development" ? "issuer dev" : `issuer ${issuer.issuer}`;
  const config = await create(
    USUAL_CONFIG,
    `${visible(about)}, a guarded route, a public one`,
    starterConfig(issuer),
  );
  return [config, policy, scenarios, types, ignored];
}

/** What must stay out of version control, and how that may be written. */
const IGNORED = [
  { name: ".claimgate/", as: /^\/?\.claimgate\/?$/u },
  { name: "claimgate.db*", as: /^\/?(?:claimgate|\*)\.db\*$/u },
  { name: "audit.key", as: /^\/?(?:audit|\*)\.key$/u },
] as const;

/** What an existing file lacks, where it matters. */
async function lackOf(name: string, folder: string): Promise<string> {
  if (name !== ".gitignore") return "";
  const lines = (await readFile(join(folder, name), "utf8")).split(/\r?\n/u);
  const missing = IGNORED.filter(({ as }) => !lines.some((line) => as.test(line.trim())));
  if (missing.length === 0) return "";
  return `add ${missing.map((one) => one.name).join(", ")} to it: keys and records are in there`;
}

async function report(written: readonly Written[], folder: string, paint: Paint): Promise<string> {
  const width = Math.max(...written.map(({ name }) => name.length));
  const line = (name: string, about: string) =>
    `${`  ${name.padEnd(width)}  ${paint(about, "dim")}`.trimEnd()}\n`;
  let text = `${paint("Written", "bold")} in ${visible(folder)}\n`;
  for (const { name, about, isNew } of written) if (isNew) text += line(name, about);
  text += line(".claimgate/", "Claimgate's own: editor types, later keys");
  const left = written.filter(({ isNew }) => !isNew);
  if (left.length === 0) return text;
  text += `\n${paint("Left as it was", "bold")}\n`;
  for (const { name } of left) text += line(name, await lackOf(name, folder));
  return text;
}

/** Turns what the file system refuses into a fault that names the folder. */
async function onDisk<T>(folder: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (cause instanceof GateError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOTDIR" || code === "EEXIST") {
      const message = `${visible(folder)} is no folder; name another`;
      throw new GateError("usage_wrong", message, { cause });
    }
    const message = `cannot write into ${visible(folder)}: ${diskReason(cause)}`;
    throw new GateError("state_unusable", message, { cause });
  }
}
