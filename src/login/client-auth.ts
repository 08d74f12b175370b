/**
 * How the gate shows a provider that it is the client it says (RFC 6749 §2.3, RFC 7523 §2.2).
 *
 * @module
 */
import { createPrivateKey, type KeyObject } from "node:crypto";
import { type CryptoKey, importJWK, importPKCS8 } from "jose";
import {
  type AuthorizationServer,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  None,
  PrivateKeyJwt,
} from "oauth4webapi";
import type { LoginConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";

/**
 * What the configuration says; else what the provider's metadata name among what the gate has
 * something for.
 *
 * @throws GateError `config_invalid` for a client key that cannot sign.
 */
export async function clientAuthOf(
  login: LoginConfig,
  metadata: AuthorizationServer,
): Promise<ClientAuth> {
  const { clientSecret = "", clientKey = "" } = login;
  switch (login.clientAuth ?? suitable(login, metadata)) {
    case "basic":
      // Form-encoded first, as RFC 6749 §2.3.1 says and some leave out.
      return ClientSecretBasic(clientSecret);
    case "post":
      return ClientSecretPost(clientSecret);
    case "private_key_jwt":
      return PrivateKeyJwt(await importClientKey(clientKey));
    case "none":
      return None();
  }
}

function suitable(
  { clientSecret, clientKey }: LoginConfig,
  metadata: AuthorizationServer,
): NonNullable<LoginConfig["clientAuth"]> {
  if (clientKey !== undefined) return "private_key_jwt";
  if (clientSecret === undefined) return "none";
  // OpenID Connect Discovery §3: without the member it is client_secret_basic.
  const supported = metadata.token_endpoint_auth_methods_supported ?? ["client_secret_basic"];
  const onlyPost =
    supported.includes("client_secret_post") && !supported.includes("client_secret_basic");
  return onlyPost ? "post" : "basic";
}

const CURVES: Readonly<Record<string, string>> = {
  prime256v1: "ES256",
  secp384r1: "ES384",
  secp521r1: "ES512",
};

async function importClientKey(text: string): Promise<{ key: CryptoKey; kid?: string }> {
  try {
    if (!text.trimStart().startsWith("{")) {
      const algorithm = algorithmFor(createPrivateKey(text));
      return { key: await importPKCS8(text, algorithm) };
    }
    const jwk = JSON.parse(text);
    const algorithm = jwk.alg ?? algorithmFor(createPrivateKey({ key: jwk, format: "jwk" }));
    const key = (await importJWK(jwk, algorithm)) as CryptoKey;
    return typeof jwk.kid === "string" ? { key, kid: jwk.kid } : { key };
  } catch {
    // Without the cause: whatever it says may quote the key.
    throw new GateError("config_invalid", "login.clientKey is no private key that can sign");
  }
}

function algorithmFor({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject) {
  if (type === "rsa") return "RS256";
  if (type === "ed25519") return "EdDSA";
  return CURVES[details?.namedCurve ?? ""] ?? "ES256";
}
