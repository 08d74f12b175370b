import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { digestToken } from "../../src/identity/token-digest.ts";
import {
  base64url,
  configOf,
  createSigner,
  openTestIssuer,
  payloadOf,
  startKeyServer,
} from "./kit.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("base64url");

/** The order of P-256 (FIPS 186-4, D.1.2.3). */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The same signature in its other form, which everybody can make: s becomes n − s. */
function turned(token: string): string {
  const at = token.lastIndexOf(".") + 1;
  const bytes = Buffer.from(token.slice(at), "base64url");
  const s = N - BigInt(`0x${bytes.subarray(32).toString("hex")}`);
  const other = Buffer.from(s.toString(16).padStart(64, "0"), "hex");
  return token.slice(0, at) + base64url(Buffer.concat([bytes.subarray(0, 32), other]));
}

describe("digestToken()", () => {
  test("covers header and payload of a signed token, not its signature", () => {
    expect(digestToken("a.b.c")).toBe(sha256("a.b"));
    expect(digestToken("a.b.d")).toBe(digestToken("a.b.c"));
    expect(digestToken("a.c.c")).not.toBe(digestToken("a.b.c"));
  });

  test.each(["a.b.c.d.e", "opaque", "", "a.b", "a.b.c.d"])("covers the whole of %p", (text) => {
    expect(digestToken(text)).toBe(sha256(text));
  });

  test("an ECDSA signature turned into its other form makes no other token of it", async () => {
    const signer = await createSigner("ES256");
    await using server = startKeyServer(signer.publicJwk);
    await using opened = await openTestIssuer(
      configOf({ keys: { kind: "jwksUri", url: `${server.url}/keys` } }),
    );
    const token = await signer.sign(payloadOf());
    const results = await Promise.all([token, turned(token)].map((one) => opened.verify(one)));
    const digests = results.map((result) => result.ok && result.value.digest);
    expect(turned(token)).not.toBe(token);
    expect(digests).toEqual([digestToken(token), digestToken(token)]);
  });
});
