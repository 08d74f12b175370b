/**
 * `claimgate revoke`: from now on the gate refuses a token, a session, a subject or an issuer.
 * The gates of the same store notice within a second.
 *
 * @module
 */
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { assertRoom, keyOfRevocation, revocationOf } from "../ledger/revocation.ts";
import { recordAct, withLedger } from "./open-ledger.ts";
import { visible } from "./paint.ts";
import {
  addTargetOptions,
  checkTargetFlags,
  readTarget,
  type TargetFlags,
  targetWord,
  unseenNote,
} from "./revocation-target.ts";

type RevokeFlags = TargetFlags & { readonly reason?: string; readonly config: string };

const LONGEST_REASON = 500;

export function revokeCommand(program: Command): void {
  const command = program
    .command("revoke")
    .description("Refuse a token, a session, a subject or an issuer from now on");
  addTargetOptions(command)
    .option("--reason <text>", "why; the audit and claimgate tokens --revoked show it")
    .option("--config <file>", "configuration file", "claimgate.yaml")
    .addHelpText(
      "after",
      `
Running gates notice within a second. Whoever signs in again afterwards gets tokens that pass;
for a token without iat, and one issued within the same second, nobody can tell, so it is refused.

Examples:
  claimgate revoke --subject alice --reason "laptop stolen"
  claimgate revoke --token - < token.txt         (other users cannot see it, as in arguments they can)
  claimgate revoke --issuer okta                 (everybody signs in anew)`,
    )
    .action((flags: RevokeFlags) => revoke(flags));
}

async function revoke(flags: RevokeFlags): Promise<void> {
  checkTargetFlags(flags);
  const { reason = "", config: file } = flags;
  if (reason.length > LONGEST_REASON) {
    throw new GateError("usage_wrong", `--reason takes up to ${LONGEST_REASON} characters`);
  }
  await withLedger(file, async (ledger) => {
    const { config, store, tokenHash } = ledger;
    const target = await readTarget(flags, config.issuers, tokenHash);
    const nowMs = Date.now();
    const { issuers, session } = config;
    const sessionLifetimeMs = session.lifetimeMs;
    const circumstances = { issuers, reason, author: "cli", nowMs, sessionLifetimeMs };
    const revocation = revocationOf(target, circumstances);
    const word = targetWord(target, config.issuers);
    const known = await store.revocations(nowMs);
    const isThere = known.some((one) => keyOfRevocation(one) === keyOfRevocation(revocation));
    if (!isThere) assertRoom(revocation.kind, known.length);
    await store.revoke(revocation);
    const until = new Date(revocation.untilMs).toISOString();
    process.stdout.write(`revoked ${visible(word)}, kept until ${until}\n`);
    const note = await unseenNote(target, store);
    if (note !== undefined) process.stderr.write(`claimgate: ${note}\n`);
    await recordAct(ledger, { act: "revoke", target: word, ...(reason !== "" && { reason }) });
  });
}
