/**
 * `claimgate tokens`: the tokens and sessions that were seen, the latest first; or what is
 * unhealthy in them (`--lint`), or what is revoked (`--revoked`).
 *
 * @module
 */
import type { Command } from "commander";
import { MOST } from "../admin/decisions.ts";
import { issuerNamed } from "../admin/revocation-target.ts";
import { Revocations, Tokens } from "../admin/schemas.ts";
import {
  findLint,
  findRevocations,
  findTokens,
  type Known,
  type TokenQuestion,
} from "../admin/token-lists.ts";
import { GateError } from "../errors.ts";
import type { ListedToken } from "../ledger/token-list.ts";
import { type AdminClient, throughGate } from "./admin-client.ts";
import { type Ledger, withLedger } from "./open-ledger.ts";
import { CONFIG_OPTION, MOST_LISTED, readLimit } from "./options.ts";
import { counted, paintFor, printableJson } from "./paint.ts";
import { loadStoreConfig } from "./store-config.ts";
import { lintLines } from "./tokens/lint-lines.ts";
import { revocationLines } from "./tokens/revocation-lines.ts";
import { tokenLines } from "./tokens/token-lines.ts";

type TokensFlags = {
  readonly subject?: string;
  readonly issuer?: string;
  readonly active?: true;
  readonly unusual?: true;
  readonly lint?: true;
  readonly revoked?: true;
  readonly json?: true;
  readonly limit?: string;
  readonly config: string;
};

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
    .option("--limit <count>", `at most so many (default ${MOST_LISTED})`)
    .option("--json", "print a JSON array")
    .option(...CONFIG_OPTION)
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
  const config = await loadStoreConfig(flags.config);
  const { subject, issuer, active, unusual } = flags;
  if (issuer !== undefined) issuerNamed(issuer, config.issuers);
  const question = { subject, issuer, limit };
  const directly = <T>(work: (known: Known) => Promise<T>) =>
    withLedger(config, (ledger) => work(knownTo(ledger)));
  if (flags.lint) {
    // Whoever reads all tokens does not do it in the gate, which has requests to answer.
    showLint(flags, await directly((known) => findLint(known, { ...question, active })));
    return;
  }
  const show = async (lists: Lists): Promise<void> => {
    if (flags.revoked) showRevoked(flags, await lists.revocations(question));
    else showTokens(flags, (await lists.tokens({ ...question, active, unusual })).tokens);
  };
  const fromStore = () => directly((known) => show(storeLists(known)));
  if (limit > MOST) await fromStore();
  else await throughGate(config, (client) => show(gateLists(client)), fromStore);
}

/** What is looked at where not all that is found is shown. */
const MOST_LOOKED_AT = 100_000;

function knownTo({ config, store }: Ledger): Known {
  const nowMs = Date.now();
  return {
    sightings: (query) => store.sightings(query),
    revocations: () => store.revocations(nowMs),
    issuers: config.issuers,
    nowMs,
    mostLookedAt: MOST_LOOKED_AT,
  };
}

type Lists = {
  tokens(question: TokenQuestion): ReturnType<typeof findTokens>;
  revocations(question: TokenQuestion): ReturnType<typeof findRevocations>;
};

function storeLists(known: Known): Lists {
  return {
    tokens: (question) => findTokens(known, question),
    revocations: (question) => findRevocations(known, question),
  };
}

function gateLists(client: AdminClient): Lists {
  return {
    tokens: (query) =>
      client.ask(Tokens, { path: "/v1/tokens", query: { ...query, kind: "any" } }) as ReturnType<
        typeof findTokens
      >,
    revocations: (query) => client.ask(Revocations, { path: "/v1/revocations", query }),
  };
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

function showTokens(flags: TokensFlags, shown: readonly ListedToken[]): void {
  if (flags.json) {
    print(shown);
    return;
  }
  const { columns } = process.stdout;
  const paint = paintFor(process.stdout);
  process.stdout.write(tokenLines(shown, { paint, nowMs: Date.now(), columns }));
  if (shown.length > 0) tell(`${counted(shown.length, "token")}, sessions included; times are UTC`);
  else tell("no such token was seen yet: a running gate stores what it sees once a second");
}

function showLint(flags: TokensFlags, found: Awaited<ReturnType<typeof findLint>>): void {
  const { lint, total, tokens } = found;
  if (flags.json) {
    print(lint);
    return;
  }
  process.stdout.write(lintLines(lint, paintFor(process.stdout)));
  if (lint.length === 0) tell("nothing unhealthy was seen in any token");
  else tell(`${counted(total, "finding")} in ${counted(tokens, "token")}`);
}

function showRevoked(
  flags: TokensFlags,
  { revocations, total }: Awaited<ReturnType<typeof findRevocations>>,
): void {
  if (flags.json) {
    print(revocations);
    return;
  }
  process.stdout.write(revocationLines(revocations));
  const rest = revocations.length < total ? `, of ${total}` : "";
  tell(`${counted(revocations.length, "revocation")}${rest}`);
}

function print(list: readonly object[]): void {
  process.stdout.write(`${printableJson(list)}\n`);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}
