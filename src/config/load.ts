/**
 * From claimgate.yaml to the configuration in force, or everything that does not hold in it.
 *
 * @module
 */
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Finding, GateError } from "../errors.ts";
import { err, ok, type Result } from "../result.ts";
import type { Environment } from "./environment.ts";
import { readDurationMs, readSizeBytes } from "./quantity.ts";
import { readAdmin, readLedger } from "./read-admin.ts";
import { readAudit } from "./read-audit.ts";
import { readFilePath } from "./read-files.ts";
import { readIssuers } from "./read-issuers.ts";
import { readLimits } from "./read-limits.ts";
import { checkPlainListen, readListen, readTrustedProxies } from "./read-listen.ts";
import { readRoutes } from "./read-routes.ts";
import { readPages, readSession } from "./read-session.ts";
import { readRevocation, readStore } from "./read-store.ts";
import { readOrigin, readSecureUrl } from "./read-url.ts";
import { readWorkers } from "./read-workers.ts";
import { openReport, type Reading } from "./report.ts";
import type { Config, TlsConfig } from "./resolved.ts";
import { type FileContent, FileSchema } from "./schema.ts";
import { fit } from "./shape.ts";
import { readSource, type Source } from "./source.ts";

const FILE_LIMIT_BYTES = 1024 * 1024;

/**
 * Reads and checks a configuration file, and the files that it names.
 *
 * @param file As the owner typed it; findings show it so.
 * @param environment What `${NAME}` is replaced from.
 * @returns The configuration, or every finding, in order of place.
 * @throws GateError `usage_wrong` when there is no such file or it cannot be read.
 */
export async function loadConfig(
  file: string,
  environment: Environment,
): Promise<Result<Config, readonly Finding[]>> {
  const text = await readText(file);
  if (!text.ok) return err([text.error]);
  const source = readSource(text.value, environment);
  const report = openReport(file, source);
  // What is left of a file that is not YAML says little about what the owner meant.
  if (source.isBroken) return err(report.findings());

  const absolute = resolve(file);
  const reading: Reading = { source, report, folder: dirname(absolute) };
  const content = fitContent(source, reading);
  const config = await readConfig(content, absolute, reading);
  const findings = report.findings();
  return findings.length === 0 ? ok(config) : err(findings);
}

function fitContent(source: Source, { report }: Reading): FileContent {
  const fitting = fit(FileSchema, source.value, [], source, report);
  return (fitting ?? {}) as FileContent;
}

async function readConfig(content: FileContent, file: string, reading: Reading): Promise<Config> {
  const { folder, report, source } = reading;
  const listens = readListen(content.listen, reading);
  checkPlainListen(listens, content, reading);
  const tls = content.tls && (await readTls(content.tls, reading));
  const geo =
    content.geo === undefined ? undefined : await readFilePath(content.geo, ["geo"], reading);
  const publicUrl =
    content.publicUrl === undefined ? undefined : readPublicUrl(content.publicUrl, reading);
  const issuers = await readIssuers(content.issuers ?? [], listens, reading);
  const routes = readRoutes(content, issuers, reading);
  const store = await readStore(content.store, file, reading);
  const brand = readPages(content.pages, reading);
  return {
    file,
    folder,
    listen: listens.map(({ address }) => address),
    ...(publicUrl !== undefined && { publicUrl }),
    ...(tls !== undefined && { tls }),
    http: {
      http2: content.http?.http2 ?? true,
      maxBodyBytes: readSizeBytes(
        content.http?.maxBodySize,
        "100MB",
        { from: "0B", to: "1024GB" },
        ["http", "maxBodySize"],
        report,
      ),
      idleTimeoutMs: readDurationMs(
        content.http?.idleTimeout,
        "120s",
        { from: "1s", to: "255s" },
        ["http", "idleTimeout"],
        report,
      ),
    },
    allowPlainHttp: content.allowPlainHttp ?? false,
    trustedProxies: readTrustedProxies(content.trustedProxies, reading),
    policies: await readPoliciesFolder(content.policies, reading),
    policyTimeoutMs: readDurationMs(
      content.policyTimeout,
      "250ms",
      { from: "1ms", to: "10s" },
      ["policyTimeout"],
      report,
    ),
    reload: { requireCases: content.reload?.requireCases ?? true },
    ...(geo !== undefined && { geo }),
    issuers,
    routes,
    store,
    revocation: readRevocation(content.revocation, reading),
    audit: await readAudit(content.audit, { configFile: file, store, routes }, reading),
    limits: readLimits(content.limits, reading),
    session: await readSession(content.session, { store, routes }, reading),
    ledger: readLedger(content.ledger, reading),
    admin: await readAdmin(
      content.admin,
      { listens, store, allowPlainHttp: content.allowPlainHttp === true },
      reading,
    ),
    ...(brand !== undefined && { brand }),
    workers: readWorkers(
      content.workers,
      listens.map(({ address }) => address),
      reading,
    ),
    log: { level: content.log?.level ?? "info" },
    positionOf: source.positionOf,
  };
}

