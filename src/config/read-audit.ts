/**
 * `audit`: what is recorded of a decision, for how long, and where to besides the store.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { readDurationMs } from "./quantity.ts";
import { findNewFile } from "./read-files.ts";
import type { Reading } from "./report.ts";
import type { AuditConfig, RouteConfig, StoreConfig, YamlPath } from "./resolved.ts";
import type { FileContent } from "./schema.ts";

const NAMES_LIMIT = 100;
const NAME_LIMIT = 256;
/** What a bearer token is called in a query (RFC 6750 §2.3), wherever a client sends it. */
const TOKEN_PARAMETER = "access_token";

/** @param around What the audit must keep away from: files that are in use, credentials. */
export async function readAudit(
  content: FileContent["audit"],
  around: {
    readonly configFile: string;
    readonly store: StoreConfig;
    readonly routes: readonly RouteConfig[];
  },
  reading: Reading,
): Promise<AuditConfig> {
  const { claims = "declared", query = [], file: written } = content ?? {};
  const file = written === undefined ? undefined : await readFile(written, around, reading);
  return {
    claims: claims === "declared" ? claims : readNames(claims, ["audit", "claims"], reading),
    query: readQuery(query, around.routes, reading),
    retainMs: readDurationMs(
      content?.retain,
      "90d",
      { from: "1s", to: "3650d" },
      ["audit", "retain"],
      reading.report,
    ),
    ...(file !== undefined && { file }),
  };
}

/** A parameter that holds a credential is never recorded, whoever asks for it. */
function readQuery(
  written: readonly (string | undefined)[],
  routes: readonly RouteConfig[],
  reading: Reading,
): readonly string[] {
  const path = ["audit", "query"];
  for (const [index, name] of written.entries()) {
    const route = routes.find(({ credentials }) =>
      credentials.some((place) => place.kind === "query" && place.name === name),
    );
    if (route === undefined && name !== TOKEN_PARAMETER) continue;
    reading.report.at([...path, index], {
      code: "audit_query_credential",
      message:
        route === undefined
          ? `${TOKEN_PARAMETER} is what clients send tokens in: they would be recorded`
          : `the route ${route.name} takes its credential from it: tokens would be recorded`,
      fix: "remove it",
    });
  }
  return readNames(written, path, reading);
}

function readNames(
  written: readonly (string | undefined)[],
  path: YamlPath,
  { report }: Reading,
): readonly string[] {
  if (written.length > NAMES_LIMIT) {
    const message = `${String(path.at(-1))} lists more than ${NAMES_LIMIT} names`;
    report.at(path, { code: "list_too_long", message, fix: "name only what is needed" });
  }
  const names = new Set<string>();
  for (const [index, name] of written.entries()) {
    if (name === undefined) continue;
    if (name.trim() === "" || name.length > NAME_LIMIT || /\p{Cc}/u.test(name)) {
      const message = `a name has up to ${NAME_LIMIT} characters on one line`;
      report.at([...path, index], { code: "name_invalid", message, fix: "write a name" });
    }
    names.add(name);
  }
  return [...names];
}

async function readFile(
  written: string,
  { configFile, store }: { readonly configFile: string; readonly store: StoreConfig },
  { folder, report }: Reading,
): Promise<string> {
  const path = ["audit", "file"];
  const found = await findNewFile(written, folder);
  if (!found.ok) {
    const { code, complaint, fix } = found.error;
    report.at(path, { code, message: `file: ${complaint}`, fix });
    return "";
  }
  if (filesInUse(configFile, store).includes(found.value)) {
    const message = "file is in use already: records would be written into it";
    report.at(path, { code: "file_taken", message, fix: "name a file of its own" });
  }
  return found.value;
}

/** The configuration, the database, and what lies beside that. */
function filesInUse(configFile: string, store: StoreConfig): readonly string[] {
  if (store.kind !== "sqlite") return [configFile];
  const { file } = store;
  return [configFile, file, `${file}-wal`, `${file}-shm`, join(dirname(file), "audit.key")];
}
