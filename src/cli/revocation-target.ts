/**
 * What the flags of `revoke` and `unrevoke` name.
 *
 * @module
 */
import type { Command } from "commander";
import { checkNamed, type Named, targetOf } from "../admin/revocation-target.ts";
import type { IssuerConfig } from "../config/resolved.ts";
import { LONGEST_TOKEN } from "../identity/compact.ts";
import type { Target } from "../ledger/revocation.ts";
import type { TokenHash } from "../ledger/token-hash.ts";

export type TargetFlags = Named;

const flagWord = (name: keyof Named) => `--${name}`;

export function addTargetOptions(command: Command): Command {
  return command
    .option("--jti <id>", "the token with this jti")
    .option("--subject <sub>", "all tokens of this subject that were issued until now")
    .option("--session <id>", "this browser's session, by the id that tokens and the audit show")
    .option("--token <token>", "this token, or the id that the audit shows; - reads it from stdin")
    .option("--issuer <name>", "whose jti or subject; alone, all that it issued until now");
}

/**
 * Before anything is opened.
 *
 * @returns What is named, with the token read where that is on stdin.
 * @throws GateError `usage_wrong`
 */
export async function readNamed(flags: TargetFlags): Promise<Named> {
  const { jti, subject, session, token, issuer } = flags;
  checkNamed(flags, flagWord);
  return {
    ...(jti !== undefined && { jti }),
    ...(subject !== undefined && { subject }),
    ...(session !== undefined && { session }),
    ...(token !== undefined && { token: token === "-" ? await readStdin() : token }),
    ...(issuer !== undefined && { issuer }),
  };
}

/**
 * @param issuers Those of the configuration.
 * @throws GateError `usage_wrong`; it never quotes a token.
 */
export function targetFrom(
  named: Named,
  issuers: readonly IssuerConfig[],
  tokenHash: Pick<TokenHash, "ofDigest">,
): Target {
  return targetOf(named, issuers, tokenHash, flagWord);
}

/**
 * What a gate is to do is checked here first, for its words name no flags.
 *
 * @throws GateError `usage_wrong`
 */
export function checkTarget(named: Named, issuers: readonly IssuerConfig[]): void {
  targetFrom(named, issuers, { ofDigest: () => "" });
}

/** More than any token: what is longer is refused as one. */
const STDIN_LIMIT = 4 * LONGEST_TOKEN;

async function readStdin(): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of Bun.stdin.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > STDIN_LIMIT) break;
  }
  return text;
}
