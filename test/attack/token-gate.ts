/**
 * What the tables of tokens are fired at: a gate with issuers of several kinds, their keys
 * (good ones among such as must never verify anything), a recording upstream, and a listener
 * that nobody may ever connect to.
 *
 * @module
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { RawAnswer } from "../support/raw-request.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import {
  type AttackGate,
  bearer,
  expectDenied,
  expectDiscreet,
  NOW,
  openAttackGate,
  shoot,
  untilStatus,
} from "./attack-gate.ts";
import { type ForgeKey, forge, makeKey, type Part } from "./forge.ts";

export const MAIN = "https://main.test";
const SUBJECT = "alice-3f9c1d";

/** Keys by what they are for. Those of `main` are published with their name as `kid`. */
export const keys = {
  /** No `alg` published: what the token says is bound to the key's type alone. */
  rsa: makeKey("rsa"),
  ps256: makeKey("rsa"),
  p256: makeKey("P-256"),
  p384: makeKey("P-384"),
  p521: makeKey("P-521"),
  ed: makeKey("Ed25519"),
  weak: makeKey("rsa-1024"),
  enc: makeKey("P-256"),
  ops: makeKey("P-256"),
  private: makeKey("P-256"),
  curve: makeKey("P-256"),
  twinA: makeKey("P-256"),
  twinB: makeKey("P-256"),
  pem: makeKey("rsa"),
  other: makeKey("rsa"),
  sealing: makeKey("rsa"),
  /** In no key set at all. */
  evil: makeKey("rsa"),
  evilEc: makeKey("P-256"),
} as const;

/** The secret of the `oct` key that `main` publishes by mistake. */
export const OCT_SECRET = createHash("sha512").update("published by mistake").digest();

function mainKeySet(): { keys: unknown[] } {
  const { rsa, ps256, p256, p384, p521, ed, weak, enc, ops, curve, twinA, twinB } = keys;
  const privateJwk = keys.private.privateKey.export({ format: "jwk" });
  return {
    keys: [
      { kty: "oct", kid: "oct", alg: "HS256", k: OCT_SECRET.toString("base64url") },
      { ...weak.jwk, kid: "weak" },
      { ...enc.jwk, kid: "enc", use: "enc" },
      { ...ops.jwk, kid: "ops", key_ops: ["encrypt"] },
      { ...privateJwk, kid: "private" },
      // A point off its curve: x and y of two different points.
      { ...curve.jwk, kid: "curve", y: twinA.jwk.y },
      { kty: "EC", kid: "broken" },
      "not a key",
      null,
      { ...rsa.jwk, kid: "rsa", use: "sig" },
      { ...ps256.jwk, kid: "ps256", alg: "PS256" },
      { ...p256.jwk, kid: "p256", alg: "ES256", key_ops: ["verify"] },
      { ...p384.jwk, kid: "p384" },
      { ...p521.jwk, kid: "p521" },
      { ...ed.jwk, kid: "ed", alg: "EdDSA" },
      { ...twinA.jwk, kid: "twin", alg: "ES256" },
      { ...twinB.jwk, kid: "twin", alg: "ES256" },
    ],
  };
}

const CONFIG = (upstream: string, issuer: string) => ({
  issuers: [
    { name: "main", issuer: MAIN, audiences: ["api", "api-two"], jwksUri: `${issuer}/main` },
    {
      name: "typed",
      issuer: "https://typed.test",
      audiences: ["api"],
      jwksUri: `${issuer}/typed`,
      algorithms: ["ES256"],
      tokenTypes: ["at+jwt"],
      requiredClaims: ["sub", "jti", "client_id"],
    },
    { name: "other", issuer: "https://other.test", audiences: ["api"], jwksUri: `${issuer}/other` },
    { name: "pem", issuer: "https://pem.test", audiences: ["api"], publicKey: "pem.pem" },
    {
      name: "sealed",
      issuer: "https://sealed.test",
      audiences: ["api"],
      jwksUri: `${issuer}/main`,
      decryptionKey: "file:sealing.jwk",
    },
    {
      name: "sealed-ec",
      issuer: "https://sealed-ec.test",
      audiences: ["api"],
      jwksUri: `${issuer}/main`,
      decryptionKey: "file:sealing-ec.jwk",
    },
  ],
  routes: [
    ...["main", "typed", "pem", "sealed"].map((name) => ({
      name,
      match: { path: `/${name}/*` },
      issuers: [name],
      anyAuthenticated: true,
    })),
    {
      name: "both",
      match: { path: "/both/*" },
      issuers: ["main", "other"],
      anyAuthenticated: true,
    },
    {
      name: "mixed",
      match: { path: "/mixed/*" },
      issuers: ["main", "sealed", "sealed-ec"],
      anyAuthenticated: true,
    },
    {
      name: "staff",
      match: { path: "/staff/*" },
      issuers: ["main"],
      policies: [{ "require-roles": { anyOf: ["staff"] } }],
    },
    {
      name: "corp",
      match: { path: "/corp/*" },
      issuers: ["main"],
      policies: [{ "require-claim": { path: "email", matches: "[^@]+@corp\\.test" } }],
    },
    {
      name: "premium",
      match: { path: "/premium/*" },
      issuers: ["main"],
      policies: [{ "require-claim": { path: "org.verified", equals: true } }],
    },
  ].map((route) => ({
    ...route,
    upstream,
    identityHeaders: { "X-User": "sub", "X-Roles": "roles", "X-Level": "level" },
  })),
});

