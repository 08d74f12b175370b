/** Encrypted tokens (JWE, RFC 7516): where none is awaited, and odd ones where they are. */
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { CompactEncrypt, type CompactJWEHeaderParameters, importJWK, type JWK } from "jose";
import { NOW } from "./attack-gate.ts";
import { encode, forge, forgeHmac, type SealOptions, seal } from "./forge.ts";
import {
  claims,
  holds,
  invalid,
  keys,
  sealingEc,
  signed,
  type TokenRow,
  useTokenGate,
} from "./token-gate.ts";

const { fire, world } = useTokenGate();

const sealedClaims = (changes: object = {}) => claims({ iss: "https://sealed.test", ...changes });
const inner = () => signed(sealedClaims());
const sealed = (options: SealOptions = {}, content: string | Buffer = inner()) =>
  seal(content, keys.sealing, options);

async function sealedForEc(header: Partial<CompactJWEHeaderParameters>): Promise<string> {
  const content = signed(claims({ iss: "https://sealed-ec.test" }));
  const usual = { alg: "ECDH-ES", enc: "A256GCM", cty: "JWT" };
  const key = await importJWK(sealingEc.jwk as JWK, "ECDH-ES");
  return await new CompactEncrypt(Buffer.from(content))
    .setProtectedHeader({ ...usual, ...header })
    .encrypt(key);
}

async function sealedByJose(header: Partial<CompactJWEHeaderParameters>): Promise<string> {
  const usual = { alg: "RSA-OAEP-256", enc: "A256GCM", cty: "JWT" };
  const key = await importJWK(keys.sealing.jwk as JWK, "RSA-OAEP-256");
  return await new CompactEncrypt(Buffer.from(inner()))
    .setProtectedHeader({ ...usual, ...header })
    .encrypt(key);
}

describe("what must hold", () => {
  fire([
    holds("RSA-OAEP-256 and A256GCM", () => sealed(), "sealed"),
    holds("RSA-OAEP-256 and A128GCM", () => sealed({ contentKey: randomBytes(16) }), "sealed"),
    ...["A128CBC-HS256", "A256CBC-HS512"].map((enc) =>
      holds(`RSA-OAEP-256 and ${enc}`, () => sealedByJose({ enc }), "sealed"),
    ),
    ...["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"].map((alg) =>
      holds(alg, () => sealedForEc({ alg }), "mixed"),
    ),
    holds(
      "a kid that nobody knows, where another key opens it",
      () => sealed({ header: { kid: "unknown" } }),
      "mixed",
    ),
  ]);
});

describe("where it is not awaited", () => {
  fire([
    invalid("a JWE to an issuer without a decryption key", () => sealed()),
    invalid("a JWE of that issuer's own token", () => sealed({}, signed(claims()))),
    invalid("five segments of nothing", () => "e30.e30.e30.e30.e30"),
    invalid("a signed token where a JWE is awaited", () => inner(), "sealed"),
    invalid("a signed token where a JWE is awaited, on a route of several", () => inner(), "mixed"),
    invalid("a JWE around another issuer's token", () => sealed({}, signed(claims())), "mixed"),
    invalid(
      "a JWE by one issuer's key around another's token",
      () => sealed({}, signed(claims({ iss: "https://sealed-ec.test" }))),
      "mixed",
    ),
  ]);
});

/** RFC 7518 §4.8: an iteration count that would keep a core busy for an hour. */
const PBES2 = { p2s: encode(randomBytes(16)), p2c: 2 ** 31 };

describe("headers of a JWE", () => {
  const ofHeader = (name: string, header: object, more: SealOptions = {}): TokenRow =>
    invalid(name, () => sealed({ ...more, header: header as Record<string, unknown> }), "sealed");
  const secret = Buffer.from(JSON.stringify(keys.sealing.jwk)).subarray(0, 32);
  fire([
    ofHeader("RSA1_5", {}, { wrap: "RSA1_5" }),
    ofHeader("RSA-OAEP with SHA-1", {}, { wrap: "RSA-OAEP" }),
    ofHeader("says RSA-OAEP-256, is RSA-OAEP", { alg: "RSA-OAEP-256" }, { wrap: "RSA-OAEP" }),
    ofHeader("dir", { alg: "dir" }, { wrap: "none", contentKey: secret }),
    ofHeader("dir with a wrapped key", { alg: "dir" }),
    ...["A128KW", "A256KW", "A256GCMKW"].map((alg) => ofHeader(alg, { alg })),
    ofHeader("PBES2 with 2^31 rounds", { alg: "PBES2-HS256+A128KW", ...PBES2 }),
    ofHeader("PBES2 with few rounds", { alg: "PBES2-HS512+A256KW", ...PBES2, p2c: 1 }),
    ofHeader("ECDH-ES to an RSA key", { alg: "ECDH-ES", epk: sealingEc.jwk }),
    ofHeader("alg none", { alg: "none" }),
    ofHeader("alg RS256", { alg: "RS256" }),
    ofHeader("alg in lower case", { alg: "rsa-oaep-256" }),
    ofHeader("alg as a list", { alg: ["RSA-OAEP-256"] }),
    ofHeader("enc A192GCM", {}, { contentKey: randomBytes(24) }),
    ofHeader("enc that is not what it is", { enc: "A128GCM" }),
    ofHeader("enc of nothing", { enc: "none" }),
    ofHeader("enc null", { enc: null }),
    ofHeader("no cty", { cty: undefined }),
    ofHeader("cty of something else", { cty: "text/plain" }),
    ofHeader("cty null", { cty: null }),
    ofHeader("cty as a list", { cty: ["JWT"] }),
    ofHeader("crit", { crit: ["x"], x: 1 }),
    ofHeader("crit, empty", { crit: [] }),
    ofHeader("jwk", { jwk: keys.evil.jwk }),
    ofHeader("x5c", { x5c: [] }),
    ofHeader("b64", { b64: true }),
    ofHeader("zip without a need", { zip: "DEF" }),
    ofHeader("zip: null", { zip: null }),
    ofHeader("kid null", { kid: null }),
    ofHeader("kid as a list", { kid: ["rsa"] }),
    invalid("jku", ({ canary }) => sealed({ header: { jku: canary.url } }), "sealed"),
    invalid("x5u", ({ canary }) => sealed({ header: { x5u: canary.url } }), "sealed"),
    invalid("a member twice", () => sealed({ headerText: TWICE }), "sealed"),
    invalid(
      "an ephemeral key off its curve",
      async () => {
        const epk = { ...sealingEc.jwk, y: keys.twinA.jwk.y };
        return withHeader(await sealedForEc({}), {
          alg: "ECDH-ES",
          enc: "A256GCM",
          cty: "JWT",
          epk,
        });
      },
      "mixed",
    ),
    invalid(
      "no ephemeral key",
      async () => withHeader(await sealedForEc({}), { alg: "ECDH-ES", enc: "A256GCM", cty: "JWT" }),
      "mixed",
    ),
    invalid(
      "an ephemeral key that is text",
      async () =>
        withHeader(await sealedForEc({}), { alg: "ECDH-ES", enc: "A256GCM", cty: "JWT", epk: "x" }),
      "mixed",
    ),
  ]);
});

