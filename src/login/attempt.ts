/**
 * What a browser keeps while a person is away at the provider: one encrypted cookie for each
 * attempt, so that two tabs, two replicas and a restart in between all work, and nobody can
 * finish what another browser began.
 *
 * @module
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { cookiesBeginning, setCookie } from "../lib/cookies.ts";
import type { KeyRing } from "./seal.ts";
import type { StepUp } from "./session.ts";

/** The way to the provider and back. */
export type ProviderAttempt = {
  readonly kind: "provider";
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  /** The issuer's name. */
  readonly issuer: string;
  /** Absolute. */
  readonly returnTo: string;
  readonly expiresMs: number;
  /** Present where the session is for another host: what that host's own attempt is known by. */
  readonly handOver?: { readonly origin: string; readonly state: string };
  /** What the sign-in was asked to be better at. */
  readonly stepUp?: StepUp;
};

/** The way to the gate's public origin and back, for a browser at another host. */
export type HostAttempt = {
  readonly kind: "host";
  readonly state: string;
  readonly returnTo: string;
  readonly expiresMs: number;
};

type Attempt = ProviderAttempt | HostAttempt;

export const ATTEMPT_MS = 10 * 60_000;
/** Under way in one browser at one host; the oldest give way. */
const MOST_ATTEMPTS = 5;
/** At once; the next attempt removes more. */
const MOST_REMOVED = 50;
const NAME = "claimgate-login-";
const SUFFIX = /^[a-z0-9]{8,9}[A-Za-z0-9_-]{8}$/;
const STATE = /^([a-z0-9]{8,9}[A-Za-z0-9_-]{8})\.[A-Za-z0-9_-]{43}$/;

/** Names its cookie, and says when it began: `mckx1z2aXXXXXXXX.` and 256 random bits. */
export function newState(nowMs: number): string {
  const suffix = nowMs.toString(36).padStart(8, "0") + randomBytes(6).toString("base64url");
  return `${suffix}.${randomBytes(32).toString("base64url")}`;
}

export type AttemptCookies = {
  /** @returns Values of `Set-Cookie`: the new one, and the removal of the oldest beyond the bound. */
  keep(header: string | null, attempt: Attempt): Promise<string[]>;
  /** @returns The attempt that began with this state in this very browser, not yet too old. */
  read<K extends Attempt["kind"]>(
    header: string | null,
    kind: K,
    state: string,
    nowMs: number,
  ): Promise<Extract<Attempt, { kind: K }> | undefined>;
  /** The same, known by what begins its state alone; who asks compares the rest. */
  find<K extends Attempt["kind"]>(
    header: string | null,
    kind: K,
    state: string,
    nowMs: number,
  ): Promise<Extract<Attempt, { kind: K }> | undefined>;
  /** A value of `Set-Cookie`. */
  drop(state: string): string;
};

export function createAttemptCookies(ring: KeyRing, secure: boolean): AttemptCookies {
  const prefix = `${secure ? "__Host-" : ""}${NAME}`;
  const nameOf = (state: string) => `${prefix}${state.slice(0, state.indexOf("."))}`;
  const removal = (name: string) => setCookie({ name, value: "", maxAgeSeconds: 0, secure });

  async function find<K extends Attempt["kind"]>(
    header: string | null,
    kind: K,
    state: string,
    nowMs: number,
  ): Promise<Extract<Attempt, { kind: K }> | undefined> {
    if (!STATE.test(state)) return undefined;
    const [cookie, ...others] = cookiesBeginning(header, `${nameOf(state)}=`);
    if (cookie === undefined || others.length > 0) return undefined;
    const opened = (await ring.open("attempt", cookie.value)) as Attempt | undefined;
    if (opened?.kind !== kind || nowMs >= opened.expiresMs) return undefined;
    return opened as Extract<Attempt, { kind: K }>;
  }

  return {
    async keep(header, attempt) {
      const value = await ring.seal("attempt", attempt);
      const others = cookiesBeginning(header, prefix)
        .map(({ name }) => name)
        .filter((name) => SUFFIX.test(name.slice(prefix.length)))
        .sort();
      const surplus = Math.max(0, others.length - MOST_ATTEMPTS + 1);
      const tooMany = others.slice(0, Math.min(surplus, MOST_REMOVED));
      const maxAgeSeconds = ATTEMPT_MS / 1_000;
      const name = nameOf(attempt.state);
      return [setCookie({ name, value, maxAgeSeconds, secure }), ...tooMany.map(removal)];
    },
    find,
    async read(header, kind, state, nowMs) {
      const opened = await find(header, kind, state, nowMs);
      return opened !== undefined && isSame(opened.state, state) ? opened : undefined;
    },
    drop: (state) => removal(nameOf(state)),
  };
}

/** In the same time wherever they differ. */
function isSame(a: string, b: string): boolean {
  const [one, other] = [Buffer.from(a), Buffer.from(b)];
  return one.length === other.length && timingSafeEqual(one, other);
}