export type TokenGate = AsyncDisposable & {
  readonly gate: AttackGate;
  readonly upstream: RecordingUpstream;
  /** Connections to where tokens point; none may ever come. */
  readonly canary: { readonly url: string; connections: number };
  send(token: string, route?: string): Promise<RawAnswer>;
};

export const sealingEc = makeKey("P-256");

async function openTokenGate(): Promise<TokenGate> {
  const upstream = recordingUpstream();
  const canary = { url: "", connections: 0 };
  const trap = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        canary.connections++;
        socket.end();
      },
      data() {},
    },
  });
  canary.url = `http://127.0.0.1:${trap.port}`;
  const sets: Readonly<Record<string, object>> = {
    "/main": mainKeySet(),
    "/typed": {
      keys: [
        { ...keys.p256.jwk, kid: "p256" },
        { ...keys.rsa.jwk, kid: "rsa" },
      ],
    },
    // Another issuer's key under a `kid` that main uses too.
    "/other": { keys: [{ ...keys.other.jwk, kid: "rsa" }] },
  };
  const issuer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) => Response.json(sets[new URL(url).pathname]),
  });
  const jwkText = (key: ForgeKey) => JSON.stringify(key.privateKey.export({ format: "jwk" }));
  const gate = await openAttackGate(CONFIG(upstream.origin, issuer.url.origin), {
    "pem.pem": keys.pem.publicKey.export({ format: "pem", type: "spki" }).toString(),
    "sealing.jwk": jwkText(keys.sealing),
    "sealing-ec.jwk": jwkText(sealingEc),
  });
  return {
    gate,
    upstream,
    canary,
    send: (token, route = "main") =>
      shoot(gate, { target: `/${route}/orders`, lines: [bearer(token)] }),
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]();
      await issuer.stop(true);
      await upstream[Symbol.asyncDispose]();
      trap.stop(true);
    },
  };
}

/** Claims that hold on every route's issuer `main`; others are laid over. */
export function claims(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const usual = { iss: MAIN, aud: "api", sub: SUBJECT, iat: NOW - 10, exp: NOW + 300 };
  return { ...usual, ...changes };
}

/** Claims without some of the usual ones. */
export function claimsWithout(...names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(claims()).filter(([name]) => !names.includes(name)));
}

/** Signed well by main's key `rsa`, whatever header and payload say. */
export function signed(payload: Part, header: Part = { alg: "RS256", kid: "rsa" }): string {
  return forge(header, payload, keys.rsa, "RS256");
}

/**
 * One token and what becomes of it: 200 means that the upstream saw it, everything else that
 * it saw nothing. Built late: some need what the gate's set-up makes.
 */
export type TokenRow = readonly [
  name: string,
  build: (world: TokenGate) => string | Promise<string>,
  status: 200 | 401 | 403,
  code?: "token_invalid" | "token_expired" | "policy_denied" | undefined,
  route?: string,
];

/** Rows that are refused as `token_invalid`. */
export function invalid(
  name: string,
  build: TokenRow[1],
  route: string | undefined = undefined,
): TokenRow {
  return route === undefined
    ? [name, build, 401, "token_invalid"]
    : [name, build, 401, "token_invalid", route];
}

/** Rows that must pass: without them a gate that refuses everything would hold. */
export function holds(name: string, build: TokenRow[1], route?: string): TokenRow {
  return route === undefined ? [name, build, 200] : [name, build, 200, undefined, route];
}

/** Opens the gate for a file's tables, and closes it after them. */
export function useTokenGate(): {
  readonly fire: (rows: readonly TokenRow[]) => void;
  /** Within a test alone. */
  readonly world: () => TokenGate;
} {
  let world: TokenGate;
  const sent: string[] = [];
  beforeAll(async () => {
    world = await openTokenGate();
    // Keys are fetched behind the start.
    const usual = signed(claims());
    await untilStatus(200, () => world.send(usual));
    await untilStatus(200, () =>
      world.send(forge({ alg: "RS256", kid: "rsa" }, otherClaims(), keys.other, "RS256"), "both"),
    );
  });
  afterAll(async () => {
    await world[Symbol.asyncDispose]();
  });
  return {
    world: () => world,
    fire(rows) {
      for (const [name, build, status, code, route] of rows) {
        test(name, async () => {
          const token = await build(world);
          sent.push(token);
          const before = world.upstream.seen.length;
          const answer = await world.send(token, route);
          if (code === undefined) {
            expect([answer.status, answer.body]).toEqual([status, "upstream"]);
            expect(world.upstream.seen.length).toBe(before + 1);
          } else {
            expectDenied(world.gate, answer, status, code);
            expect(world.upstream.seen.length).toBe(before);
          }
        });
      }

      test("none of them led anywhere, or into the log", () => {
        expect(world.canary.connections).toBe(0);
        const segments = sent.flatMap((token) => token.split("."));
        expectDiscreet(world.gate, [...segments, ...segments.map(decoded), SUBJECT, "api-two"]);
      });
    },
  };
}

export function otherClaims(): Record<string, unknown> {
  return claims({ iss: "https://other.test" });
}

function decoded(segment: string): string {
  return Buffer.from(segment, "base64url").toString("utf8");
}
