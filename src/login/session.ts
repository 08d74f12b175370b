/**
 * What the store keeps of a session, and what it is to the rest of the gate: a token.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type { IssuerConfig, SessionConfig } from "../config/resolved.ts";
import { mapClaims } from "../identity/map-claims.ts";
import type { Challenge, Token } from "../types.ts";
import type { Grant, ProviderClaims, Renewal } from "./provider.ts";
import type { KeyRing } from "./seal.ts";

/** A policy's challenge that a person was sent to the provider for. */
export type StepUp = {
  readonly acr?: readonly string[];
  readonly maxAgeSeconds?: number;
};

/** One session, as it lies encrypted in the store. Times are milliseconds since 1970. */
export type SessionRecord = {
  readonly version: 1;
  /** The hash that it is stored under: what lies under another key was put there by a stranger. */
  readonly hash: string;
  /** What lists and the audit show. */
  readonly publicId: string;
  /** The host whose cookie it is; at another it is none. */
  readonly host: string;
  /** The `iss` claim, and the issuer's name in the configuration. */
  readonly issuer: string;
  readonly issuerName: string;
  readonly subject: string;
  /** As the provider said it: mapping is done when it is read, by the configuration of then. */
  readonly claims: ProviderClaims;
  readonly userInfo: ProviderClaims;
  readonly signedInMs: number;
  /** Every session's end, used or not. */
  readonly endsMs: number;
  /** When the provider's word expires; only counts where it can be renewed. */
  readonly expiresMs: number;
  readonly renewedMs: number;
  readonly refreshToken?: string;
  readonly idToken: string;
  readonly stepUp?: StepUp;
};

export const SESSION_ID = /^[A-Za-z0-9_-]{43}$/;

/** 256 bits. */
export function newSessionId(): string {
  return randomBytes(32).toString("base64url");
}

/** What the store knows an id by; nobody can tell the id from it. */
export function hashOf(id: string): string {
  return new Bun.CryptoHasher("sha256").update(`claimgate session ${id}`).digest("base64url");
}

export function sessionKey(hash: string): string {
  return `session:${hash}`;
}

type Beginning = {
  readonly hash: string;
  readonly publicId: string;
  readonly host: string;
  readonly issuer: IssuerConfig;
  readonly grant: Grant;
  readonly stepUp: StepUp | undefined;
  readonly lifetimeMs: number;
  readonly nowMs: number;
};

export function beginRecord(beginning: Beginning): SessionRecord {
  const { hash, publicId, host, issuer, grant, stepUp, lifetimeMs, nowMs } = beginning;
  const { claims, userInfo, idToken, refreshToken, expiresMs } = grant;
  return {
    version: 1,
    hash,
    publicId,
    host,
    issuer: issuer.issuer,
    issuerName: issuer.name,
    subject: String(claims.sub),
    claims,
    userInfo,
    signedInMs: nowMs,
    endsMs: nowMs + lifetimeMs,
    expiresMs,
    renewedMs: nowMs,
    idToken,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(stepUp !== undefined && { stepUp }),
  };
}

/** As long as the store's values may be. */
const LONGEST_VALUE = 64 * 1024;

/**
 * What is stored. Where it would be too long it goes without the ID token, which is but a hint to
 * the provider at sign-out.
 */
export async function sealRecord(ring: KeyRing, record: SessionRecord): Promise<string> {
  const sealed = await ring.seal("session", record);
  return sealed.length <= LONGEST_VALUE
    ? sealed
    : await ring.seal("session", { ...record, idToken: "" });
}

/** @returns `undefined` for what no key opens, or what was put there for another session. */
export async function readRecord(
  ring: KeyRing,
  hash: string,
  value: string,
): Promise<SessionRecord | undefined> {
  const record = (await ring.open("session", value)) as SessionRecord | undefined;
  return record?.version === 1 && record.hash === hash ? record : undefined;
}

/** A new ID token replaces the old one's claims, so that a role that was taken away is gone. */
export function renewRecord(record: SessionRecord, renewal: Renewal, nowMs: number): SessionRecord {
  const { claims, userInfo, expiresMs, idToken, refreshToken } = renewal;
  return {
    ...record,
    claims: claims === undefined ? record.claims : { ...signInOf(record.claims), ...claims },
    userInfo,
    expiresMs,
    renewedMs: nowMs,
    idToken: idToken ?? record.idToken,
    ...(refreshToken !== undefined && { refreshToken }),
  };
}

/** OpenID Connect Core §12.2: a renewed ID token may leave out how the person signed in. */
const ABOUT_SIGN_IN: readonly string[] = ["acr", "amr", "auth_time", "sid"];

function signInOf(claims: ProviderClaims): ProviderClaims {
  return Object.fromEntries(
    Object.entries(claims).filter(([name]) => ABOUT_SIGN_IN.includes(name)),
  );
}

/** How long before the provider's word expires it is renewed, at most. */
const EARLY_MS = 30_000;

/** @returns When to renew, since 1970; `undefined` where nothing can be. */
export function renewalDueMs(
  { refreshToken, renewedMs, expiresMs }: SessionRecord,
  { refreshMs }: Pick<SessionConfig, "refreshMs">,
): number | undefined {
  if (refreshToken === undefined) return undefined;
  // What lives for seconds only is renewed after four fifths of them, and not at each request.
  const earlyMs = Math.min(EARLY_MS, (expiresMs - renewedMs) / 5);
  return Math.max(renewedMs + 1_000, Math.min(renewedMs + refreshMs, expiresMs - earlyMs));
}

/** @returns `undefined` where a claim is missing that the issuer's configuration requires. */
export function tokenOf(record: SessionRecord, issuer: IssuerConfig): Token | undefined {
  const claims = mapClaims({ ...record.claims, ...record.userInfo }, issuer.claims);
  const isMissing = (name: string) => !Object.hasOwn(claims, name) || claims[name] === null;
  if (issuer.requiredClaims.some(isMissing)) return undefined;
  const { aud } = record.claims;
  const audience = Array.isArray(aud) ? aud.map(String) : [String(aud)];
  const scopes = Object.hasOwn(claims, "scopes") ? claims.scopes : undefined;
  return Object.freeze({
    issuer: record.issuer,
    issuerName: record.issuerName,
    subject: record.subject,
    audience: Object.freeze(audience),
    issuedAt: Math.floor(record.signedInMs / 1_000),
    expiresAt: Math.floor(record.endsMs / 1_000),
    scopes: Array.isArray(scopes) ? scopes : [],
    claims,
    session: record.publicId,
  });
}

export function stepUpFor({ acr, maxAge }: Challenge): StepUp {
  return {
    ...(acr !== undefined && { acr }),
    ...(maxAge !== undefined && { maxAgeSeconds: maxAge }),
  };
}