const TWICE = '{"alg":"RSA-OAEP-256","enc":"A256GCM","cty":"JWT","cty":"JWT"}';

function withHeader(token: string, header: object): string {
  return [encode(header), ...token.split(".").slice(1)].join(".");
}

describe("segments of a JWE", () => {
  const change = (index: number, to: (segment: string) => string) =>
    sealed({
      alter(segments) {
        segments[index] = to(segments[index] ?? "");
      },
    });
  const parts = ["header", "wrapped key", "initialization vector", "ciphertext", "tag"];
  fire([
    ...parts.flatMap((part, index) => [
      invalid(`no ${part}`, () => change(index, () => ""), "sealed"),
      invalid(`padding after the ${part}`, () => change(index, (text) => `${text}=`), "sealed"),
      invalid(`the ${part} changed`, () => change(index, tampered), "sealed"),
    ]),
    invalid(
      "a tag cut to four bytes",
      () => change(4, (text) => encode(Buffer.from(text, "base64url").subarray(0, 4))),
      "sealed",
    ),
    invalid("four segments", () => sealed({ alter: (segments) => void segments.pop() }), "sealed"),
    invalid(
      "six segments",
      () => sealed({ alter: (segments) => void segments.push("x") }),
      "sealed",
    ),
    invalid("a key that opens nothing", () => seal(inner(), keys.evil), "sealed"),
  ]);
});

function tampered(segment: string): string {
  const bytes = Buffer.from(segment, "base64url");
  bytes[5] = (bytes[5] ?? 0) ^ 1;
  return encode(bytes);
}

describe("within a JWE", () => {
  const around = (name: string, content: () => string | Buffer): TokenRow =>
    invalid(name, () => sealed({}, content()), "sealed");
  const zipped = () => sealed({ header: { zip: "DEF" } }, deflateRawSync(inner()));
  fire([
    around("nothing", () => ""),
    around("claims, not signed", () => JSON.stringify(sealedClaims())),
    around(
      "a token of no algorithm",
      () => `${encode({ alg: "none" })}.${encode(sealedClaims())}.`,
    ),
    around("a token by HMAC", () => forgeHmac({ kid: "oct" }, sealedClaims(), "HS256", "x")),
    around("a token by a key that nobody published", () =>
      forge({ alg: "RS256", kid: "rsa" }, sealedClaims(), keys.evil, "RS256"),
    ),
    around("a token of another audience", () => signed(sealedClaims({ aud: "evil" }))),
    around("a token with crit", () =>
      signed(sealedClaims(), { alg: "RS256", kid: "rsa", crit: ["x"] }),
    ),
    around("a token with a member twice", () =>
      signed(`{${JSON.stringify(sealedClaims()).slice(1, -1)},"sub":"root"}`),
    ),
    around("a token with a line end after it", () => `${inner()}\n`),
    around("a JWE", () => sealed()),
    around("a JWE around a JWE", () => sealed({}, sealed())),
    around("bytes that are no text", () => randomBytes(400)),
    [
      "a token that has expired",
      () => sealed({}, signed(sealedClaims({ iat: NOW - 900, exp: NOW - 600 }))),
      401,
      "token_expired",
      "sealed",
    ],
    invalid("a compressed token", zipped, "sealed"),
  ]);

  test("a bomb of a gigabyte is not opened", async () => {
    // Deflate packs zeros about a thousandfold, so 8 KB would be 8 MB; what counts is `zip`.
    const bomb = deflateRawSync(Buffer.alloc(8_000_000));
    const before = process.memoryUsage.rss();
    for (let shots = 0; shots < 20; shots++) {
      const { status } = await world().send(sealed({ header: { zip: "DEF" } }, bomb), "sealed");
      expect(status).toBe(401);
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 ** 2);
  });
});
