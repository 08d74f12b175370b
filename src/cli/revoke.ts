/**
 * `claimgate revoke`: from now on the gate refuses a token, a session, a subject or an issuer.
 * The gates of the same store notice within a second.
 *
 * @module
 */
import type { Command } from "commander";
import { type Named, targetWord, unseenNote } from "../admin/revocation-target.ts";
import { LONGEST_REASON } from "../admin/revocations.ts";
import { RevocationMade } from "../admin/schemas.ts";
import { GateError } from "../errors.ts";
import { assertRoom, keyOfRevocation, revocationOf } from "../ledger/revocation.ts";
import { throughGate } from "./admin-client.ts";
import { note } from "./note.ts";
import { type Ledger, recordAct, withLedger } from "./open-ledger.ts";
import { CONFIG_OPTION } from "./options.ts";
import { visible } from "./paint.ts";
import {
  addTargetOptions,
  checkTarget,
  readNamed,
  type TargetFlags,
  targetFrom,
} from "./revocation-target.ts";
import { loadStoreConfig } from "./store-config.ts";

type RevokeFlags = TargetFlags & { readonly reason?: string; readonly config: string };

export function revokeCommand(program: Command): void {
  const command = program
    .command("revoke")
    .description("Refuse a token, a session, a subject or an issuer from now on");
  addTargetOptions(command)
    .option("--reason <text>", "why; the audit and claimgate tokens --revoked show it")
    .option(...CONFIG_OPTION)
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
  const { reason = "", config: file } = flags;
  if (reason.length > LONGEST_REASON) {
    throw new GateError("usage_wrong", `--reason takes up to ${LONGEST_REASON} characters`);
  }
  const named = await readNamed(flags);
  const config = await loadStoreConfig(file);
  checkTarget(named, config.issuers);
  await throughGate(
    config,
    async (client) => {
      const body = { ...named, reason, by: "cli" };
      const question = { method: "POST", path: "/v1/revocations", body } as const;
      const { target, revocation, note: hint } = await client.ask(RevocationMade, question);
      tellRevoked(target, revocation.until);
      if (hint !== undefined) note(visible(hint));
    },
    () => withLedger(config, (ledger) => revokeDirectly(ledger, named, reason)),
  );
}

async function revokeDirectly(ledger: Ledger, named: Named, reason: string): Promise<void> {
  const { config, store, tokenHash } = ledger;
  const target = targetFrom(named, config.issuers, tokenHash);
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
  tellRevoked(word, new Date(revocation.untilMs).toISOString());
  const hint = await unseenNote(target, (query) => store.sightings(query));
  if (hint !== undefined) note(hint);
  await recordAct(ledger, { act: "revoke", target: word, ...(reason !== "" && { reason }) });
}

function tellRevoked(word: string, until: string): void {
  process.stdout.write(`revoked ${visible(word)}, kept until ${until}\n`);
}
