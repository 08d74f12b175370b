import { describe, expect, test } from "bun:test";
import { decodeProtectedHeader } from "jose";
import { clientAuthOf } from "../../src/login/client-auth.ts";
import { createSigner } from "../support/signer.ts";

const LOGIN = { clientId: "gate & more", scopes: ["openid"], userinfo: false };
const ISSUER = "https://id.example";

async function shown(login: object, metadata: object = {}) {
  const server = { issuer: ISSUER, token_endpoint: `${ISSUER}/token`, ...metadata };
  const [body, headers] = [new URLSearchParams(), new Headers()];
  const auth = await clientAuthOf({ ...LOGIN, ...login }, server);
  await auth(server, { client_id: LOGIN.clientId }, body, headers);
  return { body: Object.fromEntries(body), authorization: headers.get("authorization") };
}

const BASIC = `Basic ${btoa("gate+%26+more:a%3Ab%2B%25+c")}`;
const secret = { clientSecret: "a:b+% c" };
const supports = (...methods: string[]) => ({ token_endpoint_auth_methods_supported: methods });

describe("the gate shows who it is", () => {
  test.each([
    ["nothing", {}],
    ["basic and post", supports("client_secret_post", "client_secret_basic")],
    ["none of them", supports("none", "tls_client_auth")],
  ])("by a form-encoded Basic secret where the metadata name %s", async (_, metadata) => {
    expect(await shown(secret, metadata)).toEqual({ body: {}, authorization: BASIC });
  });

  test("by post where the metadata name that and not basic, or the owner does", async () => {
    const posted = { client_id: "gate & more", client_secret: "a:b+% c" };
    const byMetadata = await shown(secret, supports("client_secret_post"));
    const byOwner = await shown({ ...secret, clientAuth: "post" });
    for (const { body, authorization } of [byMetadata, byOwner]) {
      expect([body, authorization]).toEqual([posted, null]);
    }
  });

  test("by its name alone without a secret", async () => {
    expect(await shown({})).toEqual({ body: { client_id: "gate & more" }, authorization: null });
  });

  test.each(["RS256", "ES256", "EdDSA"] as const)("by a JWT signed by %s", async (alg) => {
    const { privateJwk } = await createSigner(alg);
    const { body } = await shown({ clientKey: JSON.stringify(privateJwk) });
    expect(body.client_assertion_type).toBe(
      "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    );
    const header = decodeProtectedHeader(body.client_assertion ?? "");
    expect(header).toMatchObject({
      alg: alg === "EdDSA" ? expect.any(String) : alg,
      kid: privateJwk.kid,
    });
    expect(body).not.toHaveProperty("client_secret");
  });

  test("not by a key that cannot sign, which no error quotes", async () => {
    const wrong = shown({ clientKey: `{"kty":"oct","k":"c2VjcmV0"}` });
    expect(wrong).rejects.toThrow("clientKey is no private key");
    await wrong.catch((error: Error) => expect(String(error.cause)).toBe("undefined"));
  });
});
