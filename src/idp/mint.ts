/**
 * Signs tokens with a development key: access tokens as RFC 9068 has them, and ID tokens.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { importJWK, SignJWT } from "jose";
import type { DevelopmentKey } from "../identity/development-keys.ts";

/** What a token lives when nobody says otherwise. */
export const DEFAULT_LIFETIME_SECONDS = 3_600;

export type AccessTokenRequest = {
  /** The `iss` claim: `DEVELOPMENT_ISSUER`, or the provider's own address. */
  readonly issuer: string;
  readonly subject: string;
  /** One becomes a string, several a list (RFC 7519 §4.1.3). Default `dev`. */
  readonly audience?: readonly string[];
  /** From `nowMs` on; default one hour. */
  readonly lifetimeSeconds?: number;
  /** Any others. One that names `iss`, `exp` or their like wins: that is how odd tokens are made. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970; an earlier one makes a token that has expired. */
  readonly nowMs: number;
};

/** Signs an access token: `typ` is `at+jwt` (RFC 9068 §2.1). */
export async function mintToken(key: DevelopmentKey, request: AccessTokenRequest): Promise<string> {
  const { audience = ["dev"], lifetimeSeconds = DEFAULT_LIFETIME_SECONDS } = request;
  const issuedAt = Math.floor(request.nowMs / 1_000);
  return sign(key, "at+jwt", {
    iss: request.issuer,
    sub: request.subject,
    aud: audience.length === 1 ? audience[0] : audience,
    iat: issuedAt,
    exp: issuedAt + lifetimeSeconds,
    jti: randomUUID(),
    ...request.claims,
  });
}

/** Signs any claims with the `typ` given. */
export async function sign(
  key: DevelopmentKey,
  typ: "at+jwt" | "JWT",
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: key.alg, typ, kid: key.kid })
    .sign(await importJWK(key.privateJwk, key.alg));
}
