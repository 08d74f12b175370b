/**
 * `issuers`: whose tokens are trusted, with what keys and by what rules.
 *
 * @module
 */
import { DEVELOPMENT_ISSUER } from "../lib/development.ts";
import { suggest } from "../lib/suggest.ts";
import { readDurationMs } from "./quantity.ts";
import { mayBeDevelopment, nameOf, readDecryptionKey, readKeyOrigin } from "./read-issuer-keys.ts";
import { isLocal, type Listen } from "./read-listen.ts";
import { readIntrospection, readLogin } from "./read-login.ts";
import type { Reading } from "./report.ts";
import type { IssuerConfig, YamlPath } from "./resolved.ts";
import type { IssuerContent } from "./schema.ts";

/** RFC 7518 §3.1 and RFC 8037 §3.1, without the symmetric ones. */
const ALGORITHMS = "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA".split(" ");
/** The issuer's name is part of a file's name. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const TYPE = /^[a-z0-9!#$&^_.+/-]{1,64}$/;
const DEVELOPMENT_AUDIENCE = "dev";

/** @returns Those that have a name; what is wrong with them or the rest has been reported. */
export async function readIssuers(
  written: readonly (IssuerContent | undefined)[],
  listens: readonly Listen[],
  reading: Reading,
): Promise<readonly IssuerConfig[]> {
  const issuers: IssuerConfig[] = [];
  for (const [index, content] of written.entries()) {
    if (content === undefined) continue;
    const path: YamlPath = ["issuers", index];
    const issuer = await readIssuer(content, path, reading);
    const twin = issuers.find(({ name }) => name.toLowerCase() === issuer.name.toLowerCase());
    if (twin !== undefined && issuer.name !== "") {
      reading.report.at([...path, "name"], {
        code: "name_duplicate",
        message: `another issuer is called ${twin.name}`,
        fix: "choose another name",
      });
    }
    if (content.development === true) refuseDevelopmentBeyond(listens, path, reading);
    if (content.name !== undefined) issuers.push(issuer);
  }
  return issuers;
}

/** Whether there are entries in `issuers` that could not be read. @param file The whole of it. */
export function hasBrokenIssuers(issuers: readonly IssuerConfig[], file: unknown): boolean {
  const written = (file as { issuers?: unknown } | null)?.issuers;
  if (written === undefined) return false;
  return !Array.isArray(written) || written.length !== issuers.length;
}

async function readIssuer(
  content: IssuerContent,
  path: YamlPath,
  reading: Reading,
): Promise<IssuerConfig> {
  const { report } = reading;
  const name = content.name ?? "";
  if (content.name !== undefined && !NAME.test(name)) {
    report.at([...path, "name"], {
      code: "name_invalid",
      message: "an issuer's name has letters, digits, ., _ and -, at most 64",
      fix: "choose a short name, for example okta",
    });
  }
  const issuer = content.issuer ?? (content.development === true ? DEVELOPMENT_ISSUER : "");
  const keysPath = [...path, "keys"];
  const ms = (key: "clockTolerance" | "maxLifetime", preset: string, from: string, to: string) =>
    readDurationMs(content[key], preset, { from, to }, [...path, key], report);
  const tokenTypes = readTokenTypes(content, path, reading);
  const decryptionKey = await readDecryptionKey(content, path, reading);
  const login = await readLogin(content, path, reading);
  const introspection = await readIntrospection(content, path, reading);
  return {
    name,
    issuer,
    audiences: readAudiences(content, path, reading),
    keys: await readKeyOrigin(content, issuer, path, reading),
    refreshMs: readDurationMs(
      content.keys?.refresh,
      "10m",
      { from: "100ms", to: "7d" },
      [...keysPath, "refresh"],
      report,
    ),
    staleForMs: readDurationMs(
      content.keys?.staleFor,
      "1h",
      { from: "0s", to: "30d" },
      [...keysPath, "staleFor"],
      report,
    ),
    algorithms: readAlgorithms(content, path, reading),
    ...(tokenTypes !== undefined && { tokenTypes }),
    clockToleranceSeconds: ms("clockTolerance", "30s", "0s", "5m") / 1000,
    maxLifetimeSeconds: ms("maxLifetime", "24h", "1s", "3650d") / 1000,
    requiredClaims: readTexts(
      content.requiredClaims ?? ["sub"],
      [...path, "requiredClaims"],
      reading,
    ),
    ...(decryptionKey !== undefined && { decryptionKey }),
    claims: readClaims(content, path, reading),
    ...(login !== undefined && { login }),
    ...(introspection !== undefined && { introspection }),
  };
}

