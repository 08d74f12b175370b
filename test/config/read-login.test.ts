// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to the environment are meant
import { describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { loadText, loadValid, placesOf, type Surroundings } from "./load-text.ts";

const pem = (type: "rsa" | "ec" | "ed25519" | "x25519", options: object = {}) =>
  generateKeyPairSync(type as "rsa", options as { modulusLength: number }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  }) as string;
const FILES = {
  "ec.pem": pem("ec", { namedCurve: "P-256" }),
  "ed.pem": pem("ed25519"),
  "x.pem": pem("x25519"),
  "short.pem": pem("rsa", { modulusLength: 1024 }),
  "s.txt": "s3cret\n",
  "empty.txt": "\n",
};
const AROUND: Surroundings = { files: FILES, environment: { EMPTY: "", SECRET: "s3cret" } };

/** One issuer and a route where people sign in with it; `login` is on line 5. */
const login = (written: string, more = "") => `publicUrl: https://gate.acme.dev
issuers:
  - name: okta
    issuer: https://acme.okta.com
    login: ${written}${more}
routes:
  - { upstream: echo, anyAuthenticated: true, login: true }
`;

describe("login of an issuer", () => {
  test("needs a clientId and no more", async () => {
    const { issuers } = await loadValid(login("{ clientId: gate }"));
    expect(issuers[0]?.audiences).toEqual([]);
    expect(issuers[0]?.login).toEqual({
      clientId: "gate",
      scopes: ["openid", "profile", "email"],
      userinfo: false,
    });
  });

  test.each([
    ["clientSecret: file:s.txt", { clientSecret: "s3cret" }],
    [
      'clientSecret: "${SECRET}", clientAuth: basic',
      { clientSecret: "s3cret", clientAuth: "basic" },
    ],
    ["clientSecret: a, clientAuth: client_secret_basic", { clientAuth: "basic" }],
    ["clientSecret: a, clientAuth: client_secret_post", { clientAuth: "post" }],
    ["clientKey: file:ec.pem", { clientKey: FILES["ec.pem"] }],
    ["clientKey: file:ed.pem, clientAuth: private_key_jwt", { clientAuth: "private_key_jwt" }],
    ["clientAuth: none", { clientAuth: "none" }],
    ["scopes: []", { scopes: ["openid"] }],
    ["scopes: [offline_access, openid]", { scopes: ["openid", "offline_access"] }],
    ["userinfo: true", { userinfo: true }],
  ])("%s", async (written, expected) => {
    const config = await loadValid(login(`{ clientId: gate, ${written} }`), AROUND);
    expect(config.issuers[0]?.login).toMatchObject(expected);
  });

  test.each([
    ["true", "5:12 type_wrong"],
    ["{}", "5:12 key_missing"],
    ['{ clientId: "" }', "5:24 value_invalid"],
    ['{ clientId: "ga te " }', "5:24 value_invalid"],
    ["{ clientId: gate, clientSecret: '' }", "5:44 secret_empty"],
    ['{ clientId: gate, clientSecret: "${EMPTY}" }', "5:44 secret_empty"],
    ['{ clientId: gate, clientSecret: "${ABSENT}" }', "5:44 environment_unset"],
    ["{ clientId: gate, clientSecret: file:empty.txt }", "5:44 secret_empty"],
    ["{ clientId: gate, clientSecret: file:no.txt }", "5:44 file_missing"],
    ["{ clientId: gate, clientSecret: 5 }", "5:44 type_wrong"],
    ["{ clientId: gate, clientKey: hello }", "5:41 secret_invalid"],
    ["{ clientId: gate, clientKey: file:x.pem }", "5:41 secret_invalid"],
    ["{ clientId: gate, clientKey: file:short.pem }", "5:41 secret_invalid"],
    ["{ clientId: gate, clientAuth: jwt }", "5:42 type_wrong"],
    ["{ clientId: gate, clientAuth: basic }", "5:42 client_auth_wrong"],
    ["{ clientId: gate, clientAuth: post, clientKey: file:ec.pem }", "5:42 client_auth_wrong"],
    ["{ clientId: gate, clientAuth: private_key_jwt }", "5:42 client_auth_wrong"],
    ["{ clientId: gate, clientAuth: none, clientSecret: a }", "5:42 client_auth_wrong"],
    ["{ clientId: gate, clientAuth: none, clientKey: file:ec.pem }", "5:42 client_auth_wrong"],
    ["{ clientId: gate, clientSecret: a, clientKey: file:ec.pem }", "5:47 client_auth_wrong"],
    ["{ clientId: gate, scopes: ['open id'] }", "5:39 value_invalid"],
    ["{ clientId: gate, scopes: openid }", "5:38 type_wrong"],
    ["{ clientId: gate, secret: a }", "5:30 key_unknown"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(login(written), AROUND)).toEqual([place]);
  });

  test("never shows a secret in a finding", async () => {
    const { result } = await loadText(
      login("{ clientId: gate, clientAuth: none, clientSecret: hunter2, clientKey: hunter2 }"),
    );
    expect(JSON.stringify(result)).toContain("client_auth_wrong");
    expect(JSON.stringify(result)).not.toContain("hunter2");
  });

  test.each([
    ['issuer: "urn:acme", jwks: s.txt', "3:27 url_invalid"],
    ['issuer: "http://acme.dev", jwks: s.txt', "3:27 url_plain"],
    ['issuer: "https://acme.dev?x=1", jwks: s.txt', "3:27 url_invalid"],
  ])("finds its provider by the issuer's address: %s", async (issuer, place) => {
    const text = `publicUrl: https://gate.acme.dev
issuers:
  - { name: okta, ${issuer}, login: { clientId: gate } }
routes: [{ upstream: echo, anyAuthenticated: true, login: true }]
`;
    expect(await placesOf(text, AROUND)).toEqual([place]);
  });

  test("a provider on this machine may be plain", async () => {
    const text = login("{ clientId: gate }").replace("https://acme.okta.com", "http://localhost:9");
    expect(await placesOf(text)).toEqual([]);
  });

  test("has no place beside development: there is no server", async () => {
    const text = `publicUrl: https://gate.acme.dev
issuers:
  - name: dev
    development: true
    login: { clientId: gate }
routes: [{ upstream: echo, anyAuthenticated: true, login: true }]
`;
    expect(await placesOf(text)).toEqual(["5:5 development_no_server"]);
  });

  test("audiences are needed as soon as there is introspection", async () => {
    const ask = "\n    introspection: { url: https://acme.okta.com/ask, clientId: gate }";
    expect(await placesOf(login("{ clientId: gate }", ask))).toEqual(["3:5 key_missing"]);
    expect(await placesOf(login("{ clientId: gate }", "\n    audiences: []"))).toEqual([
      "6:16 list_empty",
    ]);
  });
});

