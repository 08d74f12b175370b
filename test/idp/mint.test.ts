import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt, importJWK, jwtVerify } from "jose";
import { type DevelopmentKey, ensureDevelopmentKeys } from "../../src/identity/development-keys.ts";
import { mintToken } from "../../src/idp/mint.ts";

let folder: string;
let key: DevelopmentKey;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "claimgate-mint-"));
  const [first] = await ensureDevelopmentKeys(folder);
  if (first === undefined) throw new Error("no key");
  key = first;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const nowMs = Date.parse("2026-03-01T12:00:00.750Z");
const request = { issuer: "urn:example:issuer", subject: "alice", nowMs };

describe("mintToken()", () => {
  test("signs an access token for an hour and the audience dev", async () => {
    const token = await mintToken(key, request);
    const verified = await jwtVerify(token, await importJWK(key.publicJwk, "ES256"), {
      currentDate: new Date(nowMs),
    });
    expect(verified.protectedHeader).toEqual({ alg: "ES256", typ: "at+jwt", kid: key.kid });
    expect(verified.payload).toEqual({
      iss: "urn:example:issuer",
      sub: "alice",
      aud: "dev",
      iat: nowMs / 1_000 - 0.75,
      exp: nowMs / 1_000 - 0.75 + 3_600,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  test("gives each token an id of its own", async () => {
    const tokens = await Promise.all([mintToken(key, request), mintToken(key, request)]);
    expect(new Set(tokens.map((token) => decodeJwt(token).jti)).size).toBe(2);
  });

  test("makes a list of several audiences", async () => {
    const token = await mintToken(key, { ...request, audience: ["a", "b"] });
    expect(decodeJwt(token).aud).toEqual(["a", "b"]);
  });

  test("lets a claim replace what the token would have", async () => {
    const claims = { roles: ["staff"], exp: 5, aud: "other" };
    const token = await mintToken(key, { ...request, lifetimeSeconds: 60, claims });
    expect(decodeJwt(token)).toMatchObject({
      roles: ["staff"],
      exp: 5,
      aud: "other",
      sub: "alice",
    });
  });

  test("takes __proto__ for data", async () => {
    const claims = JSON.parse('{ "__proto__": { "sub": "root" } }');
    const token = await mintToken(key, { ...request, claims });
    const payload = Buffer.from(token.split(".")[1] ?? "", "base64url").toString();
    expect(payload).toContain('"__proto__":{"sub":"root"}');
    expect(payload).toContain('"sub":"alice"');
  });
});