function readAudiences(
  content: IssuerContent,
  path: YamlPath,
  reading: Reading,
): readonly string[] {
  const at = [...path, "audiences"];
  if (content.audiences === undefined) {
    if (content.development === true) return [DEVELOPMENT_AUDIENCE];
    // An ID token is for the clientId; audiences are for bearer tokens.
    const has = (key: string) => reading.source.has([...path, key]);
    if (has("login") && !has("introspection")) return [];
    if (!reading.source.has(at) && !mayBeDevelopment(content, path, reading.source)) {
      reading.report.at(path, {
        code: "key_missing",
        message: `${nameOf(content)} has no audiences`,
        fix: "add audiences: the values of aud that are meant for what stands behind this gate",
      });
    }
    return [];
  }
  if (content.audiences.length === 0) {
    const fix = "name at least one value of aud";
    reading.report.at(at, { code: "list_empty", message: "audiences is empty", fix });
  }
  return readTexts(content.audiences, at, reading);
}

function readAlgorithms(
  content: IssuerContent,
  path: YamlPath,
  { report }: Reading,
): readonly string[] {
  const at = [...path, "algorithms"];
  if (content.algorithms === undefined) return ALGORITHMS;
  if (content.algorithms.length === 0) {
    const fix = "name at least one, or remove the key for all of them";
    report.at(at, { code: "list_empty", message: "algorithms is empty", fix });
  }
  const found = new Set<string>();
  for (const [index, written] of content.algorithms.entries()) {
    if (written === undefined) continue;
    // RFC 9864 §2.2: the same signature under its newer name.
    const algorithm = written === "Ed25519" ? "EdDSA" : written;
    if (ALGORITHMS.includes(algorithm)) {
      found.add(algorithm);
      continue;
    }
    const isForbidden = /^(?:none|hs\d+)$/i.test(written);
    const meant = isForbidden ? undefined : suggest(written, ALGORITHMS);
    report.at([...at, index], {
      code: "algorithm_refused",
      message: isForbidden
        ? "symmetric algorithms and none are never accepted: whoever can check such a token can make one"
        : "not a signature algorithm that is known here",
      fix: meant === undefined ? `use any of: ${ALGORITHMS.join(", ")}` : `write ${meant}`,
    });
  }
  return [...found];
}

function readTokenTypes(
  content: IssuerContent,
  path: YamlPath,
  { report }: Reading,
): readonly string[] | undefined {
  const at = [...path, "tokenTypes"];
  if (content.tokenTypes === undefined) return undefined;
  if (content.tokenTypes.length === 0) {
    const fix = "name at least one, or remove the key for at+jwt, JWT or none";
    report.at(at, { code: "list_empty", message: "tokenTypes is empty", fix });
  }
  const found = new Set<string>();
  for (const [index, written] of content.tokenTypes.entries()) {
    if (written === undefined) continue;
    // RFC 7515 §4.1.9: `application/` is understood.
    const type = written.toLowerCase().replace(/^application\//, "");
    if (TYPE.test(type)) found.add(type);
    else {
      const fix = "write at+jwt or JWT";
      report.at([...at, index], { code: "value_invalid", message: "not a token type", fix });
    }
  }
  return [...found];
}

function readClaims(
  content: IssuerContent,
  path: YamlPath,
  { report }: Reading,
): Readonly<Record<string, string>> {
  const claims: Record<string, string> = {};
  for (const [name, from] of Object.entries(content.claims ?? {})) {
    if (from === undefined) continue;
    claims[name] = from;
    if (name !== "" && from !== "") continue;
    const fix = "write name: where it is in the token, for example roles: realm_access.roles";
    report.at([...path, "claims", name], {
      code: "value_invalid",
      message: "an empty claim name",
      fix,
    });
  }
  return claims;
}

/** Each text once; empty ones have been reported. */
function readTexts(
  texts: readonly (string | undefined)[],
  path: YamlPath,
  { report }: Reading,
): readonly string[] {
  for (const [index, text] of texts.entries()) {
    if (text !== "") continue;
    const fix = "write it out, or remove it";
    report.at([...path, index], { code: "value_invalid", message: "an empty text", fix });
  }
  return [...new Set(texts.filter((text) => text !== undefined))];
}

function refuseDevelopmentBeyond(
  listens: readonly Listen[],
  path: YamlPath,
  { report, source }: Reading,
): void {
  const beyond = listens.find(({ address }) => !isLocal(address));
  if (beyond === undefined) return;
  const { line } = source.positionOf(beyond.path);
  report.atKey([...path, "development"], {
    code: "development_exposed",
    message: `the development issuer together with a listen address beyond this machine (line ${line}): whoever has its key file gets in`,
    fix: "listen on 127.0.0.1, or use a real issuer",
  });
}
