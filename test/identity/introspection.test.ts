import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { IntrospectionConfig, IssuerConfig } from "../../src/config/resolved.ts";
import { openIntrospection } from "../../src/identity/introspection.ts";
import { createOpaqueVerifier } from "../../src/identity/introspection-verifier.ts";
import { createVerifier } from "../../src/identity/verify.ts";
import {
  configOf,
  createSigner,
  ISSUER,
  NOW,
  NOW_MS,
  openTestIssuer,
  outcome,
  payloadOf,
  type Signer,
  startKeyServer,
} from "./kit.ts";

const JWT = "application/token-introspection+jwt";
const OPAQUE = "2YotnFZFEjr1zCsicMWpAA";
const SECRET = "with:colon & more%";

type Asked = { readonly authorization: string | null; readonly body: URLSearchParams };

type Endpoint = AsyncDisposable & {
  readonly url: string;
  readonly asked: Asked[];
  answer: (asked: Asked) => Response | Promise<Response>;
};

function startEndpoint(answer: Endpoint["answer"]): Endpoint {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const body = new URLSearchParams(await request.text());
      const asked = { authorization: request.headers.get("authorization"), body };
      endpoint.asked.push(asked);
      return endpoint.answer(asked);
    },
  });
  const endpoint: Endpoint = {
    url: `${server.url.href}introspect`,
    asked: [],
    answer,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
  return endpoint;
}

const active = (more: object = {}) =>
  Response.json({ active: true, ...payloadOf({ scope: "read write" }), ...more });
const inactive = () => Response.json({ active: false });

/** An issuer that is asked at an endpoint of its own. */
async function openAsked(
  answer: Endpoint["answer"] = () => active(),
  more: Partial<IntrospectionConfig> = {},
  config: Partial<IssuerConfig> = {},
) {
  const endpoint = startEndpoint(answer);
  const introspection = {
    url: endpoint.url,
    clientId: "gate",
    clientSecret: SECRET,
    cacheMs: 30_000,
    ...more,
  };
  const opened = await openTestIssuer(configOf({ introspection, ...config }));
  return {
    ...opened,
    endpoint,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await endpoint[Symbol.asyncDispose]();
    },
  };
}

describe("an opaque token that its issuer says is active", () => {
  test("is a token with the issuer's, the answer's claims and a digest", async () => {
    await using issuer = await openAsked();
    const result = await issuer.verify(OPAQUE);
    expect(result).toMatchObject({
      ok: true,
      value: {
        issuer: ISSUER,
        issuerName: "main",
        subject: "alice",
        audience: ["api"],
        scopes: ["read", "write"],
        expiresAt: NOW + 300,
        digest: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      },
    });
    expect(result.ok && Object.hasOwn(result.value.claims, "active")).toBe(false);
  });

  test("was asked about with the gate's credentials, form-encoded first", async () => {
    await using issuer = await openAsked();
    await issuer.verify(OPAQUE);
    const [asked] = issuer.endpoint.asked;
    expect(atob(asked?.authorization?.replace("Basic ", "") ?? "")).toBe(
      "gate:with%3Acolon+%26+more%25",
    );
    expect(Object.fromEntries(asked?.body ?? [])).toEqual({
      token: OPAQUE,
      token_type_hint: "access_token",
    });
  });

  test("has the issuer's iss where the answer has none", async () => {
    await using issuer = await openAsked(() => active({ iss: undefined }));
    const result = await issuer.verify(OPAQUE);
    expect(result.ok && [result.value.issuer, result.value.claims.iss]).toEqual([ISSUER, ISSUER]);
  });
});

