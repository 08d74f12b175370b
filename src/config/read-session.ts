/**
 * `session`, and `pages`: what people who sign in have of the gate itself.
 *
 * @module
 */
import { readDurationMs } from "./quantity.ts";
import { readSecret } from "./read-files.ts";
import type { Reading } from "./report.ts";
import type { BrandConfig, RouteConfig, SessionConfig, StoreConfig } from "./resolved.ts";
import type { FileContent } from "./schema.ts";

const SECRETS_LIMIT = 16;
const NAME_LIMIT = 64;
const COLOUR = /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i;

/** @param around What sessions need: a secret that several gates share, an address to come back to. */
export async function readSession(
  content: FileContent["session"],
  around: { readonly store: StoreConfig; readonly routes: readonly RouteConfig[] },
  reading: Reading,
): Promise<SessionConfig> {
  checkSignIn(around, reading);
  const ms = (key: "idle" | "lifetime" | "refresh", preset: string, to: string) =>
    readDurationMs(content?.[key], preset, { from: "1s", to }, ["session", key], reading.report);
  return {
    idleMs: ms("idle", "1h", "90d"),
    lifetimeMs: ms("lifetime", "12h", "365d"),
    refreshMs: ms("refresh", "5m", "24h"),
    secrets: await readSecrets(content?.secret, reading),
  };
}

function checkSignIn(
  { store, routes }: { readonly store: StoreConfig; readonly routes: readonly RouteConfig[] },
  { report, source }: Reading,
): void {
  checkAssertions({ store, routes }, { report, source });
  const route = routes.find(({ login }) => login !== undefined);
  if (route === undefined) return;
  const at = [...route.path, "login"];
  if (!source.has(["publicUrl"])) {
    report.at(at, {
      code: "public_url_missing",
      message: "login needs publicUrl: there the provider sends people back to",
      fix: "add publicUrl: https://host, the gate's own origin as browsers see it",
    });
  }
  if (store.kind === "redis" && !source.has(["session", "secret"])) {
    report.at(source.has(["session"]) ? ["session"] : ["store"], {
      code: "session_secret_missing",
      message:
        "login with a Redis store needs session.secret: gates that share sessions must share it",
      fix: "add session: { secret: file:PATH }, for example of openssl rand -base64 32",
    });
  }
}

/** Keys that gates share lie in the store, and not open to whoever can read it. */
function checkAssertions(
  { store, routes }: { readonly store: StoreConfig; readonly routes: readonly RouteConfig[] },
  { report, source }: Pick<Reading, "report" | "source">,
): void {
  const route = routes.find(({ assertion }) => assertion !== undefined);
  if (route === undefined || store.kind !== "redis" || source.has(["session", "secret"])) return;
  report.at([...route.path, "assertion"], {
    code: "session_secret_missing",
    message:
      "assertion with a Redis store needs session.secret: it protects the keys that gates share",
    fix: "add session: { secret: file:PATH }, for example of openssl rand -base64 32",
  });
}

async function readSecrets(
  written: NonNullable<FileContent["session"]>["secret"],
  reading: Reading,
): Promise<readonly string[]> {
  const { report } = reading;
  const path = ["session", "secret"];
  const isList = typeof written === "object";
  const entries = isList ? written : [written];
  if (entries.length === 0 || entries.length > SECRETS_LIMIT) {
    const message = entries.length === 0 ? "secret is empty" : `more than ${SECRETS_LIMIT} secrets`;
    const fix = "write file:PATH, or remove it for one that is made by itself";
    report.at(path, { code: entries.length === 0 ? "list_empty" : "list_too_long", message, fix });
  }
  const secrets = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    if (entry === undefined) continue;
    const at = isList ? [...path, index] : path;
    const secret = (await readSecret(entry, at, reading))?.trim();
    if (secret === undefined) continue;
    if (secrets.has(secret)) {
      const fix = "remove one of the two";
      report.at(at, { code: "secret_duplicate", message: "this secret is listed twice", fix });
    }
    secrets.add(secret);
  }
  return [...secrets];
}

export function readPages(
  content: FileContent["pages"],
  { report }: Reading,
): BrandConfig | undefined {
  if (content === undefined) return undefined;
  const { name, colour } = content;
  if (
    name !== undefined &&
    (name.trim() === "" || name.length > NAME_LIMIT || /[\p{Cc}\p{Bidi_Control}]/u.test(name))
  ) {
    report.at(["pages", "name"], {
      code: "name_invalid",
      message: `name has up to ${NAME_LIMIT} characters on one line`,
      fix: "write a short name, or remove it",
    });
  }
  if (colour !== undefined && !COLOUR.test(colour)) {
    report.at(["pages", "colour"], {
      code: "value_invalid",
      message: "colour is not #rgb or #rrggbb",
      fix: 'write it in quotes, for example "#0a7"',
    });
  }
  return {
    ...(name !== undefined && { name: name.trim() }),
    ...(colour !== undefined && { colour: colour.toLowerCase() }),
  };
}
