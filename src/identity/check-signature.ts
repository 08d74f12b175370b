/**
 * Checks a signature by the keys that an issuer has now, and asks for others where they could
 * help.
 *
 * @module
 */
import { ok, type Result } from "../result.ts";
import type { Refusal } from "../types.ts";
import type { SignedHeader } from "./header-rules.ts";
import type { Issuer } from "./issuers.ts";
import { type KeySet, selectKey } from "./key-set.ts";
import { refuse } from "./refusal.ts";
import { isSignedBy } from "./signature.ts";

/** @returns The keys it was checked with. Other keys are asked for once, where they could help. */
export async function checkSignature(
  text: string,
  header: SignedHeader,
  { keys }: Pick<Issuer, "keys">,
): Promise<Result<KeySet, Refusal>> {
  if (keys.current() === undefined) await keys.refetch();
  const first = await tryKeys(text, header, keys.current());
  if (first.ok || !couldOtherKeysHelp(first.error, header)) return first;
  const tried = keys.current();
  await keys.refetch();
  const renewed = keys.current();
  return renewed === tried ? first : tryKeys(text, header, renewed);
}

/** Without a `kid`, a new key shows only in that the old one does not fit. */
function couldOtherKeysHelp({ reason }: Refusal, { kid }: SignedHeader): boolean {
  return reason === "key_unknown" || (reason === "signature_invalid" && kid === undefined);
}

async function tryKeys(
  text: string,
  header: SignedHeader,
  set: KeySet | undefined,
): Promise<Result<KeySet, Refusal>> {
  if (set === undefined) return refuse("keys_unavailable");
  const key = selectKey(set, header);
  if (!key.ok) return refuse(key.error);
  return (await isSignedBy(text, key.value)) ? ok(set) : refuse("signature_invalid");
}
