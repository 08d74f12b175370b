/**
 * Tokens for the demo: good ones of its issuer, and those that a gate must refuse.
 *
 * @module
 */
import { exportJWK, generateKeyPair } from "jose";
import type { DevelopmentKey } from "../../identity/development-keys.ts";
import { mintToken } from "../../idp/mint.ts";
import type { TokenKind } from "./attempts.ts";
import { DEMO_AUDIENCE } from "./folder.ts";

const HOUR_SECONDS = 3_600;

/**
 * @param key The issuer's own, with which all but the forged one are signed.
 * @param issuer The `iss` of them all.
 * @param nowMs Milliseconds since 1970.
 */
export async function mintTokens(
  key: DevelopmentKey,
  issuer: string,
  nowMs: number,
): Promise<Readonly<Record<TokenKind, string>>> {
  const audience = [DEMO_AUDIENCE];
  const common = { issuer, audience, nowMs, lifetimeSeconds: HOUR_SECONDS };
  const staff = { ...common, subject: "alice", claims: { roles: ["staff"] } };
  const guest = { ...common, subject: "bob", claims: { roles: ["guest"] } };
  const [good, other] = await Promise.all([mintToken(key, staff), foreignKey(key.kid)]);
  return {
    staff: good,
    guest: await mintToken(key, guest),
    expired: await mintToken(key, { ...staff, nowMs: nowMs - 2 * HOUR_SECONDS * 1_000 }),
    foreign: await mintToken(key, { ...staff, audience: ["another-api"] }),
    forged: await mintToken(other, staff),
    unsigned: unsigned(good),
  };
}

/** A stranger's key under the name of ours. */
async function foreignKey(kid: string): Promise<DevelopmentKey> {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const [privateJwk, publicJwk] = await Promise.all([exportJWK(privateKey), exportJWK(publicKey)]);
  return { kid, alg: "ES256", privateJwk, publicJwk };
}

/** The oldest trick: `alg` none and no signature (RFC 8725 §2.1). */
function unsigned(token: string): string {
  const header = Buffer.from(JSON.stringify({ alg: "none", typ: "at+jwt" })).toString("base64url");
  return `${header}.${token.split(".")[1]}.`;
}
