/**
 * What the endpoints of the development provider share.
 *
 * @module
 */
import { ensureDevelopmentKeys } from "../identity/development-keys.ts";
import { type AccessTokenRequest, mintToken, sign } from "./mint.ts";
import type { OneTimeStore } from "./one-time-store.ts";
import type { User } from "./users.ts";

export type Provider = {
  /** The `iss` of all it signs, and its own address: no trailing slash. */
  readonly issuer: string;
  /** The `aud` of access tokens when the client asks for none. */
  readonly audience: string;
  /** Where the development keys are; read anew each time, so that a rotation counts at once. */
  readonly folder: string;
  /** Id and secret; an empty secret marks a public client. With no client at all, any id passes. */
  readonly clients: ReadonlyMap<string, string>;
  /** Sign-in pages that wait for an answer, by the id in their form. */
  readonly signIns: OneTimeStore<AuthorizationRequest>;
  /** Authorization codes: good once, for a minute. */
  readonly codes: OneTimeStore<Grant>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
};

/** A checked authorization request (RFC 6749 §4.1.1, RFC 7636 §4.3). */
export type AuthorizationRequest = {
  readonly clientId: string;
  /** A loopback address, byte for byte as the client sent it. */
  readonly redirectUri: string;
  readonly state?: string;
  readonly nonce?: string;
  readonly scopes: readonly string[];
  /** Empty when the client named none. */
  readonly audience: readonly string[];
  /** `S256` always. */
  readonly codeChallenge: string;
  /** The first of `acr_values`: the person is taken to have signed in so. */
  readonly acr?: string;
  readonly loginHint?: string;
};

/** What a code stands for. */
export type Grant = {
  readonly request: AuthorizationRequest;
  readonly user: User;
  /** Seconds since 1970. */
  readonly authTime: number;
};

/** Signs an access token of this provider with the newest key. */
export async function issueAccessToken(
  provider: Provider,
  request: Omit<AccessTokenRequest, "issuer" | "nowMs">,
): Promise<string> {
  const [key] = await ensureDevelopmentKeys(provider.folder);
  if (key === undefined) throw new Error("the development keys are never an empty list");
  const { issuer, audience } = provider;
  return mintToken(key, { audience: [audience], ...request, issuer, nowMs: provider.now() });
}

/** Signs an ID token (OpenID Connect Core §2) with the newest key. */
export async function issueIdToken(
  provider: Provider,
  claims: Readonly<Record<string, unknown>>,
): Promise<string> {
  const [key] = await ensureDevelopmentKeys(provider.folder);
  if (key === undefined) throw new Error("the development keys are never an empty list");
  return sign(key, "JWT", claims);
}
