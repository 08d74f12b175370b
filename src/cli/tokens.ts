/**
 * `claimgate tokens --revoked`: what is revoked, newest first.
 *
 * @module
 */
import type { Command } from "commander";
import type { IssuerConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Revocation } from "../store/store.ts";
import { withLedger } from "./open-ledger.ts";
import { counted, printableJson, visible } from "./paint.ts";
import { issuerWord } from "./revocation-target.ts";

type TokensFlags = {
  readonly revoked?: true;
  readonly json?: true;
  readonly limit: string;
  readonly config: string;
};

/** A revocation as `--json` prints it. */
type Listed = {
  readonly kind: Revocation["kind"];
  /** Its name in the configuration, or its `iss`: what `--issuer` takes. */
  readonly issuer?: string;
  readonly value: string;
  readonly reason: string;
  readonly author: string;
  readonly at: string;
  readonly until: string;
};

export function tokensCommand(program: Command): void {
  program
    .command("tokens")
    .description("List what is revoked: tokens, subjects, issuers")
    .option("--revoked", "what is revoked and not yet expired, newest first")
    .option("--limit <count>", "at most so many", "1000")
    .option("--json", "print a JSON array")
    .option("--config <file>", "configuration file", "claimgate.yaml")
    .action((flags: TokensFlags) => listTokens(flags));
}

async function listTokens(flags: TokensFlags): Promise<void> {
  if (flags.revoked === undefined) {
    const message = "this version lists what is revoked, and nothing else: add --revoked";
    throw new GateError("usage_wrong", message);
  }
  const limit = readLimit(flags.limit);
  await withLedger(flags.config, async ({ config, store }) => {
    const all = await store.revocations(Date.now());
    const shown = [...all]
      .sort((a, b) => b.atMs - a.atMs)
      .slice(0, limit)
      .map((one) => listed(one, config.issuers));
    if (flags.json) process.stdout.write(`${printableJson(shown)}\n`);
    else tell(shown, all.length);
  });
}

function readLimit(written: string): number {
  const limit = /^\d{1,9}$/.test(written) ? Number(written) : 0;
  if (limit > 0) return limit;
  throw new GateError("usage_wrong", "--limit takes a whole number from 1 on");
}

function listed(revocation: Revocation, issuers: readonly IssuerConfig[]): Listed {
  const { kind, issuer, value, reason, author, atMs, untilMs } = revocation;
  return {
    kind,
    ...(issuer !== undefined && { issuer: issuerWord(issuer, issuers) }),
    value,
    reason,
    author,
    at: new Date(atMs).toISOString(),
    until: new Date(untilMs).toISOString(),
  };
}

/** One line each on stdout; how many there are, on stderr. */
function tell(shown: readonly Listed[], all: number): void {
  for (const { kind, issuer, value, reason, author, at, until } of shown) {
    const what = [kind, value, issuer === undefined ? "" : `of ${issuer}`]
      .filter(Boolean)
      .join(" ");
    const why = reason === "" ? "" : `: ${reason}`;
    const line = `${at}  ${what}  until ${until}  by ${author}${why}`;
    process.stdout.write(`${visible(line)}\n`);
  }
  const rest = shown.length < all ? `, of ${all}` : "";
  process.stderr.write(`${counted(shown.length, "revocation")}${rest}\n`);
}
