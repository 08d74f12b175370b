import { afterAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  base64url,
  configOf,
  createSigner,
  NOW,
  NOW_MS,
  openTestIssuer,
  outcome,
  payloadOf,
  startKeyServer,
} from "./kit.ts";

const signer = await createSigner("ES256");
const server = startKeyServer(signer.publicJwk);
const opened = await openTestIssuer(
  configOf({ keys: { kind: "jwksUri", url: `${server.url}/keys` } }),
);
const good = await signer.sign(payloadOf({ roles: ["admin"] }));
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const REFUSED = ["token_invalid", "token_expired", "keys_unavailable"];

async function isRefused(credential: string): Promise<void> {
  const result = await opened.verifier.verify(credential, NOW_MS);
  if (result.ok) throw new Error("it was accepted");
  expect(REFUSED).toContain(result.error.code);
}

describe("verify() never throws and never accepts", () => {
  test("but the token itself", async () => {
    expect(outcome(await opened.verify(good))).toBe("ok");
  });

  test("any text", async () => {
    await fc.assert(fc.asyncProperty(fc.string({ unit: "binary" }), isRefused), { numRuns: 300 });
  });

  test("the token with any one character changed", async () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ ~";
    for (let index = 0; index < good.length; index++) {
      const pick = alphabet[(index * 31) % alphabet.length] ?? "A";
      const letter = pick === good[index] ? "B" : pick;
      if (letter === good[index]) continue;
      await isRefused(good.slice(0, index) + letter + good.slice(index + 1));
    }
  });

  test("the token with any other last character: no spare bits", async () => {
    for (const letter of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
      if (!good.endsWith(letter)) await isRefused(good.slice(0, -1) + letter);
    }
  });

  test("the token with anything inserted, cut out or doubled", async () => {
    const place = fc.nat(good.length);
    const changed = fc
      .tuple(place, place, fc.string({ maxLength: 4 }))
      .map(([from, length, text]) => good.slice(0, from) + text + good.slice(from + (length % 5)))
      .filter((text) => text !== good);
    await fc.assert(fc.asyncProperty(changed, isRefused), { numRuns: 300 });
  });

  test("any header and payload with the token's signature", async () => {
    const [, , signature] = good.split(".");
    const header = fc.oneof(
      fc.json(),
      fc
        .record({ alg: fc.constantFrom("ES256", "none", "HS256"), kid: fc.jsonValue() })
        .map((h) => JSON.stringify(h)),
    );
    const payload = fc.oneof(
      fc.json(),
      fc
        .record({ aud: fc.jsonValue(), exp: fc.jsonValue(), sub: fc.jsonValue() })
        .map((claims) => JSON.stringify(payloadOf(claims))),
    );
    const token = fc
      .tuple(header, payload)
      .map(([h, p]) => `${base64url(h)}.${base64url(p)}.${signature}`);
    await fc.assert(fc.asyncProperty(token, isRefused), { numRuns: 300 });
  });

  test("any claims that are signed well, but for those that hold", async () => {
    const { exp: inTime } = payloadOf();
    const mostly = <T>(...good: readonly T[]) =>
      fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...good) }, fc.jsonValue());
    const claims = fc.record(
      {
        aud: mostly<unknown>("api", ["api"], ["other", "api"], "other"),
        exp: mostly<unknown>(inTime, NOW - 29, NOW - 31),
        sub: mostly("alice"),
        jti: mostly("1"),
        nbf: mostly(NOW, NOW + 30, NOW + 31),
      },
      { requiredKeys: [] },
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(claims, async (more) => {
        const token = await signer.sign(payloadOf(more));
        const result = await opened.verifier.verify(token, NOW_MS);
        if (result.ok) accepted++;
        expect(result.ok).toBe(holds(JSON.parse(JSON.stringify(payloadOf(more)))));
      }),
      { numRuns: 400 },
    );
    expect(accepted).toBeGreaterThan(20);
  });
});

/** The same rules in other words. */
function holds({ aud, exp, sub, jti = "", nbf = 0 }: Record<string, unknown>): boolean {
  const isAudience = aud === "api" || (Array.isArray(aud) && aud.includes("api"));
  const isList = !Array.isArray(aud) || aud.every((one) => typeof one === "string");
  const isInTime = typeof exp === "number" && exp > NOW - 30 && exp <= NOW + 86_400;
  const isText = [sub, jti].every((text) => typeof text === "string" && text.isWellFormed());
  return isAudience && isList && isInTime && isText && typeof nbf === "number" && nbf <= NOW + 30;
}
