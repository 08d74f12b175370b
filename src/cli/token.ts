/**
 * `claimgate token`: prints a token of the development issuer.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import { GateError } from "../errors.ts";
import { ensureDevelopmentKeys } from "../identity/development-keys.ts";
import { mintToken } from "../idp/mint.ts";
import { DEVELOPMENT_ISSUER } from "../lib/development.ts";
import { parseDuration } from "../lib/duration.ts";
import { isThere } from "./is-there.ts";
import { note } from "./note.ts";
import { collect, USUAL_CONFIG } from "./options.ts";

type TokenFlags = {
  readonly sub: string;
  readonly claim?: readonly string[];
  readonly ttl: string;
  readonly audience?: readonly string[];
  readonly config: string;
};

/** What the gate's `maxLifetime` allows when nothing else is written. */
const LONGEST_LIFETIME_SECONDS = 24 * 3_600;

/** NumericDates (RFC 7519 §2): as a string they would be refused for that alone. */
const TIMES: ReadonlySet<string> = new Set(["exp", "iat", "nbf"]);

export function tokenCommand(program: Command): void {
  program
    .command("token")
    .description("Print a token of the development issuer, signed with the keys in .claimgate/")
    .option("--sub <subject>", "whom the token is about", "developer")
    .option("--claim <name=value>", "a claim; may be given several times", collect)
    .option("--ttl <duration>", "how long it lives: 30s, 5m, at most 24h", "1h")
    .option("--audience <name>", "whom it is for; may be given several times", collect)
    .option("--config <file>", "configuration file; it need not exist", USUAL_CONFIG)
    .addHelpText(
      "after",
      `
Claims:
  roles=staff,admin   a list (roles=staff, is a list of one)
  team=blue           a string
  level:=3            JSON: a number, an object, null, or a string with a comma
  exp:=1700000000     replaces what the token would have, to see it refused

The issuer and the audience are those of the configuration's development issuer, where it has one.

Example:
  curl -H "Authorization: Bearer $(claimgate token --sub alice --claim roles=staff)" localhost:8080/`,
    )
    .action((flags: TokenFlags, command: Command) => printToken(flags, command));
}

async function printToken(flags: TokenFlags, command: Command): Promise<void> {
  const claims = readClaims(flags.claim ?? []);
  if ("sub" in claims && command.getOptionValueSource("sub") !== "default") {
    throw usage("--sub and --claim sub both name the subject: keep one");
  }
  if ("aud" in claims && flags.audience !== undefined) {
    throw usage("--audience and --claim aud both name the audience: keep one");
  }
  const lifetimeSeconds = readLifetime(flags.ttl);
  const issuer = await developmentIssuer(flags.config);
  const [key] = await ensureDevelopmentKeys(issuer.folder);
  if (key === undefined) throw new Error("the development keys are never an empty list");
  const token = await mintToken(key, {
    issuer: issuer.issuer,
    subject: flags.sub,
    audience: flags.audience ?? issuer.audience,
    lifetimeSeconds,
    claims,
    nowMs: Date.now(),
  });
  process.stdout.write(`${token}\n`);
}

/**
 * Reads what follows `--claim`: `name=a,b` is a list, `name=a` a string, `name:=JSON` anything.
 *
 * @throws GateError `usage_wrong`; it names the claim and never quotes the value.
 */
export function readClaims(written: readonly string[]): Record<string, unknown> {
  const claims = new Map<string, unknown>();
  for (const one of written) {
    const [, name, operator, value] = /^(.+?)(:?=)(.*)$/s.exec(one) ?? [];
    if (name === undefined || value === undefined) {
      throw usage("--claim takes name=value, name=a,b or name:=JSON, for example roles=staff");
    }
    if (claims.has(name)) {
      throw usage(`--claim ${name} is given twice: for a list write ${name}=a,b`);
    }
    claims.set(name, operator === ":=" ? readJson(name, value) : readText(name, value));
  }
  return Object.fromEntries(claims);
}

function readJson(name: string, value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    // The parser's message quotes the value.
    throw usage(`--claim ${name} is not JSON after ":=": for a string write ${name}=text`);
  }
}

function readText(name: string, value: string): string | readonly string[] {
  if (TIMES.has(name)) {
    throw usage(`--claim ${name} is a number of seconds: write ${name}:=1700000000`);
  }
  if (!value.includes(",")) return value;
  return value.replace(/,$/, "").split(",");
}

function readLifetime(ttl: string): number {
  const seconds = Math.floor((parseDuration(ttl) ?? 0) / 1_000);
  if (seconds >= 1 && seconds <= LONGEST_LIFETIME_SECONDS) return seconds;
  throw usage("--ttl takes a duration from 1s to 24h, for example 5m");
}

type DevelopmentIssuer = { issuer: string; audience: readonly string[]; folder: string };

/**
 * What the gate of this folder expects of the development issuer. Where the configuration is
 * absent or does not hold, tokens are made as a plain `development: true` would have them: the
 * gate may be running with an earlier version of the file.
 */
async function developmentIssuer(written: string): Promise<DevelopmentIssuer> {
  const file = resolve(written);
  const fallback = {
    issuer: DEVELOPMENT_ISSUER,
    audience: ["dev"],
    folder: join(dirname(file), ".claimgate"),
  };
  if (!(await isThere(dirname(file)))) {
    throw usage(`there is no folder ${dirname(file)}: point --config at the gate's claimgate.yaml`);
  }
  if (!(await isThere(file))) return fallback;
  const config = await loadConfig(file, process.env);
  if (!config.ok) {
    note(`${written} does not hold (claimgate check tells why); the token is for its defaults`);
    return fallback;
  }
  for (const { issuer, audiences, keys } of config.value.issuers) {
    if (keys.kind !== "development") continue;
    return { issuer, audience: audiences.slice(0, 1), folder: keys.folder };
  }
  note(
    `${written} has no development issuer and its gate will refuse the token: add { name: dev, development: true } under issuers`,
  );
  return fallback;
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}
