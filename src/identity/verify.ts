/**
 * From a credential to a token. Reads top to bottom: known before? → read → issuer → header →
 * key → signature → claims → times; an opaque one is asked about instead. Nothing of a token is believed before its signature is
 * good, but for the `iss` and `kid` that choose among what the owner configured.
 *
 * @module
 */
import { type Err, ok, type Result } from "../result.ts";
import type { Refusal, Token } from "../types.ts";
import { acceptPayload, judge } from "./accept.ts";
import { checkSignature } from "./check-signature.ts";
import { type CompactToken, LONGEST_TOKEN, readCompact } from "./compact.ts";
import { checkEncryptedHeader, type DecryptionKey, decrypt } from "./decryption.ts";
import { checkHeader } from "./header-rules.ts";
import { createOpaqueVerifier, isOpaque } from "./introspection-verifier.ts";
import type { Issuer } from "./issuers.ts";
import { isLasting, refuse } from "./refusal.ts";
import { signingKeyOf } from "./signing-key.ts";
import { type JsonObject, own } from "./strict-json.ts";
import {
  CACHE_LIMITS,
  type CacheLimits,
  createTokenCache,
  type VerifiedToken,
} from "./token-cache.ts";
import { digestToken } from "./token-digest.ts";

export type Verifier = {
  /**
   * @param credential What the request carries, without a scheme.
   * @param nowMs The moment to judge by; milliseconds since 1970.
   * @returns At once where the answer is known, with the same object each time.
   */
  verify(
    credential: string,
    nowMs: number,
  ): Result<Token, Refusal> | Promise<Result<Token, Refusal>>;
};

type SignedToken = Extract<CompactToken, { kind: "signed" }>;
type EncryptedToken = Extract<CompactToken, { kind: "encrypted" }>;
type Examined = Result<VerifiedToken, Refusal>;

/** Requests with the same new token share one verification, up to this many tokens at once. */
const MOST_SHARED = 1_000;

const TOO_LONG = refuse("token_too_long");

/**
 * One for each list of issuers: the cache answers for what was required of the token, too.
 *
 * @param issuers Of two with the same `iss` the first counts.
 */
export function createVerifier(
  issuers: readonly Issuer[],
  limits: CacheLimits = CACHE_LIMITS,
): Verifier {
  const cache = createTokenCache(limits);
  const shared = new Map<string, Promise<Examined>>();
  const opaque = createOpaqueVerifier(issuers);

  function verify(credential: string, nowMs: number): ReturnType<Verifier["verify"]> {
    if (credential.length > LONGEST_TOKEN) return TOO_LONG;
    if (opaque !== undefined && isOpaque(credential)) return opaque.verify(credential, nowMs);
    const known = cache.verified(credential);
    if (known !== undefined && known.issuer.keys.current() === known.keySet) {
      return judge(known, known.issuer.config, nowMs);
    }
    const failure = cache.failure(credential, nowMs);
    if (failure !== undefined) return failure;

    const read = readCompact(credential);
    if (!read.ok) return remember(credential, refuse(read.error), nowMs);
    return examineOnce(read.value).then((examined) =>
      examined.ok
        ? judge(examined.value, examined.value.issuer.config, nowMs)
        : remember(credential, examined, nowMs),
    );
  }

  function remember(credential: string, refused: Err<Refusal>, nowMs: number): Err<Refusal> {
    if (isLasting(refused.error)) cache.keepFailure(credential, refused, nowMs);
    return refused;
  }

  function examineOnce(token: CompactToken): Promise<Examined> {
    const underWay = shared.get(token.text);
    if (underWay !== undefined) return underWay;
    const examining = examine(token, issuers)
      .then((examined) => {
        if (examined.ok) cache.keepVerified(token.text, examined.value);
        return examined;
      })
      .finally(() => shared.delete(token.text));
    if (shared.size < MOST_SHARED) shared.set(token.text, examining);
    return examining;
  }

  return { verify };
}

function examine(token: CompactToken, issuers: readonly Issuer[]): Promise<Examined> {
  return token.kind === "signed" ? examineSigned(token, issuers) : examineEncrypted(token, issuers);
}

async function examineSigned(token: SignedToken, issuers: readonly Issuer[]): Promise<Examined> {
  const issuer = chooseIssuer(token.payload, issuers);
  if (!issuer.ok) return issuer;
  if (issuer.value.config.decryptionKey !== undefined) return refuse("encryption_required");
  return examineBy(token, issuer.value, token.text);
}

/**
 * By the `kid` first, then by each issuer that has a key, until one opens the token and the
 * `iss` inside is its own: several issuers may encrypt to the same key.
 */
async function examineEncrypted(
  token: EncryptedToken,
  issuers: readonly Issuer[],
): Promise<Examined> {
  const able = issuers.flatMap((issuer) =>
    issuer.decryption === undefined ? [] : [{ issuer, decryption: issuer.decryption }],
  );
  if (able.length === 0) return refuse("encryption_unexpected");
  const header = checkEncryptedHeader(token.header);
  if (!header.ok) return refuse(header.error);
  const { kid } = header.value;
  const isNamed = ({ decryption }: { decryption: DecryptionKey }) =>
    kid !== undefined && decryption.kid === kid;
  const inOrder = [...able.filter(isNamed), ...able.filter((one) => !isNamed(one))];

  let refused = refuse("decryption_failed");
  for (const { issuer, decryption } of inOrder) {
    const text = await decrypt(token.text, header.value, decryption);
    if (text === undefined) continue;
    const inner = readCompact(text);
    if (!inner.ok) return refuse(inner.error);
    if (inner.value.kind === "encrypted") return refuse("nesting_encrypted");
    const chosen = chooseIssuer(inner.value.payload, [issuer]);
    if (chosen.ok) return examineBy(inner.value, issuer, token.text);
    refused = chosen;
  }
  return refused;
}

/** By exact comparison, among those that are trusted here. */
function chooseIssuer(payload: JsonObject, issuers: readonly Issuer[]): Result<Issuer, Refusal> {
  const name = own(payload, "iss");
  if (typeof name !== "string") return refuse("issuer_refused");
  const issuer = issuers.find(({ config }) => config.issuer === name);
  return issuer === undefined ? refuse("issuer_unknown") : ok(issuer);
}

/** @param credential What the request carried: the signed token, or the encrypted one around it. */
async function examineBy(
  token: SignedToken,
  issuer: Issuer,
  credential: string,
): Promise<Examined> {
  const { config } = issuer;
  const header = checkHeader(token.header, config);
  if (!header.ok) return refuse(header.error);
  const keySet = await checkSignature(token.text, header.value, issuer);
  if (!keySet.ok) return keySet;
  const accepted = acceptPayload(token.payload, config, {
    digest: digestToken(credential),
    signedBy: signingKeyOf(keySet.value, header.value),
  });
  if (!accepted.ok) return accepted;
  return ok({ ...accepted.value, issuer, keySet: keySet.value });
}
