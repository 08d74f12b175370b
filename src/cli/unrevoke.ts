/**
 * `claimgate unrevoke`: takes a revocation back.
 *
 * @module
 */
import type { Command } from "commander";
import { thingOf } from "../ledger/revocation.ts";
import { recordAct, withLedger } from "./open-ledger.ts";
import { visible } from "./paint.ts";
import {
  addTargetOptions,
  checkTargetFlags,
  readTarget,
  type TargetFlags,
  targetWord,
} from "./revocation-target.ts";

type UnrevokeFlags = TargetFlags & { readonly config: string };

export function unrevokeCommand(program: Command): void {
  const command = program
    .command("unrevoke")
    .description("Take a revocation back: what it refused passes again");
  addTargetOptions(command)
    .option("--config <file>", "configuration file", "claimgate.yaml")
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
  checkTargetFlags(flags);
  await withLedger(flags.config, async (ledger) => {
    const { config, store, tokenHash } = ledger;
    const target = await readTarget(flags, config.issuers, tokenHash);
    const word = targetWord(target, config.issuers);
    const { kind, issuer, value } = thingOf(target);
    if (!(await store.unrevoke(kind, issuer, value))) {
      process.stderr.write(
        `claimgate: ${visible(word)} is not revoked (claimgate tokens --revoked lists what is)\n`,
      );
      process.exitCode = 1;
      return;
    }
    process.stdout.write(`unrevoked ${visible(word)}\n`);
    await recordAct(ledger, { act: "unrevoke", target: word });
  });
}