async function readTls(
  content: NonNullable<FileContent["tls"]>,
  reading: Reading,
): Promise<TlsConfig> {
  const { report, source } = reading;
  const fileOf = (key: "cert" | "key" | "clientCa") =>
    content[key] === undefined ? undefined : readFilePath(content[key], ["tls", key], reading);
  const clientAuth = content.clientAuth ?? "none";
  if (clientAuth === "required" && !source.has(["tls", "clientCa"])) {
    report.at(["tls", "clientAuth"], {
      code: "key_missing",
      message: "clientAuth: required needs clientCa, or no certificate could be checked",
      fix: "add clientCa: a PEM file of the authorities whose certificates pass",
    });
  }
  const [cert = "", key = "", clientCa] = await Promise.all([
    fileOf("cert"),
    fileOf("key"),
    fileOf("clientCa"),
  ]);
  return { cert, key, clientAuth, ...(clientCa !== undefined && { clientCa }) };
}

function readPublicUrl(text: string, { report }: Reading): string {
  const secure = readSecureUrl(text, "publicUrl");
  const origin = secure.ok
    ? readOrigin(text, "publicUrl", "write https://host, and no path")
    : secure;
  if (origin.ok) return origin.value.origin;
  report.at(["publicUrl"], origin.error);
  return "";
}

/** A folder that is not there is fine: the shipped policies are. */
async function readPoliciesFolder(
  written: string | undefined,
  { folder, report }: Reading,
): Promise<string> {
  const policies = resolve(folder, written ?? "policies");
  const found = written === "" ? undefined : await stat(policies).catch(() => undefined);
  if (written === "" || found?.isDirectory() === false) {
    const message = written === "" ? "policies names no folder" : `${policies} is not a folder`;
    report.at(["policies"], {
      code: "folder_invalid",
      message,
      fix: "name the folder of policies",
    });
  }
  return policies;
}

async function readText(file: string): Promise<Result<string, Finding>> {
  const bytes = await readBytes(file);
  const refuse = (code: string, message: string, fix: string): Result<string, Finding> =>
    err({ severity: "error", code, message, file, line: 1, column: 1, fix });
  if (bytes === undefined) {
    return refuse(
      "file_too_large",
      "a configuration has at most 1 MB",
      "check that this is the right file",
    );
  }
  try {
    return ok(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    if (cause instanceof TypeError) {
      return refuse("encoding_invalid", "the file is not UTF-8", "save it as UTF-8");
    }
    throw cause;
  }
}

/** @returns `undefined` when there is more than the limit. */
async function readBytes(file: string): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(file);
    return size > FILE_LIMIT_BYTES ? undefined : await readFile(file);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    const message = `cannot load the configuration ${file}: ${why}; name one with --config FILE, or make one with claimgate init`;
    throw new GateError("usage_wrong", message, { cause });
  }
}
