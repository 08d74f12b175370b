import { afterAll, describe, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { CompactEncrypt } from "jose";
import type { IssuerConfig } from "../../src/config/resolved.ts";
import type { Issuer } from "../../src/identity/issuers.ts";
import { digestToken } from "../../src/identity/token-digest.ts";
import { createVerifier } from "../../src/identity/verify.ts";
import { tempFolder } from "../support/temp-folder.ts";
import {
  base64url,
  configOf,
  createSigner,
  ISSUER,
  NOW,
  NOW_MS,
  openTestIssuer,
  outcome,
  payloadOf,
  startKeyServer,
  until,
} from "./kit.ts";

const es = await createSigner("ES256");
const rs = await createSigner("RS256");
const other = await createSigner("ES256", "other");
const server = startKeyServer(es.publicJwk, rs.publicJwk);
afterAll(() => server[Symbol.asyncDispose]());

const at = (url: string, more: Partial<IssuerConfig> = {}) =>
  configOf({ keys: { kind: "jwksUri", url: `${url}/keys` }, ...more });

/** What a fresh issuer makes of a token. */
async function verdict(token: string, more: Partial<IssuerConfig> = {}): Promise<string> {
  await using opened = await openTestIssuer(at(server.url, more));
  return outcome(await opened.verify(token));
}

describe("verify(): a good token", () => {
  test("how long an RSA key is that signed it", async () => {
    await using opened = await openTestIssuer(at(server.url));
    const tokens = [await rs.sign(payloadOf()), await rs.sign(payloadOf({ jti: "t2" }))];
    const [one, other] = await Promise.all(tokens.map((token) => opened.verify(token)));
    const signedBy = { kid: "RS256-1", rsaBits: 2048 };
    expect(one).toMatchObject({ ok: true, value: { signedBy } });
    // The same object for all of its tokens: there are many.
    if (one?.ok && other?.ok) expect(one.value.signedBy).toBe(other.value.signedBy as object);
  });

  test("in normal form", async () => {
    const token = await es.sign(
      payloadOf({
        aud: ["x", "api"],
        jti: "t1",
        nbf: NOW,
        scope: "read write",
        roles: "admin",
        n: { a: [1] },
      }),
      { typ: "at+jwt" },
    );
    await using opened = await openTestIssuer(at(server.url, { claims: { level: "n.a" } }));
    const result = await opened.verify(token);
    expect(result).toEqual({
      ok: true,
      value: {
        issuer: ISSUER,
        issuerName: "main",
        subject: "alice",
        audience: ["x", "api"],
        id: "t1",
        issuedAt: NOW,
        expiresAt: NOW + 300,
        scopes: ["read", "write"],
        claims: {
          iss: ISSUER,
          aud: ["x", "api"],
          sub: "alice",
          iat: NOW,
          exp: NOW + 300,
          jti: "t1",
          nbf: NOW,
          scope: "read write",
          scopes: ["read", "write"],
          roles: ["admin"],
          n: { a: [1] },
          level: [1],
        },
        digest: digestToken(token),
        signedBy: { kid: "ES256-1" },
      },
    });
    if (!result.ok) return;
    for (const part of [
      result.value,
      result.value.claims,
      result.value.audience,
      result.value.claims.n,
    ]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test.each("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519".split(" "))(
    "signed with %s",
    async (alg) => {
      const signer = await createSigner(alg);
      await using own = startKeyServer(signer.publicJwk);
      await using opened = await openTestIssuer(at(own.url));
      expect(outcome(await opened.verify(await signer.sign(payloadOf())))).toBe("ok");
      expect(outcome(await opened.verify(await signer.sign(payloadOf(), { alg: "ES256K" })))).toBe(
        "algorithm_refused",
      );
    },
  );

  test("EdDSA in the token, Ed25519 in the key", async () => {
    const signer = await createSigner("Ed25519");
    await using own = startKeyServer(signer.publicJwk);
    await using opened = await openTestIssuer(at(own.url));
    expect(outcome(await opened.verify(await signer.sign(payloadOf(), { alg: "EdDSA" })))).toBe(
      "ok",
    );
  });

  test("without sub, where none is required", async () => {
    const { sub: _, ...payload } = payloadOf();
    const token = await es.sign(payload);
    expect(await verdict(token)).toBe("claim_missing");
    expect(await verdict(token, { requiredClaims: [] })).toBe("ok");
  });
});

describe("verify(): refused", () => {
  test.each<[string, () => string | Promise<string>]>([
    ["token_too_long", () => "a".repeat(16_385)],
    ["characters_refused", () => ""],
    ["segments_refused", () => "opaque"],
    ["encoding_refused", async () => `${await es.sign(payloadOf())}=`],
    [
      "member_duplicate",
      () => es.signRaw('{"alg":"ES256","alg":"none","kid":"ES256-1"}', JSON.stringify(payloadOf())),
    ],
    [
      "member_duplicate",
      () =>
        es.signRaw(
          '{"alg":"ES256","kid":"ES256-1"}',
          JSON.stringify(payloadOf()).replace("{", '{"s\\u0075b":"root",'),
        ),
    ],
    ["utf8_refused", () => es.signRaw('{"alg":"ES256"}', `\ufeff${JSON.stringify(payloadOf())}`)],
    ["json_refused", () => es.signRaw('{"alg":"ES256"}', JSON.stringify([payloadOf()]))],
    ["header_member_refused", () => es.sign(payloadOf(), { jwk: es.publicJwk })],
    ["header_member_refused", () => es.sign(payloadOf(), { crit: ["x"], x: 1 })],
    ["algorithm_refused", () => es.sign(payloadOf(), { alg: "none" })],
    [
      "algorithm_refused",
      () => `${base64url('{"alg":"none"}')}.${base64url(JSON.stringify(payloadOf()))}.`,
    ],
    ["kid_refused", () => es.sign(payloadOf(), { kid: 1 })],
    ["type_refused", () => es.sign(payloadOf(), { typ: "logout+jwt" })],
    ["issuer_refused", () => es.sign(payloadOf({ iss: undefined }))],
    ["issuer_refused", () => es.sign(payloadOf({ iss: [ISSUER] }))],
    ["issuer_unknown", () => es.sign(payloadOf({ iss: `${ISSUER}/` }))],
    ["issuer_unknown", () => es.sign(payloadOf({ iss: ISSUER.toUpperCase() }))],
    ["key_unknown", () => es.sign(payloadOf(), { kid: "nobody" })],
    ["key_unfit", () => es.sign(payloadOf(), { kid: "RS256-1" })],
    ["key_unfit", () => rs.sign(payloadOf(), { alg: "PS256" })],
    ["signature_invalid", () => other.sign(payloadOf(), { kid: "ES256-1" })],
    ["signature_invalid", async () => (await es.sign(payloadOf())).replace(/[^.]+$/, "")],
    [
      "signature_invalid",
      async () => (await es.sign(payloadOf())).replace(/[^.]+$/, base64url(Buffer.alloc(64))),
    ],
    ["audience_refused", () => es.sign(payloadOf({ aud: undefined }))],
    ["audience_mismatch", () => es.sign(payloadOf({ aud: ["other"] }))],
    ["subject_refused", () => es.sign(payloadOf({ sub: 7 }))],
    ["id_refused", () => es.sign(payloadOf({ jti: 7 }))],
    ["time_refused", () => es.sign(payloadOf({ exp: undefined }))],
    ["time_refused", () => es.sign(payloadOf({ exp: String(NOW + 300) }))],
    ["claim_missing", () => es.sign(payloadOf({ sub: undefined }))],
    ["issued_in_future", () => es.sign(payloadOf({ iat: NOW + 31 }))],
    ["not_yet_valid", () => es.sign(payloadOf({ nbf: NOW + 31 }))],
    ["lifetime_exceeded", () => es.sign(payloadOf({ exp: NOW + 86_401 }))],
    ["token_expired", () => es.sign(payloadOf({ iat: NOW - 400, exp: NOW - 100 }))],
    // Expiry is told only of a token that is right in all else.
    [
      "audience_mismatch",
      () => es.sign(payloadOf({ iat: NOW - 400, exp: NOW - 100, aud: "other" })),
    ],
    [
      "signature_invalid",
      () => other.sign(payloadOf({ iat: NOW - 400, exp: NOW - 100 }), { kid: "ES256-1" }),
    ],
    ["claim_missing", () => es.sign(payloadOf({ iat: NOW - 400, exp: NOW - 100, sub: undefined }))],
    ["encryption_unexpected", () => "e30.AAAA.AAAA.AAAA.AAAA"],
  ])("%s", async (reason, makeToken) => {
    const token = await makeToken();
    await using opened = await openTestIssuer(at(server.url));
    const result = await opened.verify(token);
    if (result.ok) throw new Error("it was accepted");
    expect(result.error.reason).toBe(reason);
    expect(result.error.code).toBe(reason === "token_expired" ? "token_expired" : "token_invalid");
    expect(result.error.detail).toMatch(/^[^\n]+[^.\n]$/);
    for (const secret of ["alice", "root", "other", "nobody", ISSUER]) {
      expect(result.error.detail).not.toContain(secret);
    }
    // Also from the cache, whatever there is in it.
    expect(outcome(await opened.verify(token))).toBe(reason);
  });

  test.each("HS256 HS384 HS512".split(" "))("%s with the public key as its secret", async (alg) => {
    const pem = createPublicKey(rs.privatePem).export({ format: "pem", type: "spki" }).toString();
    for (const secret of [pem, pem.trim(), JSON.stringify(rs.publicJwk)]) {
      const input = `${base64url(JSON.stringify({ alg, kid: rs.kid }))}.${base64url(JSON.stringify(payloadOf()))}`;
      const mac = new Bun.CryptoHasher(`sha${alg.slice(2)}` as "sha256", secret)
        .update(input)
        .digest();
      expect(await verdict(`${input}.${base64url(mac)}`)).toBe("algorithm_refused");
    }
  });

  test("a token without kid, where two keys fit its alg", async () => {
    const second = await createSigner("ES256", "second");
    await using own = startKeyServer(es.publicJwk, second.publicJwk);
    await using opened = await openTestIssuer(at(own.url));
    const payload = JSON.stringify(payloadOf());
    expect(outcome(await opened.verify(await es.signRaw('{"alg":"ES256"}', payload)))).toBe(
      "key_ambiguous",
    );
  });

  test("a required claim that is null, or gone by mapping", async () => {
    const token = await es.sign(payloadOf({ tenant: null, roles: ["a"] }));
    expect(await verdict(token, { requiredClaims: ["tenant"] })).toBe("claim_missing");
    expect(await verdict(token, { requiredClaims: ["toString"] })).toBe("claim_missing");
    expect(
      await verdict(token, { requiredClaims: ["roles"], claims: { roles: "realm.roles" } }),
    ).toBe("claim_missing");
    expect(await verdict(token, { requiredClaims: ["roles"] })).toBe("ok");
  });
});

describe("verify(): keys", () => {
  test("no keys at all close this issuer's tokens alone", async () => {
    await using down = startKeyServer();
    down.answers.set("/keys", () => new Response("no", { status: 500 }));
    await using broken = await openTestIssuer(
      at(down.url, { name: "broken", issuer: "https://broken.example" }),
    );
    await using working = await openTestIssuer(at(server.url));
    const verifier = createVerifier([broken.issuer, working.issuer]);
    const toBroken = await es.sign(payloadOf({ iss: "https://broken.example" }));
    expect(await verifier.verify(toBroken, NOW_MS)).toMatchObject({
      ok: false,
      error: { code: "keys_unavailable", reason: "keys_unavailable" },
    });
    expect(outcome(await verifier.verify(await es.sign(payloadOf()), NOW_MS))).toBe("ok");
    down.publish(es.publicJwk);
    broken.clock.nowMs += 10_000;
    expect(outcome(await verifier.verify(toBroken, NOW_MS))).toBe("ok");
  });

  test("a rotated key is accepted at once, then after the cooldown", async () => {
    await using own = startKeyServer(es.publicJwk);
    await using opened = await openTestIssuer(at(own.url));
    expect(outcome(await opened.verify(await es.sign(payloadOf())))).toBe("ok");
    own.publish(other.publicJwk);
    expect(outcome(await opened.verify(await other.sign(payloadOf())))).toBe("ok");
    const third = await createSigner("ES256", "third");
    own.publish(third.publicJwk);
    const token = await third.sign(payloadOf());
    expect(outcome(await opened.verify(token))).toBe("key_unknown");
    opened.clock.nowMs += 9_999;
    expect(outcome(await opened.verify(token))).toBe("key_unknown");
    opened.clock.nowMs += 1;
    expect(outcome(await opened.verify(token))).toBe("ok");
  });

  test("a flood of unknown kids causes one fetch every 10 s, and good tokens pass meanwhile", async () => {
    await using own = startKeyServer(es.publicJwk);
    await using opened = await openTestIssuer(at(own.url));
    const good = await es.sign(payloadOf());
    expect(outcome(await opened.verify(good))).toBe("ok");
    expect(own.requests).toHaveLength(1);
    own.answers.set("/keys", () => new Response("no", { status: 500 }));
    const [, payload, signature] = good.split(".");
    for (let round = 1; round <= 3; round++) {
      const tokens = Array.from({ length: 1_000 }, (_, index) =>
        [
          base64url(JSON.stringify({ alg: "ES256", kid: `${round}-${index}` })),
          payload,
          signature,
        ].join("."),
      );
      const outcomes = await Promise.all(tokens.map(opened.verify));
      expect(new Set(outcomes.map(outcome))).toEqual(new Set(["key_unknown"]));
      expect(own.requests).toHaveLength(1 + round);
      expect(outcome(await opened.verify(good))).toBe("ok");
      opened.clock.nowMs += 10_000;
    }
  });

  test("an unknown issuer causes no fetch", async () => {
    await using own = startKeyServer(es.publicJwk);
    await using opened = await openTestIssuer(at(own.url));
    await until(() => opened.issuer.keys.current() !== undefined);
    const token = await other.sign(payloadOf({ iss: own.url }), { kid: "unknown" });
    expect(outcome(await opened.verify(token))).toBe("issuer_unknown");
    expect(own.requests).toHaveLength(1);
  });

  test("keys of one issuer are not another's, even with the same kid", async () => {
    const twin = await createSigner("ES256", es.kid);
    await using evil = startKeyServer(twin.publicJwk);
    await using a = await openTestIssuer(
      at(evil.url, { name: "evil", issuer: "https://evil.example" }),
    );
    await using b = await openTestIssuer(at(server.url));
    const verifier = createVerifier([a.issuer, b.issuer]);
    const own = await twin.sign(payloadOf({ iss: "https://evil.example" }));
    expect(outcome(await verifier.verify(own, NOW_MS))).toBe("ok");
    expect(outcome(await verifier.verify(await twin.sign(payloadOf()), NOW_MS))).toBe(
      "signature_invalid",
    );
  });

  test("a key without a name that rotates is found by its signature", async () => {
    const nameless = ({ publicJwk: { kid: _, ...jwk } }: typeof es) => jwk;
    await using own = startKeyServer(nameless(es));
    await using opened = await openTestIssuer(at(own.url));
    const signed = (signer: typeof es) =>
      signer.signRaw('{"alg":"ES256"}', JSON.stringify(payloadOf()));
    expect(outcome(await opened.verify(await signed(es)))).toBe("ok");
    own.publish(nameless(other));
    expect(outcome(await opened.verify(await signed(other)))).toBe("ok");
    expect(outcome(await opened.verify(await signed(es)))).toBe("signature_invalid");
  });

  test("a PEM key fits any kid", async () => {
    const pem = createPublicKey(es.privatePem).export({ format: "pem", type: "spki" }).toString();
    await using files = await tempFolder({ "key.pem": pem });
    const keys = { kind: "publicKey", file: join(files.path, "key.pem") } as const;
    await using opened = await openTestIssuer(configOf({ keys }));
    for (const kid of ["any", "other", ""]) {
      expect(outcome(await opened.verify(await es.sign(payloadOf(), { kid })))).toBe("ok");
    }
  });
});

describe("verify(): the second time", () => {
  test("is synchronous and the same object", async () => {
    await using opened = await openTestIssuer(at(server.url));
    const token = await es.sign(payloadOf());
    const first = await opened.verify(token);
    const second = opened.verifier.verify(token, NOW_MS + 1_000);
    expect(second).toBe(first);
  });

  test("judges by the moment", async () => {
    await using opened = await openTestIssuer(at(server.url));
    const token = await es.sign(payloadOf({ nbf: NOW }));
    expect(outcome(await opened.verify(token))).toBe("ok");
    const later = (seconds: number) => {
      const result = opened.verifier.verify(token, NOW_MS + seconds * 1_000);
      if (result instanceof Promise) throw new Error("it was not known");
      return outcome(result);
    };
    expect(later(329.9)).toBe("ok");
    expect(later(330)).toBe("token_expired");
    expect(later(-31)).toBe("issued_in_future");
    expect(later(0)).toBe("ok");
  });

  test("checks again once the keys are others or have aged", async () => {
    await using own = startKeyServer(es.publicJwk, other.publicJwk);
    await using opened = await openTestIssuer(at(own.url));
    const token = await es.sign(payloadOf());
    expect(outcome(await opened.verify(token))).toBe("ok");
    own.publish(other.publicJwk);
    await opened.issuer.keys.refetch();
    expect(outcome(await opened.verify(token))).toBe("key_unknown");
    own.publish(es.publicJwk);
    opened.clock.nowMs += 10_000;
    expect(outcome(await opened.verify(token))).toBe("ok");

    own.answers.set("/keys", () => new Response("no", { status: 500 }));
    opened.clock.nowMs += 600_000 + 3_600_000;
    expect(outcome(await opened.verifier.verify(token, NOW_MS))).toBe("keys_unavailable");
  });

  test("another verifier asks for what it requires", async () => {
    await using one = await openTestIssuer(at(server.url));
    await using two = await openTestIssuer(at(server.url, { audiences: ["admin-api"] }));
    const token = await es.sign(payloadOf());
    expect(outcome(await one.verify(token))).toBe("ok");
    expect(outcome(await two.verify(token))).toBe("audience_mismatch");
    expect(outcome(await one.verify(token))).toBe("ok");
  });

  test("a lasting failure is known for a while, a passing one is not", async () => {
    await using opened = await openTestIssuer(at(server.url));
    const foreign = await es.sign(payloadOf({ aud: "other" }));
    const first = await opened.verify(foreign);
    expect(opened.verifier.verify(foreign, NOW_MS + 9_999)).toBe(first);
    expect(opened.verifier.verify(foreign, NOW_MS + 10_000)).toBeInstanceOf(Promise);
    for (const passing of [{ nbf: NOW + 60 }, { exp: NOW - 60 }]) {
      const token = await es.sign(payloadOf({ iat: NOW - 100, ...passing }));
      expect(outcome(await opened.verify(token))).not.toBe("ok");
      expect(
        outcome(
          await opened.verifier.verify(token, NOW_MS + ("nbf" in passing ? 60_000 : -90_000)),
        ),
      ).toBe("ok");
    }
  });

  test("requests with the same new token share one verification", async () => {
    await using opened = await openTestIssuer(at(server.url));
    const token = await es.sign(payloadOf());
    const results = await Promise.all(Array.from({ length: 50 }, () => opened.verify(token)));
    expect(new Set(results).size).toBe(1);
    expect(
      outcome(
        results[0] ?? { ok: false, error: { code: "token_invalid", reason: "", detail: "" } },
      ),
    ).toBe("ok");
  });

  test("who shares a verification is still judged by a moment of its own", async () => {
    await using opened = await openTestIssuer(at(server.url));
    const token = await es.sign(payloadOf());
    const [now, later] = await Promise.all([
      opened.verifier.verify(token, NOW_MS),
      opened.verifier.verify(token, NOW_MS + 3_600_000),
    ]);
    expect([outcome(now), outcome(later)]).toEqual(["ok", "token_expired"]);
  });

  test("a flood of bad tokens pushes no good one out", async () => {
    await using opened = await openTestIssuer(at(server.url));
    const small = { entries: 10, bytes: 1024 * 1024 };
    const verifier = createVerifier([opened.issuer], {
      verified: small,
      failures: { ...small, ms: 10_000 },
    });
    const good = await es.sign(payloadOf());
    const known = await verifier.verify(good, NOW_MS);
    for (let index = 0; index < 100; index++) await verifier.verify(`bad.${index}.token`, NOW_MS);
    for (let index = 0; index < 20; index++) {
      await verifier.verify(await es.sign(payloadOf({ aud: `other ${index}` })), NOW_MS);
    }
    expect(verifier.verify(good, NOW_MS)).toBe(known);
  });
});

describe("verify(): encrypted", () => {
  const gate = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const second = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const ecKey = JSON.stringify({ ...gate.privateKey.export({ format: "jwk" }), kid: "gate" });
  const rsaKey = second.privateKey.export({ format: "pem", type: "pkcs8" }).toString();

  const seal = (inner: string, header: Record<string, unknown> = {}, key = gate.publicKey) =>
    new CompactEncrypt(Buffer.from(inner, "latin1"))
      .setProtectedHeader({
        alg: "ECDH-ES+A256KW",
        enc: "A256GCM",
        cty: "JWT",
        kid: "gate",
        ...header,
      } as never)
      .encrypt(key);

  test("a signed token inside is verified by all rules", async () => {
    const sealed = (payload: object, header = {}) =>
      es.sign(payload, header).then((inner) => seal(inner));
    const encrypted = { decryptionKey: ecKey };
    expect(await verdict(await sealed(payloadOf()), encrypted)).toBe("ok");
    expect(await verdict(await sealed(payloadOf({ aud: "other" })), encrypted)).toBe(
      "audience_mismatch",
    );
    expect(
      await verdict(await sealed(payloadOf({ iat: NOW - 400, exp: NOW - 100 })), encrypted),
    ).toBe("token_expired");
    expect(await verdict(await sealed(payloadOf(), { alg: "none" }), encrypted)).toBe(
      "algorithm_refused",
    );
    expect(await verdict(await sealed(payloadOf(), { crit: [] }), encrypted)).toBe(
      "header_member_refused",
    );
    const forged = await other.sign(payloadOf(), { kid: es.kid });
    expect(await verdict(await seal(forged), encrypted)).toBe("signature_invalid");
    expect(
      await verdict(
        await seal(await es.sign(payloadOf({ iss: "https://evil.example" }))),
        encrypted,
      ),
    ).toBe("issuer_unknown");
  });

  test("nothing else is inside", async () => {
    const encrypted = { decryptionKey: ecKey };
    expect(await verdict(await seal(JSON.stringify(payloadOf())), encrypted)).toBe(
      "characters_refused",
    );
    expect(await verdict(await seal("a.b"), encrypted)).toBe("segments_refused");
    expect(await verdict(await seal("\xff"), encrypted)).toBe("characters_refused");
    const twice = await seal(await seal(await es.sign(payloadOf())));
    expect(await verdict(twice, encrypted)).toBe("nesting_encrypted");
  });

  test("an issuer with a decryptionKey takes no signed token", async () => {
    expect(await verdict(await es.sign(payloadOf()), { decryptionKey: ecKey })).toBe(
      "encryption_required",
    );
  });

  test("is told from others by what the request carried", async () => {
    const token = await seal(await es.sign(payloadOf()));
    await using opened = await openTestIssuer(at(server.url, { decryptionKey: ecKey }));
    const result = await opened.verify(token);
    expect(result.ok && result.value.digest).toBe(digestToken(token));
  });

  test("an issuer without one takes no encrypted token, whatever it is", async () => {
    expect(await verdict(await seal(await es.sign(payloadOf())))).toBe("encryption_unexpected");
    expect(await verdict(await seal("x", { p2c: 1 }))).toBe("encryption_unexpected");
  });

  test.each([
    ["encryption_header_refused", { zip: "DEF" }],
    ["content_type_refused", { cty: undefined }],
    ["encryption_algorithm_refused", { enc: "A192GCM" }],
    ["encryption_algorithm_refused", { alg: "ECDH-ES+A192KW" }],
  ])("%s: %j", async (reason, header) => {
    const token = await seal(await es.sign(payloadOf()), header);
    expect(await verdict(token, { decryptionKey: ecKey })).toBe(reason);
  });

  test.each([
    { alg: "dir", enc: "A256GCM", cty: "JWT" },
    { alg: "PBES2-HS256+A128KW", enc: "A128GCM", cty: "JWT", p2s: "AAAA", p2c: 2 ** 31 },
    { alg: "RSA1_5", enc: "A128CBC-HS256", cty: "JWT" },
  ])("made-up $alg is refused unopened", async (header) => {
    const token = `${base64url(JSON.stringify(header))}.AAAA.AAAA.AAAA.AAAA`;
    expect(await verdict(token, { decryptionKey: ecKey })).toStartWith("encryption_");
  });

  test("the issuer is found by kid, else by trying, and iss must be its own", async () => {
    const open = (name: string, decryptionKey: string) =>
      openTestIssuer(at(server.url, { name, issuer: `https://${name}.example`, decryptionKey }));
    await using a = await open("a", ecKey);
    await using b = await open("b", rsaKey);
    await using c = await open("c", ecKey);
    await using plain = await openTestIssuer(at(server.url));
    const issuers: readonly Issuer[] = [plain.issuer, a.issuer, b.issuer, c.issuer];
    const verifier = createVerifier(issuers);
    const judged = async (iss: string, header: object, key = gate.publicKey) => {
      const token = await seal(await es.sign(payloadOf({ iss })), { ...header }, key);
      const result = await verifier.verify(token, NOW_MS);
      return result.ok ? result.value.issuerName : result.error.reason;
    };
    const byRsa = { alg: "RSA-OAEP-256", kid: undefined };
    expect(await judged("https://a.example", { kid: "gate" })).toBe("a");
    expect(await judged("https://a.example", { kid: "unknown" })).toBe("a");
    expect(await judged("https://c.example", { kid: "gate" })).toBe("c");
    expect(await judged("https://b.example", byRsa, second.publicKey)).toBe("b");
    expect(await judged("https://b.example", { kid: "gate" })).toBe("issuer_unknown");
    expect(await judged("https://a.example", byRsa, second.publicKey)).toBe("issuer_unknown");
    expect(await judged(ISSUER, { kid: "gate" })).toBe("issuer_unknown");
    const stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
    expect(await judged("https://a.example", {}, stranger)).toBe("decryption_failed");
  });

  test("is known the second time, too", async () => {
    await using opened = await openTestIssuer(at(server.url, { decryptionKey: ecKey }));
    const token = await seal(await es.sign(payloadOf()));
    const first = await opened.verify(token);
    expect(opened.verifier.verify(token, NOW_MS)).toBe(first);
  });

  test("a decryptionKey that is none is a fault at the start", async () => {
    await using folder = await tempFolder();
    const opening = openTestIssuer(configOf({ decryptionKey: "secret" }), { folder: folder.path });
    await expect(opening).rejects.toMatchObject({ name: "GateError", code: "config_invalid" });
  });
});
