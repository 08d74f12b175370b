/** No secret of the configuration is ever shown. */
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { stringify } from "yaml";
import { shownConfig } from "../../src/admin/shown-config.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Config } from "../../src/config/resolved.ts";
import { tempFolder } from "../support/temp-folder.ts";

const pem = () =>
  generateKeyPairSync("ec", { namedCurve: "P-256" })
    .privateKey.export({ type: "pkcs8", format: "pem" })
    .toString();
const SIGNING = pem();
const ENCRYPTION = pem();

/** Each secret-bearing key once; the values say what they are, and are long enough. */
const config = (store: string) => ({
  listen: "127.0.0.1:8080",
  publicUrl: "https://gate.acme.dev",
  allowPlainHttp: true,
  issuers: [
    {
      name: "okta",
      issuer: "https://acme.okta.com",
      audiences: ["api://internal"],
      jwksUri: "https://acme.okta.com/keys?api_key=SECRET-jwks-query",
      decryptionKey: "file:encryption.pem",
      login: { clientId: "gate", clientSecret: "SECRET-client-secret-of-login" },
    },
    {
      name: "other",
      issuer: "https://other.acme.dev",
      audiences: ["api://other"],
      login: { clientId: "gate", clientAuth: "private_key_jwt", clientKey: "file:signing.pem" },
      introspection: {
        url: "https://other.acme.dev/introspect?key=SECRET-introspection-query",
        clientId: "gate",
        clientSecret: "SECRET-client-secret-of-introspection",
      },
    },
  ],
  routes: [
    {
      name: "orders",
      match: { path: "/orders/*" },
      upstream: "http://127.0.0.1:9000",
      issuers: ["okta", "other"],
      login: "okta",
      policies: [
        { "require-roles": { anyOf: ["SECRET-policy-option"] } },
        { any: [{ not: { "require-roles": { anyOf: ["SECRET-nested-option"] } } }] },
      ],
      requestHeaders: { set: { "X-Api-Key": "SECRET-request-header" } },
      responseHeaders: { set: { "X-Thing": "SECRET-response-header" } },
    },
  ],
  store,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own
  session: { secret: ["SECRET-session-0123456789012345678901234567890123456789", "${OLD}"] },
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own
  admin: { listen: "127.0.0.1:9001", token: "${ADMIN_TOKEN}" },
});
const ENVIRONMENT = {
  ADMIN_TOKEN: "SECRET-admin-token-01234567890123456789",
  OLD: "SECRET-old-session-0123456789012345678901234567890123456789",
};

async function load(store: string): Promise<Config> {
  await using folder = await tempFolder({
    "claimgate.yaml": stringify(config(store)),
    "signing.pem": SIGNING,
    "encryption.pem": ENCRYPTION,
  });
  const loaded = await loadConfig(join(folder.path, "claimgate.yaml"), ENVIRONMENT);
  if (!loaded.ok) throw new Error(loaded.error.map(({ message }) => message).join("\n"));
  return loaded.value;
}

/** Every text below, whatever it is called. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsIn);
}

describe("shownConfig()", () => {
  test("has no secret, of any key that bears one", async () => {
    const resolved = await load("rediss://user:SECRET-redis-password@redis.acme.dev:6380/2");
    const secrets = textsIn(resolved).filter(
      (text) => text.includes("SECRET") || text.includes("PRIVATE KEY") || text.includes('"d":'),
    );
    // What is looked for is there.
    expect(secrets.length).toBeGreaterThanOrEqual(12);
    const shown = JSON.stringify(shownConfig(resolved));
    expect(shown).not.toMatch(/SECRET|PRIVATE KEY/);
    for (const secret of secrets) expect(shown).not.toContain(JSON.stringify(secret).slice(1, -1));
  });

  test("says that they are set, and shows the rest", async () => {
    const shown = shownConfig(await load("rediss://user:SECRET@redis.acme.dev:6380/2"));
    expect(shown).toMatchObject({
      listen: ["127.0.0.1:8080"],
      store: { kind: "redis", url: "rediss://redis.acme.dev:6380/2" },
      session: { secrets: ["[set]", "[set]"] },
      admin: { listen: "127.0.0.1:9001", token: "[set]" },
      issuers: [
        {
          name: "okta",
          decryptionKey: "[set]",
          keys: { kind: "jwksUri", url: "https://acme.okta.com/keys" },
          login: { clientId: "gate", clientSecret: "[set]" },
        },
        {
          login: { clientKey: "[set]" },
          introspection: { url: "https://other.acme.dev/introspect", clientSecret: "[set]" },
        },
      ],
      routes: [
        {
          name: "orders",
          upstreams: ["http://127.0.0.1:9000"],
          policies: [
            { "require-roles": { anyOf: "[set]" } },
            { any: [{ not: { "require-roles": { anyOf: "[set]" } } }] },
          ],
          requestHeaders: { set: { "X-Api-Key": "[set]" } },
        },
      ],
    });
  });
});
