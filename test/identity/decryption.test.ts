import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { CompactEncrypt } from "jose";
import { checkEncryptedHeader, decrypt, readDecryptionKey } from "../../src/identity/decryption.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const x25519 = generateKeyPairSync("x25519");
const pem = (key: typeof rsa.privateKey) => key.export({ format: "pem", type: "pkcs8" }).toString();
const jwk = (key: typeof rsa.privateKey, more = {}) =>
  JSON.stringify({ ...key.export({ format: "jwk" }), ...more });

const ECDH = ["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"];

describe("readDecryptionKey()", () => {
  test("reads PKCS #8 and JWK, and what they are for", () => {
    expect(readDecryptionKey(pem(rsa.privateKey))).toMatchObject({ algorithms: ["RSA-OAEP-256"] });
    expect(readDecryptionKey(pem(ec.privateKey))).toMatchObject({ algorithms: ECDH });
    expect(readDecryptionKey(pem(x25519.privateKey))).toMatchObject({ algorithms: ECDH });
    expect(
      readDecryptionKey(jwk(ec.privateKey, { kid: "e", alg: "ECDH-ES", use: "enc" })),
    ).toMatchObject({
      kid: "e",
      algorithms: ["ECDH-ES"],
    });
  });

  test.each([
    ["a public key", JSON.stringify(rsa.publicKey.export({ format: "jwk" }))],
    ["a short key", pem(generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey)],
    ["a key for signatures", jwk(rsa.privateKey, { use: "sig" })],
    ["a key for an algorithm that is not ours", jwk(rsa.privateKey, { alg: "RSA1_5" })],
    ["a key that only signs", pem(generateKeyPairSync("ed25519").privateKey)],
    ["a symmetric key", '{"kty":"oct","k":"c2VjcmV0"}'],
    ["text", "secret"],
  ])("refuses %s without saying anything of it", (_, text) => {
    expect(() => readDecryptionKey(text)).toThrow(
      "decryptionKey is no private key that decrypts: RSA from 2048 bits, EC, or X25519, for RSA-OAEP-256 or ECDH-ES",
    );
  });
});

describe("checkEncryptedHeader()", () => {
  const HEADER = { alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT" };
  const check = (more: object) =>
    checkEncryptedHeader(JSON.parse(JSON.stringify({ ...HEADER, ...more })));

  test("takes what is on the list", () => {
    for (const alg of ["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]) {
      for (const enc of ["A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"]) {
        expect(check({ alg, enc, kid: "k", typ: "JWT", apu: "a", apv: "b", epk: {} })).toEqual({
          ok: true,
          value: { algorithm: alg, kid: "k" },
        });
      }
    }
    expect(check({ cty: "application/jwt" }).ok).toBe(true);
    expect(check({ cty: "at+jwt" }).ok).toBe(true);
  });

  test.each(
    "dir A128KW A256KW RSA-OAEP RSA1_5 RSA-OAEP-512 ECDH-ES+A192KW PBES2-HS256+A128KW A256GCMKW RS256 none".split(
      " ",
    ),
  )("refuses alg %s", (alg) => {
    expect(check({ alg })).toEqual({ ok: false, error: "encryption_algorithm_refused" });
  });

  test.each(["A192GCM", "A192CBC-HS384", "none", "", null, [["A256GCM"]]])(
    "refuses enc %p",
    (enc) => {
      expect(check({ enc })).toEqual({ ok: false, error: "encryption_algorithm_refused" });
    },
  );

  test.each("jwk jku x5u x5c crit b64 zip p2s p2c".split(" "))(
    "refuses %s by its presence",
    (name) => {
      for (const value of [null, "DEF", 1, []]) {
        expect(check({ [name]: value })).toEqual({ ok: false, error: "encryption_header_refused" });
      }
    },
  );

  test.each([undefined, null, "", "JOSE", "json", 1])("refuses cty %p", (cty) => {
    expect(check({ cty })).toEqual({ ok: false, error: "content_type_refused" });
  });

  test("refuses an odd kid or typ", () => {
    expect(check({ kid: 1 })).toEqual({ ok: false, error: "kid_refused" });
    expect(check({ typ: "" })).toEqual({ ok: false, error: "type_refused" });
  });
});

describe("decrypt()", () => {
  const seal = (header: { alg: string; enc: string; zip?: string }, key = ec.publicKey) =>
    new CompactEncrypt(Buffer.from("a.b.c")).setProtectedHeader(header).encrypt(key);

  test.each(["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"])(
    "opens %s with EC and X25519",
    async (alg) => {
      for (const pair of [ec, x25519]) {
        const text = await seal({ alg, enc: "A128CBC-HS256" }, pair.publicKey);
        const key = readDecryptionKey(pem(pair.privateKey));
        expect(await decrypt(text, { algorithm: alg, kid: undefined }, key)).toBe("a.b.c");
      }
    },
  );

  test("opens RSA-OAEP-256", async () => {
    const text = await seal({ alg: "RSA-OAEP-256", enc: "A256GCM" }, rsa.publicKey);
    const header = { algorithm: "RSA-OAEP-256", kid: undefined };
    expect(await decrypt(text, header, readDecryptionKey(pem(rsa.privateKey)))).toBe("a.b.c");
  });

  test("gives one answer for another key, a changed text and a key of another kind", async () => {
    const header = { algorithm: "ECDH-ES", kid: undefined };
    const text = await seal({ alg: "ECDH-ES", enc: "A256GCM" });
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    expect(await decrypt(text, header, readDecryptionKey(pem(other)))).toBeUndefined();
    expect(await decrypt(text, header, readDecryptionKey(pem(rsa.privateKey)))).toBeUndefined();
    const changed = text.replace(/.{4}$/, (end) => (end === "AAAA" ? "BAAA" : "AAAA"));
    expect(await decrypt(changed, header, readDecryptionKey(pem(ec.privateKey)))).toBeUndefined();
  });

  test("never decompresses", async () => {
    const text = await seal({ alg: "ECDH-ES", enc: "A256GCM", zip: "DEF" });
    const header = { algorithm: "ECDH-ES", kid: undefined };
    expect(await decrypt(text, header, readDecryptionKey(pem(ec.privateKey)))).toBeUndefined();
  });
});
