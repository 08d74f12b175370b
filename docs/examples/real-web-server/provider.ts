/**
 * A real OpenID provider (npm oidc-provider) on loopback: client_credentials for one machine
 * client, access tokens as signed JWTs for the audience `https://intranet.example`.
 *
 * Run: bun provider.ts [port]
 */
import { exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const AUDIENCE = "https://intranet.example";
const port = Number(process.argv[2] ?? 9400);
const issuer = `http://127.0.0.1:${port}`;

const { privateKey } = await generateKeyPair("RS256", { extractable: true });
const signingKey = { ...(await exportJWK(privateKey)), alg: "RS256", use: "sig", kid: "2026-11" };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "report-reader",
      client_secret: "for-this-example-only",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
  ],
  jwks: { keys: [signingKey] },
  scopes: ["reports:read"],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => AUDIENCE,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: "reports:read",
        audience: AUDIENCE,
        accessTokenFormat: "jwt",
        accessTokenTTL: 600,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});

provider.listen(port, "127.0.0.1", () => console.error(`provider at ${issuer}`));
