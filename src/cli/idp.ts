/**
 * `claimgate idp`: the development provider in the foreground, until it is told to end.
 *
 * @module
 */
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { rotateDevelopmentKeys } from "../identity/development-keys.ts";
import { startIdp } from "../idp/server.ts";
import { collect, USUAL_CONFIG } from "./options.ts";

type IdpFlags = {
  readonly host: string;
  readonly port: string;
  readonly audience: string;
  readonly client?: readonly string[];
  readonly config: string;
  readonly rotate?: true;
  readonly json?: true;
};

export function idpCommand(program: Command): void {
  program
    .command("idp")
    .description("Run an OpenID provider for development, on this machine only")
    .option("--port <number>", "where to listen; 0 takes a free port", "9400")
    .option("--host <host>", "127.0.0.1, ::1 or localhost", "127.0.0.1")
    .option("--audience <name>", "whom access tokens are for unless the client asks", "dev")
    .option("--client <id[:secret]>", "know this client only; may be given several times", collect)
    .option("--config <file>", "keys are in .claimgate/ beside it; it need not exist", USUAL_CONFIG)
    .option("--rotate", "make a new signing key and end; a running provider uses it at once")
    .option("--json", "print the addresses as one line of JSON")
    .addHelpText(
      "after",
      `
Any client id passes, with any secret or none, unless --client names some; one without a secret is
public and signs people in only. Access tokens are for --audience, or for what the client asks in
"resource" or "audience". With client credentials, "roles=staff,admin" becomes the roles claim.

Keys are rotated by --rotate, or by: curl -X POST http://127.0.0.1:9400/rotate
The two keys before the newest stay in the key set.

For the gate:
  issuers:
    - { name: local, issuer: "http://127.0.0.1:9400", audiences: [dev] }`,
    )
    .action((flags: IdpFlags) => (flags.rotate ? rotate(flags) : run(flags)));
}

async function rotate(flags: IdpFlags): Promise<void> {
  const [newest] = await rotateDevelopmentKeys(folderOf(flags));
  process.stdout.write(`${flags.json ? JSON.stringify({ kid: newest?.kid }) : newest?.kid}\n`);
}

async function run(flags: IdpFlags): Promise<void> {
  const told = untilTold();
  const idp = await startIdp({
    hostname: flags.host,
    port: readPort(flags.port),
    folder: folderOf(flags),
    audience: flags.audience,
    clients: readClients(flags.client ?? []),
  });
  process.stdout.write(flags.json ? jsonLine(idp.url, flags) : introduction(idp.url, flags));
  await told;
  await idp.stop();
}

function jsonLine(issuer: string, { audience }: IdpFlags): string {
  const discovery = `${issuer}/.well-known/openid-configuration`;
  return `${JSON.stringify({ issuer, discovery, audience })}\n`;
}

function introduction(issuer: string, { audience, client = [] }: IdpFlags): string {
  const [known] = client;
  const [id = "me", secret] = known?.split(":") ?? [];
  // Whoever typed the secret knows it; terminals and logs need not.
  const credentials = secret === undefined ? `-d client_id=${id}` : `-u ${id}:SECRET`;
  return `issuer     ${issuer}
discovery  ${issuer}/.well-known/openid-configuration
audience   ${audience}

A token:
  curl -s ${issuer}/token -d grant_type=client_credentials ${credentials} -d roles=staff

Ctrl-C ends it; claimgate idp --help tells more.
`;
}

/** Resolves at SIGINT or SIGTERM. */
function untilTold(): Promise<void> {
  const { promise, resolve: tell } = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => tell());
  return promise;
}

function readPort(written: string): number {
  const port = /^\d{1,5}$/.test(written) ? Number(written) : Number.NaN;
  if (port <= 65_535) return port;
  throw new GateError("usage_wrong", "--port takes a number from 0 to 65535");
}

function readClients(written: readonly string[]): ReadonlyMap<string, string> {
  const clients = new Map<string, string>();
  for (const one of written) {
    const [id = "", secret = ""] = one.split(/:(.*)/s);
    if (id === "" || clients.has(id)) {
      throw new GateError("usage_wrong", "--client takes an id, or id:secret, each id once");
    }
    clients.set(id, secret);
  }
  return clients;
}

function folderOf({ config }: IdpFlags): string {
  return join(dirname(resolve(config)), ".claimgate");
}
