import { expect, test } from "bun:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { startIssuer } from "./issuer.ts";
import { createSigner, type SignerAlgorithm } from "./signer.ts";

test.each<[SignerAlgorithm]>([["RS256"], ["PS256"], ["ES256"], ["ES384"], ["EdDSA"]])(
  "issues %s tokens that its published keys verify",
  async (alg) => {
    await using issuer = startIssuer(await createSigner(alg));
    const keys = createRemoteJWKSet(new URL(issuer.jwksUri));
    const token = await issuer.token({ sub: "bob", roles: ["staff"] });
    const { payload } = await jwtVerify(token, keys, { issuer: issuer.issuer, audience: "api" });
    expect(payload).toMatchObject({ sub: "bob", roles: ["staff"] });
    expect(issuer.requests).toEqual({ discovery: 0, jwks: 1 });
  },
);

test("rotates, and fails when told to", async () => {
  await using issuer = startIssuer(await createSigner("ES256", "one"));
  issuer.signers = [await createSigner("ES256", "two")];
  expect(await (await fetch(issuer.jwksUri)).json()).toMatchObject({ keys: [{ kid: "two" }] });
  issuer.outage = () => new Response("down", { status: 500 });
  expect((await fetch(issuer.jwksUri)).status).toBe(500);
  expect(issuer.requests.jwks).toBe(2);
});