describe("introspection", () => {
  const introspection = (written: string) => `issuers:
  - name: okta
    issuer: https://acme.okta.com
    audiences: [a]
    introspection: ${written}
routes: [{ upstream: echo, anyAuthenticated: true }]
`;

  test("has its defaults", async () => {
    const { issuers } = await loadValid(
      introspection('{ url: "http://127.0.0.1:9/ask", clientId: gate }'),
    );
    expect(issuers[0]?.introspection).toEqual({
      url: "http://127.0.0.1:9/ask",
      clientId: "gate",
      cacheMs: 30_000,
    });
  });

  test.each([
    ["{ url: https://a.dev }", "5:20 key_missing"],
    ["{ clientId: gate }", "5:20 key_missing"],
    ["{ clientId: gate, url: http://a.dev/ask }", "5:43 url_plain"],
    ["{ clientId: gate, url: a.dev/ask }", "5:43 url_invalid"],
    ["{ clientId: gate, url: 'https://a:b@a.dev/ask' }", "5:43 url_invalid"],
    ["{ url: https://a.dev, clientId: '' }", "5:52 value_invalid"],
    ["{ url: https://a.dev, clientId: gate, clientSecret: '' }", "5:72 secret_empty"],
    ["{ url: https://a.dev, clientId: gate, cache: 61m }", "5:65 value_out_of_range"],
  ])("%s: %s", async (written, place) => {
    expect(await placesOf(introspection(written))).toEqual([place]);
  });
});
