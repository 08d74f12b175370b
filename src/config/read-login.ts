/**
 * `login` and `introspection` of an issuer: what the gate is at a provider, for people who sign
 * in and for tokens that only the provider understands.
 *
 * @module
 */
import { checkSigningKey } from "./private-key.ts";
import { readDurationMs } from "./quantity.ts";
import { readSecret } from "./read-files.ts";
import { readSecureUrl } from "./read-url.ts";
import type { Reading } from "./report.ts";
import type { IntrospectionConfig, LoginConfig, YamlPath } from "./resolved.ts";
import type { IssuerContent } from "./schema.ts";
import type { Problem } from "./source.ts";

/** RFC 6749 §3.3. */
const SCOPE = /^[\x21\x23-\x5B\x5D-\x7E]{1,256}$/;
/** RFC 6749 appendix A.1: VSCHAR. */
const CLIENT_ID = /^[\x21-\x7E](?:[\x20-\x7E]{0,1022}[\x21-\x7E])?$/;
const SCOPES_PRESET = ["openid", "profile", "email"];

type LoginContent = NonNullable<IssuerContent["login"]>;
type ClientAuth = NonNullable<LoginConfig["clientAuth"]>;

/** @param path The issuer's. */
export async function readLogin(
  content: IssuerContent,
  path: YamlPath,
  reading: Reading,
): Promise<LoginConfig | undefined> {
  const { login } = content;
  if (login === undefined) return undefined;
  const at = [...path, "login"];
  refuseDevelopment(content, "login", path, reading);
  const clientAuth = clientAuthOf(login.clientAuth);
  const [clientSecret, clientKey] = await Promise.all([
    readClientSecret(login.clientSecret, at, reading),
    readClientKey(login, at, reading),
  ]);
  checkClientAuth(login, clientAuth, at, reading);
  return {
    clientId: readClientId(login.clientId, at, reading),
    ...(clientAuth !== undefined && { clientAuth }),
    ...(clientSecret !== undefined && { clientSecret }),
    ...(clientKey !== undefined && { clientKey }),
    scopes: readScopes(login.scopes, at, reading),
    userinfo: login.userinfo ?? false,
  };
}

/** @param path The issuer's. */
export async function readIntrospection(
  content: IssuerContent,
  path: YamlPath,
  reading: Reading,
): Promise<IntrospectionConfig | undefined> {
  const { introspection } = content;
  if (introspection === undefined) return undefined;
  const at = [...path, "introspection"];
  refuseDevelopment(content, "introspection", path, reading);
  const { url = "", clientId } = introspection;
  if (introspection.url !== undefined) {
    const address = readSecureUrl(url, "url");
    if (!address.ok) reading.report.at([...at, "url"], address.error);
  }
  const clientSecret = await readClientSecret(introspection.clientSecret, at, reading);
  return {
    url,
    clientId: readClientId(clientId, at, reading),
    ...(clientSecret !== undefined && { clientSecret }),
    cacheMs: readDurationMs(
      introspection.cache,
      "30s",
      { from: "0s", to: "1h" },
      [...at, "cache"],
      reading.report,
    ),
  };
}

/** The development issuer is a key in a folder: there is no server to go to. */
function refuseDevelopment(
  content: IssuerContent,
  key: "login" | "introspection",
  path: YamlPath,
  { report }: Reading,
): void {
  if (content.development !== true) return;
  report.atKey([...path, key], {
    code: "development_no_server",
    message: `the development issuer is a key and no server: ${key} has no place here`,
    fix: `remove ${key}, or start claimgate idp and configure it as an issuer of its own`,
  });
}

function clientAuthOf(written: LoginContent["clientAuth"]): ClientAuth | undefined {
  if (written === "client_secret_basic") return "basic";
  return written === "client_secret_post" ? "post" : written;
}

/** What proves who the gate is must be there, and be one thing. */
function checkClientAuth(
  login: LoginContent,
  clientAuth: ClientAuth | undefined,
  at: YamlPath,
  { report, source }: Reading,
): void {
  const hasSecret = source.has([...at, "clientSecret"]);
  const hasKey = source.has([...at, "clientKey"]);
  const refuse = (problem: Omit<Problem, "code">) =>
    report.at([...at, "clientAuth"], { code: "client_auth_wrong", ...problem });
  if (hasSecret && hasKey) {
    report.atKey([...at, "clientKey"], {
      code: "client_auth_wrong",
      message: "clientSecret and clientKey both say how the gate proves who it is",
      fix: "keep one of the two",
    });
  } else if (clientAuth === "none" && (hasSecret || hasKey)) {
    const key = hasSecret ? "clientSecret" : "clientKey";
    refuse({
      message: `clientAuth: none would never use ${key}`,
      fix: `remove ${key} or clientAuth`,
    });
  } else if (clientAuth === "private_key_jwt" && !hasKey) {
    const fix = "add clientKey: file:PATH, a private key whose public part the provider knows";
    refuse({ message: "clientAuth: private_key_jwt needs clientKey", fix });
  } else if ((clientAuth === "basic" || clientAuth === "post") && !hasSecret) {
    const fix = `add clientSecret: \${NAME} or file:PATH`;
    refuse({ message: `clientAuth: ${login.clientAuth} needs clientSecret`, fix });
  }
}

function readClientId(written: string | undefined, path: YamlPath, { report }: Reading): string {
  if (written === undefined || CLIENT_ID.test(written)) return written ?? "";
  report.at([...path, "clientId"], {
    code: "value_invalid",
    message: "clientId is empty, too long, or holds characters that a client's id cannot have",
    fix: "write the id that the provider gave to this client",
  });
  return written;
}

async function readClientKey(
  { clientKey: written }: LoginContent,
  path: YamlPath,
  reading: Reading,
): Promise<string | undefined> {
  const at = [...path, "clientKey"];
  const key = written === undefined ? undefined : await readSecret(written, at, reading);
  const complaint = key === undefined ? undefined : checkSigningKey(key);
  if (complaint !== undefined) {
    reading.report.at(at, {
      code: "secret_invalid",
      message: `clientKey: ${complaint}`,
      fix: "give a private key as JWK (JSON) or PKCS #8 PEM, RSA from 2048 bits, EC, or Ed25519",
    });
  }
  return key;
}

function readScopes(
  written: LoginContent["scopes"],
  path: YamlPath,
  { report }: Reading,
): readonly string[] {
  for (const [index, scope] of (written ?? []).entries()) {
    if (scope === undefined || SCOPE.test(scope)) continue;
    report.at([...path, "scopes", index], {
      code: "value_invalid",
      message: "not a scope (RFC 6749 section 3.3)",
      fix: "write one scope an entry, for example [openid, profile]",
    });
  }
  const scopes = written?.filter((scope) => scope !== undefined) ?? SCOPES_PRESET;
  return [...new Set(["openid", ...scopes])];
}

/** A file's last line end is no part of it. */
async function readClientSecret(
  written: string | undefined,
  path: YamlPath,
  reading: Reading,
): Promise<string | undefined> {
  if (written === undefined) return undefined;
  return (await readSecret(written, [...path, "clientSecret"], reading))?.trim();
}