describe("what an active token must say", () => {
  test.each([
    ["another iss", { iss: "https://other.example" }, "issuer_unknown"],
    ["an iss that is no text", { iss: [ISSUER] }, "issuer_unknown"],
    ["no aud", { aud: undefined }, "audience_refused"],
    ["another aud", { aud: ["other"] }, "audience_mismatch"],
    ["no exp", { exp: undefined }, "time_refused"],
    ["an exp that is a text", { exp: String(NOW + 300) }, "time_refused"],
    ["an exp that has passed", { exp: NOW - 31 }, "token_expired"],
    ["an nbf to come", { nbf: NOW + 31 }, "not_yet_valid"],
    ["a life beyond maxLifetime", { iat: NOW, exp: NOW + 86_401 }, "lifetime_exceeded"],
    ["no sub", { sub: undefined }, "claim_missing"],
    ["a key it is bound to", { token_type: "DPoP" }, "token_kind_refused"],
    ["that it is a refresh token", { token_use: "refresh_token" }, "token_kind_refused"],
    ["nothing: it is not active", { active: false }, "token_inactive"],
  ])("not %s", async (_, more, reason) => {
    await using issuer = await openAsked(() => active(more));
    expect(outcome(await issuer.verify(OPAQUE))).toBe(reason);
  });

  test.each([
    ["an active that is a text", () => active({ active: "true" })],
    ["no active", () => active({ active: undefined })],
    ["a list", () => Response.json([{ active: true }])],
    ["no JSON", () => new Response("active", { headers: { "content-type": "application/json" } })],
    [
      "active twice",
      () =>
        new Response(`{"active":false,"active":true}`, {
          headers: { "content-type": "application/json" },
        }),
    ],
    ["a redirect", () => Response.redirect("http://127.0.0.1:1/elsewhere", 307)],
    ["a fault", () => new Response("", { status: 500 })],
    ["that the gate is nobody", () => Response.json({ error: "invalid_client" }, { status: 401 })],
    ["more than a megabyte", () => active({ pad: "x".repeat(1024 * 1024) })],
    ["a nest of lists", () => active({ deep: JSON.parse("[".repeat(40) + "]".repeat(40)) })],
  ])("an answer of %s closes the gate, and says so to the operator", async (_, answer) => {
    await using issuer = await openAsked(answer);
    const result = await issuer.verify(OPAQUE);
    expect(result).toMatchObject({
      ok: false,
      error: { code: "keys_unavailable", reason: "introspection_unavailable" },
    });
    expect(issuer.warnings).toContainEqual(
      expect.stringMatching(/^issuer main: the introspection endpoint is of no use: /),
    );
    expect(issuer.warnings.join()).not.toContain(OPAQUE);
  });

  test("one that does not come in time closes the gate", async () => {
    await using endpoint = startEndpoint(() => new Promise<Response>(() => undefined));
    await using issuer = await openTestIssuer(configOf());
    const introspection = { url: endpoint.url, clientId: "gate", cacheMs: 30_000 };
    const warnings: string[] = [];
    const asked = openIntrospection(
      { ...issuer.issuer.config, introspection },
      {
        keys: issuer.issuer.keys,
        fetch,
        now: () => NOW_MS,
        warn: (message) => warnings.push(message),
        timeoutMs: 50,
      },
    );
    expect(await asked.ask(OPAQUE)).toMatchObject({
      error: { reason: "introspection_unavailable" },
    });
    expect(warnings.join()).toContain("it does not answer in time");
  });

  test("an endpoint that nobody listens at closes the gate", async () => {
    await using issuer = await openAsked(undefined, { url: "http://127.0.0.1:1/introspect" });
    expect(outcome(await issuer.verify(OPAQUE))).toBe("introspection_unavailable");
  });
});

describe("a signed answer (RFC 9701)", () => {
  let signer: Signer;
  let keys: ReturnType<typeof startKeyServer>;
  beforeAll(async () => {
    signer = await createSigner("ES256");
    keys = startKeyServer(signer.publicJwk);
  });
  afterAll(() => keys[Symbol.asyncDispose]());

  const signedBy = async (by: Signer, more: object = {}, typ = "token-introspection+jwt") => {
    const token_introspection = { active: true, ...payloadOf() };
    const payload = { iss: ISSUER, aud: "gate", iat: NOW, token_introspection, ...more };
    const text = await by.sign(payload, { typ });
    return new Response(text, { headers: { "content-type": JWT } });
  };
  const open = (answer: Endpoint["answer"]) =>
    openAsked(answer, {}, { keys: { kind: "jwksUri", url: `${keys.url}/keys` } });

  test("by a key of the issuer is taken", async () => {
    await using issuer = await open(() => signedBy(signer));
    expect(outcome(await issuer.verify(OPAQUE))).toBe("ok");
  });

  test("by another key, to another client, of another type or issuer is not", async () => {
    const stranger = await createSigner("ES256");
    for (const answer of [
      () => signedBy(stranger),
      () => signedBy(signer, { aud: "other" }),
      () => signedBy(signer, { iss: "https://other.example" }),
      () => signedBy(signer, {}, "JWT"),
    ]) {
      await using issuer = await open(answer);
      expect(outcome(await issuer.verify(OPAQUE))).toBe("introspection_unavailable");
    }
  });
});

