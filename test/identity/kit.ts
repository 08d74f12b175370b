/**
 * Real parts for the tests of this room: keys, tokens, a JWKS server, issuers.
 *
 * @module
 */
import { exportJWK, exportPKCS8, generateKeyPair, type JWK } from "jose";
import type { IssuerConfig } from "../../src/config/resolved.ts";
import { type Issuer, openIssuer } from "../../src/identity/issuers.ts";
import type { KeyDependencies } from "../../src/identity/keys.ts";
import { createVerifier } from "../../src/identity/verify.ts";
import type { Result } from "../../src/result.ts";
import type { Refusal, Token } from "../../src/types.ts";
import { tempFolder } from "../support/temp-folder.ts";

/** Any moment: 2026-01-05T10:00:00Z. */
export const NOW_MS = Date.UTC(2026, 0, 5, 10);
export const NOW = NOW_MS / 1000;

export type Signer = {
  readonly kid: string;
  readonly alg: string;
  readonly publicJwk: JWK;
  readonly privatePem: string;
  sign(payload: unknown, header?: Readonly<Record<string, unknown>>): Promise<string>;
  /** Any bytes as header and payload, signed well. */
  signRaw(header: string | Uint8Array, payload: string | Uint8Array): Promise<string>;
};

export async function createSigner(alg = "ES256", kid = `${alg}-1`): Promise<Signer> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const signRaw: Signer["signRaw"] = async (header, payload) => {
    const input = `${base64url(header)}.${base64url(payload)}`;
    const bytes = await crypto.subtle.sign(parametersOf(alg), pair.privateKey, Buffer.from(input));
    return `${input}.${base64url(new Uint8Array(bytes))}`;
  };
  return {
    kid,
    alg,
    publicJwk: { ...(await exportJWK(pair.publicKey)), kid, alg, use: "sig" },
    privatePem: await exportPKCS8(pair.privateKey),
    signRaw,
    sign: (payload, header = {}) =>
      signRaw(JSON.stringify({ alg, kid, ...header }), JSON.stringify(payload)),
  };
}

export function base64url(bytes: string | Uint8Array): string {
  return Buffer.from(bytes as Uint8Array).toString("base64url");
}

function parametersOf(alg: string) {
  const hash = `SHA-${alg.slice(2)}`;
  if (alg === "EdDSA" || alg === "Ed25519") return { name: "Ed25519" };
  if (alg.startsWith("ES")) return { name: "ECDSA", hash };
  if (alg.startsWith("PS")) return { name: "RSA-PSS", saltLength: Number(alg.slice(2)) / 8 };
  return { name: "RSASSA-PKCS1-v1_5" };
}

/** A good payload, good for five minutes. */
export function payloadOf(more: Readonly<Record<string, unknown>> = {}) {
  return { iss: ISSUER, aud: "api", sub: "alice", iat: NOW, exp: NOW + 300, ...more };
}

export const ISSUER = "https://issuer.example";

export function configOf(more: Partial<IssuerConfig> = {}): IssuerConfig {
  return {
    name: "main",
    issuer: ISSUER,
    audiences: ["api"],
    keys: { kind: "jwksUri", url: "http://127.0.0.1:1/keys" },
    refreshMs: 600_000,
    staleForMs: 3_600_000,
    algorithms: "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA".split(" "),
    clockToleranceSeconds: 30,
    maxLifetimeSeconds: 86_400,
    requiredClaims: ["sub"],
    claims: {},
    ...more,
  };
}

export type KeyServer = AsyncDisposable & {
  readonly url: string;
  /** Paths in the order they were asked for. */
  readonly requests: string[];
  /** Path: what it answers. Others are 404. */
  readonly answers: Map<string, () => Response | Promise<Response>>;
  /** Answers `/keys` with these. */
  publish(...keys: readonly unknown[]): void;
};

export function startKeyServer(...keys: readonly unknown[]): KeyServer {
  const requests: string[] = [];
  const answers: KeyServer["answers"] = new Map();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      requests.push(pathname);
      return answers.get(pathname)?.() ?? new Response("no", { status: 404 });
    },
  });
  const publish: KeyServer["publish"] = (...published) =>
    void answers.set("/keys", () => Response.json({ keys: published }));
  publish(...keys);
  return {
    url: server.url.href.replace(/\/$/, ""),
    requests,
    answers,
    publish,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

export type TestClock = { nowMs: number };

/** An issuer and a verifier of its own, with a clock that stands still. */
export async function openTestIssuer(
  config: IssuerConfig,
  more: Partial<KeyDependencies> & { clock?: TestClock } = {},
) {
  const { clock = { nowMs: NOW_MS }, ...dependencies } = more;
  const folder = dependencies.folder === undefined ? await tempFolder() : undefined;
  const warnings: string[] = [];
  const issuer: Issuer = openIssuer(config, {
    folder: folder?.path ?? "",
    fetch,
    now: () => clock.nowMs,
    warn: (message) => warnings.push(message),
    ...dependencies,
  });
  const verifier = createVerifier([issuer]);
  return {
    issuer,
    verifier,
    warnings,
    clock,
    verify: async (credential: string) => verifier.verify(credential, clock.nowMs),
    async [Symbol.asyncDispose]() {
      issuer.close();
      await folder?.[Symbol.asyncDispose]();
    },
  };
}

/** What came of it in a word: `ok`, or the reason. */
export function outcome(result: Result<Token, Refusal>): string {
  return result.ok ? "ok" : result.error.reason;
}

/** Waits for what happens in the background, for at most five seconds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + 5_000;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error("it did not come to that within 5 s");
    await Bun.sleep(2);
  }
}
