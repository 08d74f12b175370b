/**
 * What the tables of requests are fired at: a gate whose routes lie close beside each other
 * (public and guarded ones above all), and a recording upstream behind all of them.
 *
 * @module
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type RawAnswer, rawRequest } from "../support/raw-request.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import {
  type AttackGate,
  bearer,
  expectDenied,
  NOW,
  openAttackGate,
  type Shot,
  shoot,
  untilStatus,
} from "./attack-gate.ts";
import { forge, makeKey } from "./forge.ts";

const key = makeKey("P-256");

/** A token that holds on every guarded route. */
export function token(changes: Readonly<Record<string, unknown>> = {}): string {
  const usual = { iss: "https://main.test", aud: "api", sub: "alice-3f9c1d", exp: NOW + 300 };
  return forge({ alg: "ES256", kid: "p256" }, { ...usual, ...changes }, key, "ES256");
}

const MAX_BODY_BYTES = 1024;

const CONFIG = (upstream: string, jwksUri: string) => ({
  http: { maxBodySize: `${MAX_BODY_BYTES}B` },
  issuers: [{ name: "main", issuer: "https://main.test", audiences: ["api"], jwksUri }],
  routes: [
    { name: "public", match: { path: "/public/*" }, public: true },
    { name: "admin", match: { path: "/admin/*" }, anyAuthenticated: true },
    { name: "admin-exact", match: { path: "/exact" }, anyAuthenticated: true },
    { name: "loose", match: { path: "/loose/*" }, public: true, ambiguousPaths: "allow" },
    {
      name: "loose-admin",
      match: { path: "/loose/admin/*" },
      anyAuthenticated: true,
      ambiguousPaths: "allow",
    },
    { name: "strip", match: { path: "/strip/*" }, stripPrefix: "/strip", public: true },
    { name: "get", match: { path: "/get/*", methods: ["GET"] }, public: true },
    { name: "delete", match: { path: "/get/*", methods: ["DELETE"] }, anyAuthenticated: true },
    { name: "hosted-any", match: { path: "/hosted/*" }, public: true },
    { name: "hosted", match: { host: "secret.test", path: "/hosted/*" }, anyAuthenticated: true },
    { name: "wild", match: { host: "*.wild.test", path: "/hosted/*" }, anyAuthenticated: true },
    { name: "all", match: { host: "all.test", path: "/*" }, anyAuthenticated: true },
    { name: "all-public", match: { host: "all.test", path: "/public/*" }, public: true },
    {
      name: "network",
      match: { path: "/network/*" },
      policies: [{ "client-network": { allow: ["10.0.0.0/8"] } }],
    },
    place("cookie", [{ cookie: "access" }]),
    place("named", [{ header: "X-Token" }]),
    place("query", [{ query: "access_token" }]),
    place("places", [
      "header",
      { header: "X-Token" },
      { cookie: "access" },
      { query: "access_token" },
    ]),
    { ...place("kept", ["header"]), forwardToken: true },
  ].map((route) => ({
    ...route,
    upstream,
    identityHeaders: { "X-User": "sub", "X-Roles": "roles", "X-Email": "email" },
  })),
});

function place(
  name: string,
  credentials: readonly (string | object)[],
): {
  name: string;
  match: { path: string };
  credentials: readonly (string | object)[];
  anyAuthenticated: boolean;
} {
  return { name, match: { path: `/${name}/*` }, credentials, anyAuthenticated: true };
}

export type RequestGate = AsyncDisposable & {
  readonly gate: AttackGate;
  readonly upstream: RecordingUpstream;
};

async function openRequestGate(): Promise<RequestGate> {
  const upstream = recordingUpstream();
  const jwks = { keys: [{ ...key.jwk, kid: "p256" }] };
  const issuer = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(jwks) });
  const gate = await openAttackGate(CONFIG(upstream.origin, issuer.url.href));
  await untilStatus(200, () => shoot(gate, { target: "/admin/", lines: [bearer(token())] }));
  upstream.seen.length = 0;
  return {
    gate,
    upstream,
    async [Symbol.asyncDispose]() {
      await gate[Symbol.asyncDispose]();
      await issuer.stop(true);
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/**
 * One request and its refusal, of which the upstream sees nothing. Without a code the answer
 * is Bun's own: its parser knows a bare status and nothing of ours. Status 0 is a connection
 * that ends without a word.
 */
export type Refused = readonly [
  name: string,
  request: Shot | string | readonly string[],
  status: number,
  code?: string,
];

/** One request that passes, and the target that the upstream sees. */
export type Passed = readonly [name: string, request: Shot | string, target: string];

export function malformed(name: string, request: Refused[1]): Refused {
  return [name, request, 400, "request_malformed"];
}

export function bare(name: string, request: Refused[1], status = 400): Refused {
  return [name, request, status];
}

/** Opens the gate for a file's tables, and closes it after them. */
export function useRequestGate(): {
  readonly refuse: (rows: readonly Refused[]) => void;
  readonly pass: (rows: readonly Passed[]) => void;
  /** Within a test alone. */
  readonly world: () => RequestGate;
} {
  let world: RequestGate;
  beforeAll(async () => {
    world = await openRequestGate();
  });
  afterAll(async () => {
    await world[Symbol.asyncDispose]();
  });
  const fire = (request: Refused[1]): Promise<RawAnswer> => {
    const { port } = world.gate;
    if (typeof request === "string") return rawRequest(port, request);
    return isShot(request) ? shoot(world.gate, request) : rawRequest(port, request);
  };
  return {
    world: () => world,
    refuse(rows) {
      for (const [name, request, status, code] of rows) {
        test(name, async () => {
          const before = world.upstream.seen.length;
          const answer = await fire(request);
          if (code === undefined) {
            expect([answer.status, answer.body]).toEqual([status, ""]);
          } else {
            expectDenied(world.gate, answer, status, code);
          }
          expect(world.upstream.seen.slice(before)).toEqual([]);
        });
      }
    },
    pass(rows) {
      for (const [name, request, target] of rows) {
        test(name, async () => {
          const before = world.upstream.seen.length;
          const answer = await fire(request);
          expect([answer.status, answer.body]).toEqual([200, "upstream"]);
          const seen = world.upstream.seen.slice(before);
          expect(seen.map((one) => one.target)).toEqual([target]);
          expect(seen[0]?.headers.get("x-request-id")).toBe(answer.headers["x-request-id"] ?? "");
        });
      }
    },
  };
}

function isShot(request: Exclude<Refused[1], string>): request is Shot {
  return !Array.isArray(request);
}