describe("what is remembered", () => {
  test("a good answer, for as long as cache, at once and as the same token", async () => {
    await using issuer = await openAsked();
    const first = await issuer.verify(OPAQUE);
    const again = issuer.verifier.verify(OPAQUE, NOW_MS + 29_999);
    expect(again).not.toBeInstanceOf(Promise);
    expect(again).toBe(first);
    expect(issuer.endpoint.asked).toHaveLength(1);
    issuer.endpoint.answer = inactive;
    expect(outcome(await issuer.verifier.verify(OPAQUE, NOW_MS + 30_000))).toBe("token_inactive");
  });

  test("never beyond the token's end", async () => {
    await using issuer = await openAsked(() => active({ exp: NOW + 10 }));
    await issuer.verify(OPAQUE);
    issuer.endpoint.answer = inactive;
    expect(outcome(await issuer.verifier.verify(OPAQUE, NOW_MS + 10_000))).toBe("token_inactive");
  });

  test("a clock that is set back does not make an answer hold longer", async () => {
    await using issuer = await openAsked();
    await issuer.verify(OPAQUE);
    await issuer.verifier.verify(OPAQUE, NOW_MS - 1);
    expect(issuer.endpoint.asked).toHaveLength(2);
  });

  test("a no, for ten seconds at most", async () => {
    await using issuer = await openAsked(inactive);
    await issuer.verify(OPAQUE);
    issuer.endpoint.answer = () => active();
    expect(outcome(await issuer.verifier.verify(OPAQUE, NOW_MS + 9_999))).toBe("token_inactive");
    expect(issuer.endpoint.asked).toHaveLength(1);
    expect(outcome(await issuer.verifier.verify(OPAQUE, NOW_MS + 10_000))).toBe("ok");
  });

  test("an outage, not at all; what is known goes on", async () => {
    await using issuer = await openAsked();
    await issuer.verify(OPAQUE);
    issuer.endpoint.answer = () => new Response("", { status: 503 });
    expect(outcome(await issuer.verify("another"))).toBe("introspection_unavailable");
    expect(outcome(await issuer.verify(OPAQUE))).toBe("ok");
    issuer.endpoint.answer = () => active();
    expect(outcome(await issuer.verify("another"))).toBe("ok");
  });

  test("nothing with cache: 0s", async () => {
    await using issuer = await openAsked(undefined, { cacheMs: 0 });
    await issuer.verify(OPAQUE);
    await issuer.verify(OPAQUE);
    expect(issuer.endpoint.asked).toHaveLength(2);
  });

  test("requests with the same new token share one question", async () => {
    await using issuer = await openAsked();
    const results = await Promise.all(Array.from({ length: 50 }, () => issuer.verify(OPAQUE)));
    expect(new Set(results.map(outcome))).toEqual(new Set(["ok"]));
    expect(issuer.endpoint.asked).toHaveLength(1);
  });
});

describe("whom is asked", () => {
  test("a token of three or five segments is a JWT, and nobody is", async () => {
    await using issuer = await openAsked();
    for (const credential of ["a.b.c", "a.b.c.d.e"]) {
      expect(outcome(await issuer.verify(credential))).not.toBe("ok");
    }
    expect(issuer.endpoint.asked).toHaveLength(0);
    for (const credential of ["a.b", "a.b.c.d", "a.b.c.d.e.f"]) {
      expect(outcome(await issuer.verify(credential))).toBe("ok");
    }
  });

  test("without introspection nobody is", async () => {
    await using issuer = await openTestIssuer(configOf());
    expect(outcome(await issuer.verify(OPAQUE))).toBe("segments_refused");
  });

  test("the route's issuers in order, until one knows the token", async () => {
    await using first = await openAsked(inactive);
    await using second = await openAsked();
    await using third = await openAsked();
    const verifier = createVerifier([first.issuer, second.issuer, third.issuer]);
    expect(outcome(await verifier.verify(OPAQUE, NOW_MS))).toBe("ok");
    expect([first, second, third].map(({ endpoint }) => endpoint.asked.length)).toEqual([1, 1, 0]);
  });

  test("one that cannot be asked closes the gate, unless another knows the token", async () => {
    await using broken = await openAsked(() => new Response("", { status: 500 }));
    await using working = await openAsked();
    const verifier = createVerifier([broken.issuer, working.issuer]);
    expect(outcome(await verifier.verify(OPAQUE, NOW_MS))).toBe("ok");
    working.endpoint.answer = inactive;
    expect(outcome(await verifier.verify("another", NOW_MS))).toBe("introspection_unavailable");
  });

  test("only so many at a time; who passed before has room of his own", async () => {
    const held = Promise.withResolvers<void>();
    await using issuer = await openAsked();
    const limits = { active: 10, refused: 10, underWay: 2 };
    const verifier = createOpaqueVerifier([issuer.issuer], limits);
    if (verifier === undefined) throw new Error("no verifier");
    await verifier.verify(OPAQUE, NOW_MS);
    issuer.endpoint.answer = async () => {
      await held.promise;
      return active();
    };
    const laterMs = NOW_MS + 40_000;
    const waiting = ["one", "two"].map((credential) => verifier.verify(credential, laterMs));
    expect(outcome(await verifier.verify("three", laterMs))).toBe("introspection_busy");
    const known = verifier.verify(OPAQUE, laterMs);
    held.resolve();
    expect((await Promise.all([...waiting, known])).map(outcome)).toEqual(["ok", "ok", "ok"]);
  });
});
