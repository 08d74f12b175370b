import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { importVerificationKey } from "../../src/identity/verification-key.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const RSA = rsa.publicKey.export({ format: "jwk" });
const EC = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" });
const ED = generateKeyPairSync("ed25519").publicKey.export({ format: "jwk" });

async function algorithmsOf(jwk: unknown): Promise<readonly string[] | string> {
  const key = await importVerificationKey(jwk);
  return key.ok ? [...key.value.byAlgorithm.keys()] : key.error;
}

describe("importVerificationKey()", () => {
  test("a key without alg is for what its kind can do", async () => {
    expect(await algorithmsOf(RSA)).toEqual(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]);
    expect(await algorithmsOf(EC)).toEqual(["ES256"]);
    expect(await algorithmsOf(ED)).toEqual(["EdDSA"]);
  });

  test("a key with alg is for that alone", async () => {
    expect(await algorithmsOf({ ...RSA, alg: "PS384" })).toEqual(["PS384"]);
    expect(await algorithmsOf({ ...ED, alg: "Ed25519" })).toEqual(["EdDSA"]);
  });

  test("takes use sig, key_ops with verify, and members it does not know", async () => {
    const jwk = { ...EC, use: "sig", key_ops: ["sign", "verify"], kid: "a", x5c: ["…"], ext: "no" };
    const key = await importVerificationKey(jwk);
    expect(key).toMatchObject({ ok: true, value: { kid: "a", jwk: { kid: "a", crv: "P-256" } } });
    if (key.ok)
      expect(Object.keys(key.value.jwk).sort()).toEqual(["alg", "crv", "kid", "kty", "x", "y"]);
  });

  test("forgives a leading zero byte in a modulus", async () => {
    const padded = Buffer.concat([Buffer.alloc(1), Buffer.from(RSA.n ?? "", "base64url")]);
    expect(await algorithmsOf({ ...RSA, n: padded.toString("base64url") })).toHaveLength(6);
  });

  const short = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({
    format: "jwk",
  });
  const shifted = Buffer.concat([Buffer.alloc(128), Buffer.from(short.n ?? "", "base64url")]);
  const flipped = Buffer.from(EC.y ?? "", "base64url").map((byte, at) =>
    at === 9 ? byte ^ 1 : byte,
  );
  const even = Buffer.from(RSA.n ?? "", "base64url").map((byte, at) =>
    at === 255 ? byte & 0xfe : byte,
  );
  test.each([
    ["symmetric", { kty: "oct", k: "AAAA", alg: "RS256" }, "symmetric"],
    ["a symmetric member", { ...RSA, k: "AAAA" }, "private"],
    ["private", rsa.privateKey.export({ format: "jwk" }), "private"],
    ["private in part", { ...EC, d: "" }, "private"],
    ["for encryption", { ...RSA, use: "enc" }, "use is not sig"],
    ["of odd use", { ...RSA, use: null }, "use is not sig"],
    ["without verify", { ...RSA, key_ops: ["encrypt"] }, "key_ops has no verify"],
    ["of odd operations", { ...RSA, key_ops: "verify" }, "key_ops has no verify"],
    ["RSA of 1024 bits", short, "RSA under 2048 bits"],
    [
      "RSA of 1024 bits behind zeros",
      { ...short, n: shifted.toString("base64url") },
      "RSA under 2048 bits",
    ],
    ["exponent 1", { ...RSA, e: "AQ" }, "the RSA exponent is 1, even, or too large"],
    ["an even exponent", { ...RSA, e: "AQAA" }, "the RSA exponent is 1, even, or too large"],
    ["a huge exponent", { ...RSA, e: RSA.n }, "the RSA exponent is 1, even, or too large"],
    [
      "an even modulus",
      { ...RSA, n: Buffer.from(even).toString("base64url") },
      "the RSA modulus is even",
    ],
    ["a modulus of text", { ...RSA, n: "§" }, "n or e is not base64url"],
    ["no modulus", { kty: "RSA", e: "AQAB" }, "n or e is not base64url"],
    [
      "off its curve",
      { ...EC, y: Buffer.from(flipped).toString("base64url") },
      "not a key: off its curve, or damaged",
    ],
    ["of another curve", { ...EC, crv: "P-384" }, "x or y has another length than its curve"],
    ["of an unknown curve", { ...EC, crv: "secp256k1" }, "crv is unknown"],
    ["of a curve of the prototype", { ...EC, crv: "constructor" }, "crv is unknown"],
    ["Edwards, off its curve", { ...ED, x: `Ag${"A".repeat(41)}` }, "off its curve"],
    ["Ed448", { ...ED, crv: "Ed448" }, "crv is unknown"],
    ["X25519", { ...ED, crv: "X25519" }, "crv is unknown"],
    ["of unknown kind", { kty: "AKP", pub: "AAAA", alg: "ML-DSA-44" }, "kty is unknown"],
    [
      "RSA for HS256",
      { ...RSA, alg: "HS256" },
      "alg is no asymmetric signature algorithm for this key",
    ],
    [
      "RSA for encryption",
      { ...RSA, alg: "RSA-OAEP" },
      "alg is no asymmetric signature algorithm for this key",
    ],
    [
      "EC for another curve",
      { ...EC, alg: "ES512" },
      "alg is no asymmetric signature algorithm for this key",
    ],
    ["alg null", { ...EC, alg: null }, "alg is no asymmetric signature algorithm for this key"],
    ["a kid of another type", { ...EC, kid: 1 }, "kid is not a string"],
    ["null", null, "not an object"],
    ["a list", [], "not an object"],
    ["text", "key", "not an object"],
    ["empty", {}, "kty is unknown"],
  ])("leaves out what is %s", async (_, jwk, why) => {
    expect(await algorithmsOf(jwk)).toBe(why);
  });
});
