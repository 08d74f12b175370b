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
import { GateError } from "../errors.ts";

export type QuickOptions = {
  readonly upstream?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly require?: string;
  readonly listen?: string;
};

export type QuickConfig = AsyncDisposable & { readonly file: string };

/**
 * @returns The file, in a private folder that goes when it is disposed.
 * @throws GateError `usage_wrong` when a flag is missing or not `claim=value`.
 */
export async function writeQuickConfig(options: QuickOptions): Promise<QuickConfig> {
  const text = stringify(quickConfig(options));
  const folder = await mkdtemp(join(tmpdir(), "claimgate-"));
  await mkdir(join(folder, "policies"));
  const file = join(folder, "claimgate.yaml");
  await writeFile(file, text, { mode: 0o600 });
  return {
    file,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The configuration as the file would say it. */
export function quickConfig({ upstream, issuer, audience, require, listen }: QuickOptions): object {
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
