/**
 * The signature of what an issuer says about a sign-in or a sign-out: ID tokens and logout
 * tokens. What they must say besides is for whoever asks.
 *
 * @module
 */
import { ok, type Result } from "../result.ts";
import type { Refusal } from "../types.ts";
import { checkSignature } from "./check-signature.ts";
import { type CompactToken, readCompact } from "./compact.ts";
import { checkEncryptedHeader, decrypt } from "./decryption.ts";
import { canonicalType, checkHeader } from "./header-rules.ts";
import type { Issuer } from "./issuers.ts";
import { refuse } from "./refusal.ts";
import { type JsonObject, own } from "./strict-json.ts";

/**
 * @param types What `typ` may be, lower case without `application/`; a JWT without one passes.
 * @returns The payload, which only then is the issuer's own word.
 */
export async function verifyJwt(
  text: string,
  issuer: Pick<Issuer, "config" | "keys" | "decryption">,
  types: readonly string[],
): Promise<Result<JsonObject, Refusal>> {
  const opened = await openJwt(text, issuer);
  if (!opened.ok) return opened;
  const { typ, ...header } = opened.value.header;
  if (typ !== undefined && !types.includes(canonicalType(typ) ?? "")) return refuse("type_refused");
  const checked = checkHeader(header, { algorithms: issuer.config.algorithms });
  if (!checked.ok) return refuse(checked.error);
  const signed = await checkSignature(opened.value.text, checked.value, issuer);
  return signed.ok ? ok(opened.value.payload) : signed;
}

/** The `iss` that a JWT claims to have: good for choosing whom to ask, and for nothing else. */
export function claimedIssuer(text: string): string | undefined {
  const read = readCompact(text);
  if (!read.ok || read.value.kind !== "signed") return undefined;
  const issuer = own(read.value.payload, "iss");
  return typeof issuer === "string" ? issuer : undefined;
}

type SignedToken = Extract<CompactToken, { kind: "signed" }>;

/** Signed alone, or encrypted to the gate around that, where the issuer has a `decryptionKey`. */
async function openJwt(
  text: string,
  { decryption }: Pick<Issuer, "decryption">,
): Promise<Result<SignedToken, Refusal>> {
  const read = readCompact(text);
  if (!read.ok) return refuse(read.error);
  if (read.value.kind === "signed") return ok(read.value);
  if (decryption === undefined) return refuse("encryption_unexpected");
  const plain = await decryptJwt(text, decryption);
  if (plain === undefined) return refuse("decryption_failed");
  const inner = readCompact(plain);
  if (!inner.ok) return refuse(inner.error);
  return inner.value.kind === "signed" ? ok(inner.value) : refuse("nesting_encrypted");
}

/** @returns The signed JWT inside; `undefined` for what the key does not open. */
export async function decryptJwt(
  text: string,
  key: NonNullable<Issuer["decryption"]>,
): Promise<string | undefined> {
  const read = readCompact(text);
  if (!read.ok || read.value.kind !== "encrypted") return undefined;
  const header = checkEncryptedHeader(read.value.header);
  return header.ok ? decrypt(text, header.value, key) : undefined;
}
