/**
 * The issuer of the benchmark: one RSA key, and as many different tokens as a round needs.
 *
 * @module
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { promisify } from "node:util";

export const ISSUER = "https://id.example.com";
export const AUDIENCE = "api";

const KID = "bench-1";
const RSA_BITS = 2_048;
const LIFETIME_SECONDS = 3_600;
/** Signatures under way in Bun's thread pool. */
const BATCH = 256;

export type BenchIssuer = {
  /** For the gate. */
  readonly jwks: string;
  /** For HAProxy. */
  readonly publicPem: string;
  /** @returns That many tokens of about 600 bytes, all different. */
  mint(count: number): Promise<readonly string[]>;
};

const signAsync = promisify(sign);

export function createBenchIssuer(): BenchIssuer {
  const pair = generateKeyPairSync("rsa", {
    modulusLength: RSA_BITS,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const privateKey = createPrivateKey(pair.privateKey);
  const jwk = createPublicKey(pair.publicKey).export({ format: "jwk" });
  const key = { ...jwk, kid: KID, alg: "RS256", use: "sig" };
  const header = encode({ alg: "RS256", typ: "at+jwt", kid: KID });

  let minted = 0;

  async function mintOne(): Promise<string> {
    const now = Math.floor(Date.now() / 1_000);
    const payload = encode({
      iss: ISSUER,
      aud: AUDIENCE,
      sub: `user-${minted++ % 1_000}`,
      jti: crypto.randomUUID(),
      iat: now,
      exp: now + LIFETIME_SECONDS,
      roles: ["staff"],
    });
    const input = `${header}.${payload}`;
    const signature = await signAsync("RSA-SHA256", Buffer.from(input), privateKey);
    return `${input}.${signature.toString("base64url")}`;
  }
  return {
    jwks: JSON.stringify({ keys: [key] }),
    publicPem: pair.publicKey,
    async mint(count) {
      const tokens: string[] = [];
      while (tokens.length < count) {
        const size = Math.min(BATCH, count - tokens.length);
        tokens.push(...(await Promise.all(Array.from({ length: size }, mintOne))));
      }
      return tokens;
    },
  };
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
