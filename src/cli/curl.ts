/**
 * `claimgate curl`: curl with the token of `claimgate login`, to whom it is meant for and nobody
 * else.
 *
 * @module
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { isLoopbackHost } from "../lib/host.ts";
import { readCurlArguments } from "./curl/arguments.ts";
import { renewed } from "./login/current-login.ts";
import { type KeptLogin, loginFolder, readLogins } from "./login/kept-logins.ts";
import { programWord } from "./program-word.ts";

type CurlFlags = { readonly issuer?: string };

export function curlCommand(program: Command): void {
  program
    .command("curl")
    .description("Run curl with the token of claimgate login")
    .argument("[arguments...]", "the address, and curl's own options")
    .option("--issuer <url>", "of several logins for one origin, the one at that provider")
    .allowUnknownOption()
    .addHelpText(
      "after",
      `
The token goes only to origins that were named at login (--for), over https or to this machine. It
is on no command line, and curl's own configuration (.curlrc) is not read.

Example:
  claimgate curl https://api.acme.dev/orders -X POST --json '{"item": 1}'`,
    )
    .action((args: readonly string[], flags: CurlFlags) => curl(args, flags));
}

async function curl(args: readonly string[], { issuer }: CurlFlags): Promise<void> {
  const call = readCurlArguments(args);
  if (!call.ok) throw usage(call.error);
  const url = readUrl(call.value.url);
  const folder = loginFolder();
  const login = await renewed(folder, loginFor(url, await readLogins(folder), issuer));
  const program = Bun.which("curl");
  if (program === null) throw usage("curl is not installed");
  if (call.value.follows) checkVersion(program);
  process.exitCode = await run(program, configFor(url, login), folder, call.value.rest);
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\//i.test(text)) {
    throw usage("the address must be whole: https://api.acme.dev/orders");
  }
  if (url.username !== "" || url.password !== "") {
    throw usage("an address with a name or password in it is not taken here");
  }
  if (url.protocol !== "https:" && !isLoopbackHost(url.hostname)) {
    throw usage("over plain http the token goes to this machine only: use https");
  }
  return url;
}

function loginFor(
  { origin }: URL,
  logins: readonly KeptLogin[],
  wanted: string | undefined,
): KeptLogin {
  const mine = logins.filter(({ issuer }) => wanted === undefined || issuer === wanted);
  const found = mine.find(({ origins }) => origins.includes(origin));
  if (found !== undefined) return found;
  const message =
    mine.length === 0
      ? `nobody is signed in: ${programWord()} login --for ${origin}`
      : `no login may send its token to ${origin}: ${programWord()} login --for ${origin}`;
  throw new GateError("config_invalid", message);
}

/** In the language of curl's own configuration files. */
function configFor(url: URL, { accessToken }: KeptLogin): string {
  // What a provider gave: it must not end the line and begin another option.
  if (!/^[\x21-\x7e]+$/.test(accessToken)) {
    throw new GateError("state_unusable", "the token holds characters that no token has");
  }
  const quoted = (text: string) => `"${text.replace(/[\\"]/g, "\\$&")}"`;
  const lines = [
    `url = ${quoted(url.href)}`,
    `header = ${quoted(`Authorization: Bearer ${accessToken}`)}`,
    `proto = "=http,https"`,
    // Nobody means a server of another name by a bracket.
    "globoff",
    // A proxy of the environment would see it on its way back to this machine.
    ...(isLoopbackHost(url.hostname) ? [`noproxy = "*"`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

/**
 * Hands the configuration over in a file that has no name any more when curl starts: standard
 * input stays the person's own, and nobody who lists processes sees the token.
 */
async function run(
  program: string,
  config: string,
  folder: string,
  rest: readonly string[],
): Promise<number> {
  // Windows cannot open what has no name, and curl reads it there in place of the input.
  const isWindows = process.platform === "win32";
  const handle = isWindows ? undefined : openNameless(config, folder);
  const from = handle === undefined ? "-" : "/dev/fd/3";
  const child = Bun.spawn([program, "-q", "--config", from, ...rest], {
    stdio: [
      handle === undefined ? Buffer.from(config) : "inherit",
      "inherit",
      "inherit",
      ...(handle === undefined ? [] : [handle]),
    ],
  });
  if (handle !== undefined) closeSync(handle);
  return await child.exited;
}

function openNameless(config: string, folder: string): number {
  const place = mkdtempSync(join(folder, "curl-"));
  try {
    const file = join(place, "config");
    writeFileSync(file, config, { mode: 0o600, flag: "wx" });
    return openSync(file, "r");
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Since 7.83 curl leaves the header behind when it is sent to another host, port or scheme. */
const FIRST_THAT_DROPS = [7, 83] as const;

function checkVersion(program: string): void {
  const { stdout } = Bun.spawnSync([program, "-q", "--version"]);
  const [, major = "0", minor = "0"] = /^curl (\d+)\.(\d+)/.exec(stdout.toString()) ?? [];
  const [wantedMajor, wantedMinor] = FIRST_THAT_DROPS;
  const isNew =
    Number(major) > wantedMajor || (Number(major) === wantedMajor && Number(minor) >= wantedMinor);
  if (isNew) return;
  throw usage(
    "this curl takes the token along to other hosts: leave -L out, or install 7.83 or later",
  );
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}
