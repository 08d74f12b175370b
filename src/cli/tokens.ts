/**
 * `claimgate tokens`: the tokens and sessions that were seen, the latest first; or what is
 * unhealthy in them (`--lint`), or what is revoked (`--revoked`).
 *
 * @module
 */
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { listLint } from "../ledger/lint-list.ts";
import { listTokens } from "../ledger/token-list.ts";
import type { Revocation, SightingQuery } from "../store/store.ts";
import { type Ledger, withLedger } from "./open-ledger.ts";
import { counted, paintFor, printableJson } from "./paint.ts";
import { findIssuer } from "./revocation-target.ts";
import { lintLines } from "./tokens/lint-lines.ts";
import { listRevocations, revocationLines } from "./tokens/revocation-lines.ts";
import { tokenLines } from "./tokens/token-lines.ts";

type TokensFlags = {
  readonly subject?: string;
  readonly issuer?: string;
  readonly active?: true;
  readonly unusual?: true;
  readonly lint?: true;
  readonly revoked?: true;
  readonly json?: true;
  readonly limit: string;
  readonly config: string;
};

/** What is asked, once the flags are understood. */
type Question = {
  /** The `iss` claim. */
  readonly issuer: string | undefined;
  readonly limit: number;
  readonly nowMs: number;
};

/** What is looked at where not all that is found is shown. */
const MOST_LOOKED_AT = 100_000;

export function tokensCommand(program: Command): void {
  program
    .command("tokens")
    .description("List the tokens and sessions that were seen, the latest first")
    .option("--subject <sub>", "of this subject alone")
    .option("--issuer <name>", "of this issuer alone")
    .option("--active", "neither expired nor revoked")
    .option("--unusual", "in which a policy found something unusual")
    .option("--lint", "what is unhealthy in them, by issuer and client, and what to change there")
    .option("--revoked", "what is revoked and not yet expired: tokens, sessions, subjects, issuers")
    .option("--limit <count>", "at most so many", "1000")
    .option("--json", "print a JSON array")
    .option("--config <file>", "configuration file", "claimgate.yaml")
    .addHelpText(
      "after",
      `
A running gate stores what it has seen once a second. Tokens are forgotten ledger.retain after
they expired; the token itself is never stored.

Examples:
  claimgate tokens --active --subject alice
  claimgate tokens --unusual --json
  claimgate tokens --lint                        (what to change at the provider)`,
    )
    .action((flags: TokensFlags) => listAll(flags));
}

async function listAll(flags: TokensFlags): Promise<void> {
  const limit = readLimit(flags.limit);
  checkFlags(flags);
  await withLedger(flags.config, async (ledger) => {
    const { issuers } = ledger.config;
    const issuer = flags.issuer === undefined ? undefined : findIssuer(flags.issuer, issuers);
    const question = { issuer, limit, nowMs: Date.now() };
    if (flags.revoked) await showRevoked(flags, question, ledger);
    else if (flags.lint) await showLint(flags, question, ledger);
    else await showTokens(flags, question, ledger);
  });
}

/** @throws GateError `usage_wrong` */
function checkFlags(flags: TokensFlags): void {
  const views = (["lint", "revoked"] as const).filter((name) => flags[name]);
  const filters = (["active", "unusual"] as const).filter((name) => flags[name]);
  const [view] = views;
  const others = view === "revoked" ? [...views.slice(1), ...filters] : views.slice(1);
  const other = others[0] ?? (view === "lint" && flags.unusual ? "unusual" : undefined);
  if (view === undefined || other === undefined) return;
  throw new GateError("usage_wrong", `--${view} and --${other} are two different lists: take one`);
}

function readLimit(written: string): number {
  const limit = /^\d{1,9}$/.test(written) ? Number(written) : 0;
  if (limit > 0) return limit;
  throw new GateError("usage_wrong", "--limit takes a whole number from 1 on");
}

function queryOf(flags: TokensFlags, { issuer, nowMs }: Question): Omit<SightingQuery, "limit"> {
  return {
    ...(issuer !== undefined && { issuer }),
    ...(flags.subject !== undefined && { subject: flags.subject }),
    ...(flags.active && { activeAtMs: nowMs }),
  };
}

async function showTokens(flags: TokensFlags, question: Question, ledger: Ledger): Promise<void> {
  const { config, store } = ledger;
  const { limit, nowMs } = question;
  const revocations = await store.revocations(nowMs);
  // The store does not know which of them are revoked.
  const most = flags.active && revocations.length > 0 ? Math.max(limit, MOST_LOOKED_AT) : limit;
  const seen = await store.sightings({
    ...queryOf(flags, question),
    ...(flags.unusual && { having: "unusual" as const }),
    limit: most,
  });
  const all = listTokens(seen, { revocations, issuers: config.issuers, nowMs });
  const shown = (flags.active ? all.filter(({ active }) => active) : all).slice(0, limit);
  if (flags.json) {
    print(shown);
    return;
  }
  const lines = tokenLines(shown, { paint: paintFor(process.stdout), nowMs });
  process.stdout.write(lines);
  if (shown.length > 0) tell(`${counted(shown.length, "token")}, sessions included; times are UTC`);
  else tell("no such token was seen yet: a running gate stores what it sees once a second");
}

async function showLint(flags: TokensFlags, question: Question, ledger: Ledger): Promise<void> {
  const { config, store } = ledger;
  const query = { ...queryOf(flags, question), having: "lint" as const, limit: MOST_LOOKED_AT };
  const seen = await store.sightings(query);
  const all = listLint(seen, config.issuers);
  const shown = all.slice(0, question.limit);
  if (flags.json) {
    print(shown);
    return;
  }
  process.stdout.write(lintLines(shown, paintFor(process.stdout)));
  if (shown.length === 0) tell("nothing unhealthy was seen in any token");
  else tell(`${counted(all.length, "finding")} in ${counted(seen.length, "token")}`);
}

async function showRevoked(flags: TokensFlags, question: Question, ledger: Ledger): Promise<void> {
  const { issuer, limit, nowMs } = question;
  const { subject } = flags;
  const isMeant = (one: Revocation) =>
    (issuer === undefined || one.issuer === issuer) &&
    (subject === undefined || (one.kind === "subject" && one.value === subject));
  const all = (await ledger.store.revocations(nowMs)).filter(isMeant);
  const shown = listRevocations(all, ledger.config.issuers).slice(0, limit);
  if (flags.json) {
    print(shown);
    return;
  }
  process.stdout.write(revocationLines(shown));
  const rest = shown.length < all.length ? `, of ${all.length}` : "";
  tell(`${counted(shown.length, "revocation")}${rest}`);
}

function print(list: readonly object[]): void {
  process.stdout.write(`${printableJson(list)}\n`);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
