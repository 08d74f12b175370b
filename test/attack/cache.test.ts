/** A token that was verified once is never let through where it would not be verified now. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import {
  type AttackGate,
  bearer,
  expectDenied,
  NOW,
  openAttackGate,
  shoot,
  untilStatus,
} from "./attack-gate.ts";
import { forge, makeKey } from "./forge.ts";

const key = makeKey("P-256");
const otherKey = makeKey("P-256");

let upstream: RecordingUpstream;
let issuer: Bun.Server<undefined>;
let gate: AttackGate;

beforeAll(async () => {
  upstream = recordingUpstream();
  issuer = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) =>
      Response.json({
        // The same kid at both.
        keys: [{ ...(url.endsWith("/other") ? otherKey.jwk : key.jwk), kid: "one" }],
      }),
  });
  const jwksUri = `${issuer.url.origin}/main`;
  // One provider, configured as several issuers with different demands.
  const iss = "https://main.test";
  const issuers = [
    { name: "api", issuer: iss, audiences: ["api"], jwksUri },
    { name: "billing", issuer: iss, audiences: ["billing"], jwksUri },
    { name: "typed", issuer: iss, audiences: ["api"], jwksUri, tokenTypes: ["at+jwt"] },
    { name: "rs", issuer: iss, audiences: ["api"], jwksUri, algorithms: ["RS256"] },
    { name: "short", issuer: iss, audiences: ["api"], jwksUri, maxLifetime: "1m" },
    { name: "strict", issuer: iss, audiences: ["api"], jwksUri, requiredClaims: ["sub", "jti"] },
    { name: "mapped", issuer: iss, audiences: ["api"], jwksUri, claims: { roles: "realm.roles" } },
    {
      name: "other",
      issuer: "https://other.test",
      audiences: ["api"],
      jwksUri: `${issuer.url.origin}/other`,
    },
  ];
  const routes = [
    ...issuers.map(({ name }) => ({ name, issuers: [name], anyAuthenticated: true })),
    { name: "staff", issuers: ["api"], policies: [{ "require-roles": { anyOf: ["staff"] } }] },
    {
      name: "mapped-staff",
      issuers: ["mapped"],
      policies: [{ "require-roles": { anyOf: ["staff"] } }],
    },
  ].map((route) => ({
    ...route,
    match: { path: `/${route.name}/*` },
    upstream: upstream.origin,
    identityHeaders: { "X-User": "sub", "X-Roles": "roles" },
  }));
  gate = await openAttackGate({ issuers, routes });
  for (const name of ["api", "billing", "typed", "short", "strict", "mapped"]) {
    const token = mint({ aud: ["api", "billing"], jti: "0" }, { typ: "at+jwt" });
    await untilStatus(200, () => send(name, token));
  }
  await untilStatus(200, () =>
    send(
      "other",
      forge(
        { alg: "ES256", kid: "one" },
        { ...CLAIMS, iss: "https://other.test" },
        otherKey,
        "ES256",
      ),
    ),
  );
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await issuer.stop(true);
  await upstream[Symbol.asyncDispose]();
});

beforeEach(() => {
  gate.clock.nowMs = NOW * 1000;
});

const CLAIMS = { iss: "https://main.test", aud: "api", sub: "alice", iat: NOW - 5, exp: NOW + 50 };

function mint(claims: object = {}, header: object = {}): string {
  return forge({ alg: "ES256", kid: "one", ...header }, { ...CLAIMS, ...claims }, key, "ES256");
}

function send(route: string, token: string) {
  return shoot(gate, { target: `/${route}/x`, lines: [bearer(token)] });
}

async function expectPassed(route: string, token: string): Promise<void> {
  const before = upstream.seen.length;
  expect((await send(route, token)).status).toBe(200);
  expect(upstream.seen.length).toBe(before + 1);
}

async function expectRefused(route: string, token: string, code = "token_invalid"): Promise<void> {
  const before = upstream.seen.length;
  const status = code === "policy_denied" ? 403 : 401;
  expectDenied(gate, await send(route, token), status, code);
  expect(upstream.seen.length).toBe(before);
}

describe("one token on two routes that demand different things", () => {
  const PAIRS: readonly (readonly [
    demand: string,
    where: string,
    claims: object,
    header: object,
  ])[] = [
    ["another audience", "billing", {}, {}],
    ["another issuer", "other", {}, {}],
    ["a type", "typed", {}, {}],
    ["another algorithm", "rs", {}, {}],
    ["a shorter life", "short", { exp: NOW + 300 }, {}],
    ["another claim", "strict", {}, {}],
  ];
  test.each([...PAIRS])("%s, after it passed", async (demand, where, claims, header) => {
    const token = mint({ ...claims, for: `${demand}, after` }, header);
    await expectPassed("api", token);
    await expectPassed("api", token);
    await expectRefused(where, token);
    await expectRefused(where, token);
    await expectPassed("api", token);
  });

  test.each([...PAIRS])("%s, before it passes", async (demand, where, claims, header) => {
    const token = mint({ ...claims, for: `${demand}, before` }, header);
    await expectRefused(where, token);
    await expectPassed("api", token);
    await expectRefused(where, token);
  });

  test("claims that one issuer maps are not another's", async () => {
    const token = mint({ roles: ["staff"], realm: { roles: ["guest"] } });
    await expectPassed("staff", token);
    await expectRefused("mapped-staff", token, "policy_denied");
    await expectPassed("staff", token);
    await expectPassed("mapped", token);
    expect(upstream.seen.at(-1)?.headers.get("x-roles")).toBe("guest");
    await expectPassed("api", token);
    expect(upstream.seen.at(-1)?.headers.get("x-roles")).toBe("staff");
  });

  test("a route without policies says nothing for one with them", async () => {
    const token = mint({ roles: ["guest"] });
    await expectPassed("api", token);
    await expectRefused("staff", token, "policy_denied");
  });
});

describe("time passes for what is cached", () => {
  test("expiry", async () => {
    const token = mint({ for: "expiry" });
    await expectPassed("api", token);
    gate.clock.nowMs = (NOW + 50 + 29) * 1000;
    await expectPassed("api", token);
    gate.clock.nowMs = (NOW + 50 + 30) * 1000;
    await expectRefused("api", token, "token_expired");
    gate.clock.nowMs = (NOW + 50_000) * 1000;
    await expectRefused("api", token, "token_expired");
  });

  test("a token that is not yet good becomes good", async () => {
    const token = mint({ nbf: NOW + 100, exp: NOW + 600 });
    await expectRefused("api", token);
    gate.clock.nowMs = (NOW + 60) * 1000;
    await expectRefused("api", token);
    gate.clock.nowMs = (NOW + 70) * 1000;
    await expectPassed("api", token);
  });

  test("a token that lives too long from now becomes good", async () => {
    const token = mint({ iat: undefined, exp: NOW + 200 });
    await expectRefused("short", token);
    gate.clock.nowMs = (NOW + 150) * 1000;
    await expectPassed("short", token);
  });

  test("a clock that goes back makes no cached token good before its time", async () => {
    const token = mint({ iat: NOW + 100, exp: NOW + 600 });
    gate.clock.nowMs = (NOW + 100) * 1000;
    await expectPassed("api", token);
    gate.clock.nowMs = NOW * 1000;
    await expectRefused("api", token);
  });
});

describe("tokens that are nearly the same", () => {
  test("one character of the signature", async () => {
    const token = mint({ for: "signature" });
    await expectPassed("api", token);
    const at = token.length - 20;
    const other = token[at] === "A" ? "B" : "A";
    await expectRefused("api", token.slice(0, at) + other + token.slice(at + 1));
    await expectPassed("api", token);
  });

  test("the payload under a cached signature", async () => {
    const [header, , signature] = mint({ for: "payload" }).split(".");
    const [, payload] = mint({ sub: "root" }).split(".");
    await expectPassed("api", mint({ for: "payload" }));
    await expectRefused("api", `${header}.${payload}.${signature}`);
  });

  test("the case of a character", async () => {
    const token = mint({ for: "case" });
    await expectPassed("api", token);
    await expectRefused("api", token.slice(0, -5) + flipCase(token.slice(-5)));
    await expectRefused("api", token.toLowerCase());
  });

  test("one that was refused, mended", async () => {
    const token = mint({ for: "mended" });
    await expectRefused("api", `${token}A`);
    await expectRefused("api", token.slice(0, -4));
    await expectPassed("api", token);
  });

  test("subjects do not mix under load", async () => {
    const subjects = Array.from({ length: 40 }, (_, at) => `user-${at}`);
    const tokens = subjects.map((sub) => mint({ sub, roles: [sub] }));
    const before = upstream.seen.length;
    const shots = [...tokens, ...tokens, ...tokens].map((token, at) =>
      shoot(gate, { target: `/api/${subjects[at % 40]}`, lines: [bearer(token)] }),
    );
    expect((await Promise.all(shots)).map(({ status }) => status)).toEqual(shots.map(() => 200));
    const mixed = upstream.seen.slice(before).filter(({ target, headers }) => {
      const subject = target.slice("/api/".length);
      return headers.get("x-user") !== subject || headers.get("x-roles") !== subject;
    });
    expect(mixed).toEqual([]);
  });
});

function flipCase(text: string): string {
  return text.replace(/[A-Za-z]/g, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
}
