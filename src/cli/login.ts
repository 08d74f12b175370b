/**
 * `claimgate login`: signs a person in at a terminal and keeps their token for `claimgate curl`.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import type { Command } from "commander";
import { loadConfig } from "../config/load.ts";
import type { Config, IssuerConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { isLoopbackHost } from "../lib/host.ts";
import { signInByDevice } from "./login/device.ts";
import {
  forgetLogin,
  type KeptLogin,
  keepLogin,
  loginFolder,
  readLogins,
} from "./login/kept-logins.ts";
import { signInByBrowser, type Wish } from "./login/loopback.ts";
import { openCliProvider, revoke } from "./login/provider.ts";
import { collect, USUAL_CONFIG } from "./options.ts";
import { visible } from "./paint.ts";
import { programWord } from "./program-word.ts";

type LoginFlags = {
  readonly issuer?: string;
  readonly clientId: string;
  readonly scope?: string;
  readonly for?: readonly string[];
  readonly resource?: readonly string[];
  readonly audience?: string;
  readonly device?: true;
  readonly browser: boolean;
  readonly logout?: true;
  readonly config: string;
};

export function loginCommand(program: Command): void {
  program
    .command("login")
    .description("Sign in at a terminal, for claimgate curl and whoami")
    .option("--issuer <name|url>", "the provider, or its name in claimgate.yaml")
    .option("--client-id <id>", "as the provider knows this program: a public client", "claimgate")
    .option("--scope <scopes>", "what to ask for (default openid, and offline_access if known)")
    .option("--for <origin>", "whom the token may be sent to; may be given several times", collect)
    .option("--resource <uri>", "whom the token is for (RFC 8707); several times", collect)
    .option("--audience <name>", "the same for providers that want it so (Auth0)")
    .option("--device", "sign in on another device, by a code")
    .option("--no-browser", "print the address and open nothing")
    .option("--logout", "forget the token, and tell the provider where it wants to know")
    .option("--config <file>", "where issuers have names; it need not exist", USUAL_CONFIG)
    .addHelpText(
      "after",
      `
At the provider, register a public (native) client with the redirect URI http://127.0.0.1/callback,
any port, or with device codes.

Examples:
  claimgate login --issuer https://id.acme.dev --client-id cli --for https://api.acme.dev
  claimgate curl https://api.acme.dev/orders/1
  claimgate login --logout`,
    )
    .action((flags: LoginFlags) => (flags.logout ? logout(flags) : login(flags)));
}

async function login(flags: LoginFlags): Promise<void> {
  const config = await configOf(flags);
  const issuer = issuerOf(flags, config);
  const origins = originsOf(flags, config);
  const provider = await openCliProvider(issuer, flags.clientId);
  const { scopes_supported: known = [] } = provider.server;
  const scopes = flags.scope?.split(/[ ,]+/).filter((scope) => scope !== "") ?? [
    "openid",
    ...(known.includes("offline_access") ? ["offline_access"] : []),
  ];
  const { resource: resources = [], audience } = flags;
  const wish: Wish = { scopes, resources, audience };
  const tokens = flags.device
    ? await signInByDevice(provider, wish, tellCode)
    : await signInByBrowser(provider, wish, (address) => tellAddress(address, flags));
  const kept: KeptLogin = {
    issuer,
    clientId: flags.clientId,
    origins: [...origins],
    resources: [...resources],
    signedInMs: Date.now(),
    ...tokens,
  };
  await keepLogin(loginFolder(), kept);
  const who = kept.subject === undefined ? "" : ` as ${visible(kept.subject)}`;
  say(`Signed in at ${issuer}${who}.`);
  if (origins.length === 0) {
    say(`The token may be sent to nobody yet: sign in with --for https://… to use it in curl.`);
  } else say(`${programWord()} curl sends the token to ${origins.join(", ")} and nobody else.`);
}

async function logout(flags: LoginFlags): Promise<void> {
  const folder = loginFolder();
  const wanted = flags.issuer === undefined ? undefined : issuerOf(flags, await configOf(flags));
  const logins = (await readLogins(folder)).filter(
    ({ issuer }) => wanted === undefined || issuer === wanted,
  );
  if (logins.length === 0) say("Nobody is signed in.");
  for (const one of logins) {
    // First here: whatever the provider says, this machine has forgotten.
    await forgetLogin(folder, one.issuer);
    const isRevoked = await revoke(one);
    const rest = isRevoked
      ? ""
      : "; the provider was not told, and the token lives on until it expires";
    say(`Signed out of ${one.issuer}${rest}.`);
  }
}

/** @returns `undefined` where there is no file; one that does not hold is no reason to fail. */
async function configOf({ config: file }: LoginFlags): Promise<Config | undefined> {
  const isThere = await stat(file).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const loaded = await loadConfig(file, process.env);
  return loaded.ok ? loaded.value : undefined;
}

function issuerOf({ issuer: written }: LoginFlags, config: Config | undefined): string {
  if (written !== undefined && /^https?:\/\//i.test(written)) return written;
  const remote = (config?.issuers ?? []).filter(({ keys }) => keys.kind !== "development");
  if (written === undefined) {
    const [only, ...others] = remote;
    if (only !== undefined && others.length === 0) return only.issuer;
    throw usage("--issuer says where to sign in: an https address, or a name in claimgate.yaml");
  }
  const named = config?.issuers.find(({ name }) => name === written);
  if (named === undefined) {
    throw usage(`--issuer ${visible(written)} is no name in claimgate.yaml and no https address`);
  }
  return atProvider(named);
}

function atProvider({ issuer, name, keys }: IssuerConfig): string {
  if (keys.kind !== "development" || /^https?:/.test(issuer)) return issuer;
  const word = programWord();
  throw usage(
    `${name} is the development issuer, where nobody signs in: use ${word} token, or run ${word} idp`,
  );
}

/** Those that are named; else where the gate of this folder is found. */
function originsOf(flags: LoginFlags, config: Config | undefined): readonly string[] {
  if (flags.for !== undefined) return [...new Set(flags.for.map(readOrigin))];
  if (config === undefined) return [];
  const own = config.publicUrl === undefined ? [] : [config.publicUrl];
  const local = config.listen.flatMap((address) =>
    address.kind === "tcp" && isLoopbackHost(address.hostname)
      ? [address.hostname, "localhost"].map(
          (host) =>
            `${config.tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${address.port}`,
        )
      : [],
  );
  return [...new Set([...own, ...local].map((origin) => new URL(origin).origin))];
}

function readOrigin(text: string): string {
  const url = URL.parse(text);
  const isOrigin =
    url !== null && url.pathname === "/" && url.search + url.hash + url.username === "";
  const isSafe =
    url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url === null || !isOrigin || !isSafe) {
    throw usage("--for takes an origin: https://host, or http:// on this machine");
  }
  return url.origin;
}

function tellAddress(address: string, { browser }: LoginFlags): void {
  say(`Sign in with your browser:\n\n  ${address}\n`);
  if (browser && process.stderr.isTTY === true) openBrowser(address);
}

/** The address is printed in any case: without a browser it is opened by hand. */
function openBrowser(address: string): void {
  const opener = { darwin: ["open"], win32: ["rundll32", "url.dll,FileProtocolHandler"] }[
    process.platform as string
  ] ?? ["xdg-open"];
  if (Bun.which(opener[0] ?? "") === null) return;
  Bun.spawn([...opener, address], { stdio: ["ignore", "ignore", "ignore"] }).unref();
}

function tellCode(address: string, code: string): void {
  say(`On any device, open\n\n  ${visible(address)}\n\nand enter the code\n\n  ${visible(code)}\n`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}
