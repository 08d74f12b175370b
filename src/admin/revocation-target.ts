/**
 * What somebody names who wants it revoked: in a request to the admin API, or by the flags of
 * `revoke` and `unrevoke`.
 *
 * @module
 */
import type { IssuerConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import { LONGEST_TOKEN } from "../identity/compact.ts";
import { isOpaque } from "../identity/introspection-verifier.ts";
import { digestToken } from "../identity/token-digest.ts";
import { LONGEST_VALUE, logoutValue, type Target } from "../ledger/revocation.ts";
import { isTokenHash, type TokenHash } from "../ledger/token-hash.ts";
import { suggest } from "../lib/suggest.ts";
import type { Sighting, SightingQuery } from "../store/store.ts";

/** One of them, but for `issuer`, which goes with `jti` and `subject`, or alone. */
export type Named = {
  readonly jti?: string;
  readonly subject?: string;
  /** Its public id, never the cookie. */
  readonly session?: string;
  /** Itself, or its public id. */
  readonly token?: string;
  /** Its name in the configuration, or its `iss`. */
  readonly issuer?: string;
};

const WHAT = ["jti", "subject", "session", "token"] as const;

/**
 * Before anything is opened.
 *
 * @param word How whoever asks calls a member: `--jti`.
 * @throws GateError `usage_wrong`; it never quotes a token or a session.
 */
export function checkNamed(named: Named, word: (name: keyof Named) => string): void {
  const given = WHAT.filter((name) => named[name] !== undefined);
  if (given.length > 1) {
    const words = given.map(word).join(" and ");
    throw usage(`${words} exclude each other: name one thing at a time`);
  }
  if (named.session !== undefined && !isTokenHash(named.session)) {
    const message = "takes the id that claimgate tokens shows, 22 characters; no cookie";
    throw usage(`${word("session")} ${message}`);
  }
  if (named.session !== undefined && named.issuer !== undefined) {
    throw usage(`${word("session")} needs no ${word("issuer")}: its id says it all`);
  }
  if (given.length === 0 && named.issuer === undefined) {
    const all = `${word("jti")}, ${word("subject")}, ${word("session")} or ${word("token")}`;
    throw usage(`name what is meant: ${all}, or an issuer with ${word("issuer")}`);
  }
  for (const name of ["jti", "subject"] as const) {
    const value = named[name];
    if (value === "") throw usage(`${word(name)} is empty`);
    if (value !== undefined && value.length > LONGEST_VALUE) {
      const message = `takes up to ${LONGEST_VALUE} characters: use ${word("token")} instead`;
      throw usage(`${word(name)} ${message}`);
    }
  }
}

/**
 * @param named Checked.
 * @param issuers Those of the configuration.
 * @throws GateError `usage_wrong`; it never quotes a token.
 */
export function targetOf(
  named: Named,
  issuers: readonly IssuerConfig[],
  tokenHash: Pick<TokenHash, "ofDigest">,
  word: (name: keyof Named) => string,
): Target {
  const { jti, subject, session, token } = named;
  if (session !== undefined) return { kind: "session", id: session };
  if (token !== undefined) {
    if (named.issuer !== undefined) issuerNamed(named.issuer, issuers);
    return tokenTarget(token, issuers, tokenHash, word);
  }
  const issuer = chooseIssuer(named.issuer, issuers, word);
  if (jti !== undefined) return { kind: "jti", issuer, id: jti };
  if (subject !== undefined) return { kind: "subject", issuer, subject };
  return { kind: "issuer", issuer };
}

/** @returns What `issuer` would say for it: its name in the configuration, where it has one. */
export function issuerWord(issuer: string, issuers: readonly IssuerConfig[]): string {
  return issuers.find((one) => one.issuer === issuer)?.name ?? issuer;
}

/** By its name or by its `iss`. @returns The `iss`. @throws GateError `usage_wrong` */
export function issuerNamed(written: string, issuers: readonly IssuerConfig[]): string {
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
 * For those who have mistyped an id or a subject: any is accepted, since what was not seen yet, or
 * by another gate, is revoked as well.
 *
 * @param list What was seen.
 * @returns One line, or nothing where it is known, or where nobody could know.
 */
export async function unseenNote(
  target: Target,
  list: (query: SightingQuery) => Promise<readonly Sighting[]>,
): Promise<string | undefined> {
  const check = "see that it is the right one (claimgate tokens lists them)";
  if (target.kind === "subject") {
    const { issuer, subject } = target;
    const [seen] = await list({ issuer, subject, limit: 1 });
    return seen === undefined ? `no token of that subject has been seen here: ${check}` : undefined;
  }
  if (target.kind !== "session" && target.kind !== "token") return undefined;
  const id = target.kind === "session" ? target.id : target.hash;
  const [seen] = await list({ id, kind: target.kind, limit: 1 });
  if (seen !== undefined) return undefined;
  return `no ${target.kind} with the id ${id} has been seen here: ${check}`;
}

/** RFC 6750 §2.1: what may stand after `Bearer`. */
const OPAQUE = /^[A-Za-z0-9\-._~+/]+=*$/;
const COMPACT = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){2,4}$/;

/** Neither the signature nor the time is looked at: what cannot be verified can be revoked. */
function tokenTarget(
  written: string,
  issuers: readonly IssuerConfig[],
  tokenHash: Pick<TokenHash, "ofDigest">,
  word: (name: keyof Named) => string,
): Target {
  const text = written.trim().replace(/^Bearer +/i, "");
  if (isTokenHash(text)) return { kind: "token", hash: text };
  // An opaque token is any text; that it is one is known only where such tokens pass at all.
  const takesOpaque = issuers.some(({ introspection }) => introspection !== undefined);
  const form = takesOpaque && isOpaque(text) ? OPAQUE : COMPACT;
  if (text.length > LONGEST_TOKEN || !form.test(text)) {
    const message = "takes a whole token (parts joined by dots), or the id that the audit shows";
    throw usage(`${word("token")} ${message}`);
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
function chooseIssuer(
  written: string | undefined,
  issuers: readonly IssuerConfig[],
  word: (name: keyof Named) => string,
): string {
  if (written !== undefined) return issuerNamed(written, issuers);
  const all = new Set(issuers.map(({ issuer }) => issuer));
  const [only] = all;
  if (only !== undefined && all.size === 1) return only;
  throw usage(`several issuers are configured: add ${word("issuer")} (${namesOf(issuers)})`);
}

function namesOf(issuers: readonly IssuerConfig[]): string {
  return issuers.map(({ name }) => name).join(", ");
}

function usage(message: string): GateError {
  return new GateError("usage_wrong", message);
}
