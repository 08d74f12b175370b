/**
 * Assertions: short-lived tokens of the gate's own about the user, by which an upstream can tell
 * that a request came through the gate, and whose it is.
 *
 * @module
 */
import { SignJWT } from "jose";
import type { AssertionConfig } from "../config/resolved.ts";
import { GateError } from "../errors.ts";
import type { Token } from "../types.ts";
import type { AssertionKeys, AssertionSigner, PublishedKey } from "./assertion-keys.ts";

export type Assertions = {
  /**
   * @param config Of the route: assertions are kept for this very object and token.
   * @returns At once where one is at hand that has half of its life left.
   * @throws GateError `store_unavailable`, `state_unusable` while there are no keys.
   */
  assert(config: AssertionConfig, token: Token, nowMs: number): string | Promise<string>;
  /** @throws GateError `store_unavailable`, `state_unusable` while there are no keys. */
  keys(): Promise<readonly PublishedKey[]>;
  close(): void;
};

type Signed = {
  readonly jwt: string;
  readonly kid: string;
  /** Milliseconds since 1970: from when it was made until another is to be. */
  readonly fromMs: number;
  readonly freshUntilMs: number;
};

type Entry = { signed?: Signed; signing?: Promise<string> | undefined };

/** However little time is left to the token: a clock that is behind must not refuse it at once. */
const SHORTEST_SECONDS = 10;

/** @param issuer The gate's own origin, its `iss`. */
export function createAssertions(keys: AssertionKeys, issuer: () => string): Assertions {
  const known = new WeakMap<AssertionConfig, WeakMap<Token, Entry>>();

  function entryOf(config: AssertionConfig, token: Token): Entry {
    const ofRoute = known.get(config) ?? new WeakMap<Token, Entry>();
    known.set(config, ofRoute);
    const entry = ofRoute.get(token) ?? {};
    ofRoute.set(token, entry);
    return entry;
  }

  async function sign(entry: Entry, config: AssertionConfig, token: Token, nowMs: number) {
    const signer = keys.signer(nowMs) ?? (await loadSigner(nowMs));
    const signed = await signAssertion(signer, issuer(), config, token, nowMs);
    entry.signed = signed;
    return signed.jwt;
  }

  async function loadSigner(nowMs: number): Promise<AssertionSigner> {
    await keys.load();
    const signer = keys.signer(nowMs);
    if (signer === undefined) throw new GateError("store_unavailable", "no assertion keys");
    return signer;
  }

  return {
    assert(config, token, nowMs) {
      const entry = entryOf(config, token);
      const { signed } = entry;
      const isFresh = signed !== undefined && nowMs >= signed.fromMs && nowMs < signed.freshUntilMs;
      if (isFresh && keys.isPublished(signed.kid)) return signed.jwt;
      entry.signing ??= sign(entry, config, token, nowMs).finally(() => {
        entry.signing = undefined;
      });
      return entry.signing;
    },
    async keys() {
      await keys.load();
      return keys.published();
    },
    close: () => keys.close(),
  };
}

async function signAssertion(
  { kid, key }: AssertionSigner,
  issuer: string,
  { audience, lifetimeMs, claims }: AssertionConfig,
  token: Token,
  nowMs: number,
): Promise<Signed> {
  const iat = Math.floor(nowMs / 1_000);
  const wanted = Math.max(1, Math.round(lifetimeMs / 1_000));
  const left = Math.floor(token.expiresAt) - iat;
  const lifetime = Math.min(wanted, Math.max(left, SHORTEST_SECONDS));
  const passedOn = claims.flatMap((name) =>
    name !== "sub" && Object.hasOwn(token.claims, name) ? [[name, token.claims[name]]] : [],
  );
  const payload = {
    ...Object.fromEntries(passedOn),
    ...(token.subject !== "" && { sub: token.subject }),
    // Whose `sub` it is: another issuer may have an alice, too.
    idp: token.issuer,
    iss: issuer,
    aud: audience,
    iat,
    exp: iat + lifetime,
  };
  const jwt = await new SignJWT(payload)
    .setProtectedHeader({ alg: "ES256", typ: "JWT", kid })
    .sign(key);
  return { jwt, kid, fromMs: iat * 1_000, freshUntilMs: (iat + lifetime / 2) * 1_000 };
}
