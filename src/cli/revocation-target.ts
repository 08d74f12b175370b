/**
 * What the flags of `revoke` and `unrevoke` name.
 *
 * @module
 */
import type { Command } from "commander";
import type { IssuerConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { LONGEST_TOKEN } from "../identity/compact.ts";
import { digestToken } from "../identity/token-digest.ts";
import { LONGEST_VALUE, logoutValue, type Target } from "../ledger/revocation.ts";
import { isTokenHash, type TokenHash } from "../ledger/token-hash.ts";
import { suggest } from "../lib/suggest.ts";
import type { Store } from "../store/store.ts";

export type TargetFlags = {
  readonly jti?: string;
  readonly subject?: string;
  readonly session?: string;
  readonly token?: string;
  readonly issuer?: string;
};

const WHAT = ["jti", "subject", "session", "token"] as const;

export function addTargetOptions(command: Command): Command {
  return command
    .option("--jti <id>", "the token with this jti")
    .option("--subject <sub>", "all tokens of this subject that were issued until now")
    .option("--session <id>", "this browser's session, by the id that tokens and the audit show")
    .option("--token <token>", "this token, or the id that the audit shows; - reads it from stdin")
    .option("--issuer <name>", "whose jti or subject; alone, all that it issued until now");
}

/**
 * Before anything is opened.
 *
 * @throws GateError `usage_wrong`
 */
export function checkTargetFlags(flags: TargetFlags): void {
  const given = WHAT.filter((name) => flags[name] !== undefined);
  if (given.length > 1) {
    throw usage(`--${given.join(" and --")} exclude each other: name one thing at a time`);
  }
  if (flags.session !== undefined && !isTokenHash(flags.session)) {
    // Never quoted: it may be the cookie.
    throw usage("--session takes the id that claimgate tokens shows, 22 characters; no cookie");
  }
  if (flags.session !== undefined && flags.issuer !== undefined) {
    throw usage("--session needs no --issuer: its id says it all");
  }
  if (given.length === 0 && flags.issuer === undefined) {
    const all = "--jti, --subject, --session or --token";
    throw usage(`name what is meant: ${all}, or an issuer with --issuer`);
  }
  for (const name of ["jti", "subject"] as const) {
    const value = flags[name];
    if (value === "") throw usage(`--${name} is empty`);
    if (value !== undefined && value.length > LONGEST_VALUE) {
      throw usage(`--${name} takes up to ${LONGEST_VALUE} characters: use --token instead`);
    }
  }
}

/**
 * @param issuers Those of the configuration.
 * @throws GateError `usage_wrong`; it never quotes a token.
 */
export async function readTarget(
  flags: TargetFlags,
  issuers: readonly IssuerConfig[],
  tokenHash: Pick<TokenHash, "ofDigest">,
): Promise<Target> {
  const { jti, subject, session, token } = flags;
  if (session !== undefined) return { kind: "session", id: session };
  if (token !== undefined) {
    if (flags.issuer !== undefined) findIssuer(flags.issuer, issuers);
    return tokenTarget(token === "-" ? await readStdin() : token, tokenHash);
  }
  const issuer = chooseIssuer(flags.issuer, issuers);
  if (jti !== undefined) return { kind: "jti", issuer, id: jti };
  if (subject !== undefined) return { kind: "subject", issuer, subject };
  return { kind: "issuer", issuer };
}

/** @returns What `--issuer` would say for it: its name in the configuration, where it has one. */
export function issuerWord(issuer: string, issuers: readonly IssuerConfig[]): string {
  return issuers.find((one) => one.issuer === issuer)?.name ?? issuer;
}

/** @returns `subject alice of okta`; a token by its public id. */
export function targetWord(target: Target, issuers: readonly IssuerConfig[]): string {
  if (target.kind === "token") return `token ${target.hash}`;
  if (target.kind === "session") return `session ${target.id}`;
  const issuer = issuerWord(target.issuer, issuers);
  switch (target.kind) {
    case "jti":
      return `jti ${target.id} of ${issuer}`;
    case "subject":
      return `subject ${target.subject} of ${issuer}`;
    case "issuer":
      return `issuer ${issuer}`;
    case "logout":
      return `logout ${logoutValue(target)} of ${issuer}`;
  }
}

/**
 * For those who have mistyped an id: anything of that form is accepted, since what was not seen
 * yet, or by another gate, is revoked as well.
 *
 * @returns One line, or nothing where it is known, or where nobody could know.
 */
export async function unseenNote(
  target: Target,
  store: Pick<Store, "sightings">,
): Promise<string | undefined> {
  if (target.kind !== "session" && target.kind !== "token") return undefined;
  if (target.expiresAt !== undefined) return undefined; // the token itself was given
  const id = target.kind === "session" ? target.id : target.hash;
  const [seen] = await store.sightings({ id, kind: target.kind, limit: 1 });
  if (seen !== undefined) return undefined;
  return `no ${target.kind} with the id ${id} has been seen here: see that it is the right one (claimgate tokens lists them)`;
}

/** Neither the signature nor the time is looked at: what cannot be verified can be revoked. */
function tokenTarget(written: string, tokenHash: Pick<TokenHash, "ofDigest">): Target {
  const text = written.trim().replace(/^Bearer +/i, "");
  if (isTokenHash(text)) return { kind: "token", hash: text };
  if (text.length > LONGEST_TOKEN || !/^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2,4}$/.test(text)) {
    throw usage(
      "--token takes a whole token (parts joined by dots), or the id that the audit shows",
    );
  }
  const hash = tokenHash.ofDigest(digestToken(text));
  const expiresAt = expiryOf(text);
  return { kind: "token", hash, ...(expiresAt !== undefined && { expiresAt }) };
}

/** By the token's own word: if it is a lie, the signature does not fit, and nobody takes the token. */
function expiryOf(text: string): number | undefined {
  const [, payload = "", ...rest] = text.split(".");
  if (rest.length !== 1) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return typeof exp === "number" && Number.isFinite(exp) ? exp : undefined;
  } catch {
    return undefined; // no JSON: no token that anyone takes, and kept as long as any would be
  }
}

/** @returns The `iss` claim. */
function chooseIssuer(written: string | undefined, issuers: readonly IssuerConfig[]): string {
  if (written !== undefined) return findIssuer(written, issuers);
  const all = new Set(issuers.map(({ issuer }) => issuer));
  const [only] = all;
  if (only !== undefined && all.size === 1) return only;
  throw usage(`several issuers are configured: add --issuer (${namesOf(issuers)})`);
}

/** By its name or by its `iss`. */
export function findIssuer(written: string, issuers: readonly IssuerConfig[]): string {
  const found =
    issuers.find(({ name }) => name === written) ??
    issuers.find(({ issuer }) => issuer === written);
  if (found !== undefined) return found.issuer;
  const meant = suggest(
    written,
    issuers.map(({ name }) => name),
  );
  const fix = meant === undefined ? `use one of: ${namesOf(issuers)}` : `did you mean ${meant}?`;
  throw usage(`no issuer is called ${JSON.stringify(written)}: ${fix}`);
}

function namesOf(issuers: readonly IssuerConfig[]): string {
  return issuers.map(({ name }) => name).join(", ");
}

/** More than any token: what is longer is refused as one. */
const STDIN_LIMIT = 4 * LONGEST_TOKEN;

async function readStdin(): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of Bun.stdin.stream()) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > STDIN_LIMIT) break;
  }
  return text;
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}
