/**
 * `claimgate unrevoke`: takes a revocation back.
 *
 * @module
 */
import type { Command } from "commander";
import { type Named, targetWord } from "../admin/revocation-target.ts";
import { RevocationTaken } from "../admin/schemas.ts";
import { thingOf } from "../ledger/revocation.ts";
import { type AdminClient, AdminProblem, throughGate } from "./admin-client.ts";
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

type UnrevokeFlags = TargetFlags & { readonly config: string };

export function unrevokeCommand(program: Command): void {
  const command = program
    .command("unrevoke")
    .description("Take a revocation back: what it refused passes again");
  addTargetOptions(command)
    .option(...CONFIG_OPTION)
    .addHelpText(
      "after",
      `
Running gates notice within a second. claimgate tokens --revoked shows what is revoked, and how
it is named; a token may be revoked in more than one way. Exit code 1: it was not revoked.

Example:
  claimgate unrevoke --subject alice`,
    )
    .action((flags: UnrevokeFlags) => unrevoke(flags));
}

async function unrevoke(flags: UnrevokeFlags): Promise<void> {
  const named = await readNamed(flags);
  const config = await loadStoreConfig(flags.config);
  checkTarget(named, config.issuers);
  const word = await throughGate(
    config,
    (client) => askGate(client, named),
    () => withLedger(config, (ledger) => unrevokeDirectly(ledger, named)),
  );
  if (word.was === "revoked") {
    process.stdout.write(`unrevoked ${visible(word.target)}\n`);
    return;
  }
  const hint = "(claimgate tokens --revoked lists what is)";
  note(`${visible(word.target)} is not revoked ${hint}`);
  process.exitCode = 1;
}

type Outcome = { readonly was: "revoked" | "not_revoked"; readonly target: string };

async function askGate(client: AdminClient, named: Named): Promise<Outcome> {
  const body = { ...named, by: "cli" };
  const question = { method: "DELETE", path: "/v1/revocations", body } as const;
  try {
    const { target } = await client.ask(RevocationTaken, question);
    return { was: "revoked", target };
  } catch (fault) {
    if (!(fault instanceof AdminProblem) || fault.problem !== "not_revoked") throw fault;
    return { was: "not_revoked", target: fault.message };
  }
}

async function unrevokeDirectly(ledger: Ledger, named: Named): Promise<Outcome> {
  const { config, store, tokenHash } = ledger;
  const target = targetFrom(named, config.issuers, tokenHash);
  const word = targetWord(target, config.issuers);
  const { kind, issuer, value } = thingOf(target);
  if (!(await store.unrevoke(kind, issuer, value))) return { was: "not_revoked", target: word };
  await recordAct(ledger, { act: "unrevoke", target: word });
  return { was: "revoked", target: word };
}
