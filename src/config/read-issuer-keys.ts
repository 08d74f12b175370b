/**
 * Where an issuer's keys come from, and what its encrypted tokens are opened with.
 *
 * @module
 */
import { join } from "node:path";
import { checkDecryptionKey } from "./private-key.ts";
import { readFilePath, readSecret } from "./read-files.ts";
import { readSecureUrl } from "./read-url.ts";
import type { Reading } from "./report.ts";
import type { KeyOrigin, YamlPath } from "./resolved.ts";
import type { IssuerContent } from "./schema.ts";
import type { Source } from "./source.ts";

const KEY_SOURCES: ReadonlySet<string> = new Set(["jwksUri", "jwks", "publicKey"]);

/** Where keys come from; checks the issuer's identifier along the way, as discovery makes it an address. */
export async function readKeyOrigin(
  content: IssuerContent,
  issuer: string,
  path: YamlPath,
  reading: Reading,
): Promise<KeyOrigin> {
  const { report } = reading;
  const isDevelopment = content.development === true;
  const named = Object.keys(content).filter((key) => KEY_SOURCES.has(key));
  const [first, second] = named;
  const extra = isDevelopment ? first : second;
  if (extra !== undefined) {
    report.atKey([...path, extra], {
      code: "keys_ambiguous",
      message: isDevelopment
        ? `the development issuer makes its own keys: ${extra} has no place here`
        : `${extra} and ${first} both say where the keys come from`,
      fix: isDevelopment ? `remove ${extra} or development` : "keep one of the two",
    });
  }
  const usesDiscovery = !isDevelopment && first === undefined;
  checkIdentifier(content, usesDiscovery, path, reading);

  if (isDevelopment) return { kind: "development", folder: join(reading.folder, ".claimgate") };
  if (content.jwksUri !== undefined) {
    const url = readSecureUrl(content.jwksUri, "jwksUri");
    if (!url.ok) report.at([...path, "jwksUri"], url.error);
    return { kind: "jwksUri", url: content.jwksUri };
  }
  for (const kind of ["jwks", "publicKey"] as const) {
    const file = content[kind];
    if (file !== undefined)
      return { kind, file: await readFilePath(file, [...path, kind], reading) };
  }
  return { kind: "discovery", issuer };
}

function checkIdentifier(
  content: IssuerContent,
  usesDiscovery: boolean,
  path: YamlPath,
  { report, source }: Reading,
): void {
  const at = [...path, "issuer"];
  const { issuer } = content;
  if (issuer === undefined) {
    if (source.has(at) || mayBeDevelopment(content, path, source)) return;
    report.at(path, {
      code: "key_missing",
      message: `${nameOf(content)} has no issuer`,
      fix: "add issuer: the exact text of its tokens' iss, mostly https://…",
    });
    return;
  }
  if (issuer === "" || /\s|\p{Cc}/u.test(issuer)) {
    const fix = "write the exact text of its tokens' iss";
    report.at(at, { code: "value_invalid", message: "issuer is empty or holds white space", fix });
    return;
  }
  // RFC 8414 §2: what keys or endpoints are discovered from is https, without query and fragment.
  // Elsewhere `iss` is any text (RFC 7519 §4.1.1), but plain http is a mistake in either case.
  const signsIn = content.login !== undefined;
  const isDiscovered = usesDiscovery || signsIn;
  if (!isDiscovered && !/^http:/i.test(issuer)) return;
  const instead = signsIn
    ? "login finds the provider by it"
    : "or say where the keys are: jwksUri, jwks or publicKey";
  const url = readSecureUrl(issuer, "issuer");
  if (!url.ok) {
    const isName = url.error.code === "url_invalid" && !/^https?:/i.test(issuer);
    report.at(
      at,
      isName ? { ...url.error, fix: `write https://host/path, ${instead}` } : url.error,
    );
  } else if (isDiscovered && issuer.includes("?")) {
    const fix = `remove it, ${instead}`;
    report.at(at, { code: "url_invalid", message: "issuer holds a query", fix });
  }
}

/** As findings call it. */
export function nameOf({ name }: IssuerContent): string {
  return name === undefined ? "this issuer" : `issuer ${name.slice(0, 64)}`;
}

/** A switch that could not be read was reported; what it would have made needless is not missed. */
export function mayBeDevelopment(content: IssuerContent, path: YamlPath, source: Source): boolean {
  return content.development ?? source.has([...path, "development"]);
}

export async function readDecryptionKey(
  content: IssuerContent,
  path: YamlPath,
  reading: Reading,
): Promise<string | undefined> {
  const at = [...path, "decryptionKey"];
  if (content.decryptionKey === undefined) return undefined;
  const key = await readSecret(content.decryptionKey, at, reading);
  if (key === undefined) return undefined;
  const complaint = checkDecryptionKey(key);
  if (complaint !== undefined) {
    reading.report.at(at, {
      code: "secret_invalid",
      message: `decryptionKey: ${complaint}`,
      fix: "give a private key as JWK (JSON) or PKCS #8 PEM, RSA from 2048 bits, EC, or X25519",
    });
  }
  return key;
}
