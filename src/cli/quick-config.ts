/**
 * `serve` without a file: flags written out as a configuration, so that what they start
 * goes the same way as everything else.
 *
 * @module
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Finding, GateError } from "../errors.ts";

export type QuickOptions = {
  readonly upstream?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly require?: string;
  readonly listen?: string;
};

type QuickConfig = AsyncDisposable & {
  readonly file: string;
  /** Its text. */
  readonly text: string;
};

/**
 * @returns The file, in a private folder that goes when it is disposed.
 * @throws GateError `usage_wrong` when a flag is missing or not `claim=value`;
 *   `state_unusable` where there is no place for temporary files.
 */
export async function writeQuickConfig(options: QuickOptions): Promise<QuickConfig> {
  const text = stringify(quickConfig(options));
  const folder = await mkdtemp(join(tmpdir(), "claimgate-")).catch(refuseFolder);
  const remove = () => rm(folder, { recursive: true, force: true });
  const file = join(folder, "claimgate.yaml");
  try {
    await mkdir(join(folder, "policies"));
    await writeFile(file, text, { mode: 0o600 });
  } catch (cause) {
    await remove();
    return refuseFolder(cause);
  }
  return { file, text, [Symbol.asyncDispose]: remove };
}

function refuseFolder(cause: unknown): never {
  const { code } = cause as NodeJS.ErrnoException;
  const message = `cannot write into ${tmpdir()} (${code ?? "failed"}): set TMPDIR to a folder that can be written`;
  throw new GateError("state_unusable", message, { cause });
}

/** Where in the written file a value stands, and the flag that it came from. */
const FLAGS: readonly (readonly [RegExp, string])[] = [
  [/^listen:/u, "--listen"],
  [/^ {4}issuer:/u, "--issuer"],
  [/^ {4}audiences:/u, "--audience"],
  [/^ {6}- (?!require-claim:)/u, "--audience"],
  [/^ {4}upstream:/u, "--upstream"],
];

/**
 * Whoever typed flags knows of no file: a finding is told with the flag that it is about.
 *
 * @param findings Of the written file. @param text The file's.
 */
export function asUsage(findings: readonly Finding[], text: string): GateError {
  const lines = text.split("\n");
  const told = findings.map(({ line, message, fix }) => {
    const source = lines[line - 1] ?? "";
    const flag = FLAGS.find(([pattern]) => pattern.test(source))?.[1] ?? "--require";
    return `${flag}: ${message}${fix === undefined ? "" : ` (${fix})`}`;
  });
  return new GateError("usage_wrong", told.join("\nclaimgate: "));
}

/** The configuration as the file would say it. */
function quickConfig({ upstream, issuer, audience, require, listen }: QuickOptions): object {
  if (upstream === undefined || issuer === undefined || audience === undefined) {
    const message = "without a file, serve needs --upstream, --issuer and --audience";
    throw new GateError("usage_wrong", message);
  }
  return {
    listen: listen ?? "127.0.0.1:8080",
    issuers: [{ name: "issuer", issuer: dollarsKept(issuer), audiences: [dollarsKept(audience)] }],
    routes: [{ name: "upstream", upstream: dollarsKept(upstream), ...guard(require) }],
  };
}

function guard(required: string | undefined): object {
  if (required === undefined) return { anyAuthenticated: true };
  const [claim, value] = split(required);
  if (claim === "" || value === undefined || value === "") {
    throw new GateError("usage_wrong", "--require takes claim=value, for example roles=staff");
  }
  const options = { path: dollarsKept(claim), oneOf: [dollarsKept(value)] };
  return { policies: [{ "require-claim": options }] };
}

function split(required: string): [string, string | undefined] {
  const at = required.indexOf("=");
  return at < 0 ? [required, undefined] : [required.slice(0, at), required.slice(at + 1)];
}

/** A dollar on the command line is a dollar, not a reference to the environment. */
function dollarsKept(text: string): string {
  return text.replaceAll("$", "$$$$");
}
