/**
 * `claimgate whoami`: as whom `claimgate login` has signed in, where, and for how long.
 *
 * @module
 */
import type { Command } from "commander";
import { GateError } from "../errors.ts";
import { renewed } from "./login/current-login.ts";
import { type KeptLogin, loginFolder, readLogins } from "./login/kept-logins.ts";
import { printableJson, visible } from "./paint.ts";
import { programWord } from "./program-word.ts";

type WhoamiFlags = { readonly issuer?: string; readonly json?: true };

export function whoamiCommand(program: Command): void {
  program
    .command("whoami")
    .description("Show as whom claimgate login has signed in: the latest login, or --issuer's")
    .option("--issuer <url>", "the login at that provider")
    .option("--json", "print it as JSON, with the ID token's claims")
    .action((flags: WhoamiFlags) => whoami(flags));
}

async function whoami({ issuer, json }: WhoamiFlags): Promise<void> {
  const folder = loginFolder();
  const logins = await readLogins(folder);
  const found = logins.find((login) => issuer === undefined || login.issuer === issuer);
  if (found === undefined) {
    const message = `nobody is signed in${issuer === undefined ? "" : " there"}: ${programWord()} login`;
    throw new GateError("config_invalid", message);
  }
  const login = await renewed(folder, found);
  process.stdout.write(json ? `${printableJson(asJson(login))}\n` : asText(login));
}

function asJson({ issuer, subject, clientId, scopes, expiresMs, origins, ...more }: KeptLogin) {
  return {
    issuer,
    subject: subject ?? null,
    clientId,
    scopes,
    expiresAt: expiresMs === undefined ? null : new Date(expiresMs).toISOString(),
    renewable: more.refreshToken !== undefined,
    origins,
    claims: more.claims,
  };
}

function asText(login: KeptLogin): string {
  const { issuer, subject, clientId, scopes, expiresAt, renewable, origins } = asJson(login);
  const rows = [
    ["subject", subject ?? "unknown"],
    ["issuer", issuer],
    ["client", clientId],
    ["scopes", scopes.join(" ")],
    ["expires", `${expiresAt ?? "unknown"}${renewable ? ", then renewed" : ""}`],
    ["sent to", origins.length === 0 ? "nobody: sign in with --for https://…" : origins.join(" ")],
  ];
  return rows.map(([name = "", value = ""]) => `${name.padEnd(9)}${visible(value)}\n`).join("");
}
