import { describe, expect, test } from "bun:test";
import { GateError } from "../../src/errors.ts";
import { locateKeys } from "../../src/identity/locate-keys.ts";

const KEYS = "https://issuer.example/keys";

/** @param documents By address; others are refused as a 404 would be. */
async function locate(issuer: string, documents: Record<string, unknown>) {
  const asked: string[] = [];
  const get = async (url: string) => {
    asked.push(url);
    if (documents[url] instanceof GateError) throw documents[url];
    if (url in documents) return documents[url];
    throw new GateError("keys_refused", "answered with status 404");
  };
  try {
    return { url: await locateKeys(issuer, get), asked };
  } catch (error) {
    if (!(error instanceof GateError)) throw error;
    return { error: error.message, asked };
  }
}

describe("locateKeys()", () => {
  test.each([
    ["https://issuer.example", "https://issuer.example/.well-known/openid-configuration"],
    ["https://issuer.example/", "https://issuer.example/.well-known/openid-configuration"],
    ["https://issuer.example/a/b", "https://issuer.example/a/b/.well-known/openid-configuration"],
    ["https://issuer.example/a/", "https://issuer.example/a/.well-known/openid-configuration"],
  ])("asks OpenID's address of %s first", async (issuer, url) => {
    expect(await locate(issuer, { [url]: { issuer, jwks_uri: KEYS } })).toEqual({
      url: KEYS,
      asked: [url],
    });
  });

  test.each([
    ["https://issuer.example", "https://issuer.example/.well-known/oauth-authorization-server"],
    ["https://issuer.example/", "https://issuer.example/.well-known/oauth-authorization-server"],
    [
      "https://issuer.example/a/b",
      "https://issuer.example/.well-known/oauth-authorization-server/a/b",
    ],
    [
      "https://issuer.example:8443/a/",
      "https://issuer.example:8443/.well-known/oauth-authorization-server/a",
    ],
  ])("then RFC 8414's of %s", async (issuer, url) => {
    const { url: found, asked } = await locate(issuer, { [url]: { issuer, jwks_uri: KEYS } });
    expect(found).toBe(KEYS);
    expect(asked[1]).toBe(url);
  });

  const OPENID = "https://issuer.example/.well-known/openid-configuration";
  test.each([
    [
      "another issuer",
      { issuer: "https://issuer.example/", jwks_uri: KEYS },
      "names another issuer",
    ],
    [
      "a list of issuers",
      { issuer: ["https://issuer.example"], jwks_uri: KEYS },
      "names another issuer",
    ],
    ["no issuer", { jwks_uri: KEYS }, "names another issuer"],
    ["a list", [], "names another issuer"],
    ["no jwks_uri", { issuer: "https://issuer.example" }, "has no jwks_uri"],
    [
      "plain http",
      { issuer: "https://issuer.example", jwks_uri: "http://issuer.example/keys" },
      "its jwks_uri is http, which is for loopback alone",
    ],
    [
      "a file",
      { issuer: "https://issuer.example", jwks_uri: "file:///keys" },
      "its jwks_uri is neither https nor http",
    ],
    [
      "this machine",
      { issuer: "https://issuer.example", jwks_uri: "http://127.0.0.1/keys" },
      "its jwks_uri is http, which is for loopback alone",
    ],
  ])("refuses a document with %s", async (_, document, why) => {
    const { error } = await locate("https://issuer.example", { [OPENID]: document });
    expect(error).toBe(`discovery: OpenID ${why}; RFC 8414 answered with status 404`);
  });

  test("does not ask a second time who does not answer", async () => {
    const down = new GateError("keys_unavailable", "no answer within 5000 ms");
    expect(await locate("https://issuer.example", { [OPENID]: down })).toEqual({
      error: "no answer within 5000 ms",
      asked: [OPENID],
    });
  });

  test.each(["urn:claimgate:x", "http://issuer.example", "issuer"])(
    "asks nobody about %s",
    async (issuer) => {
      const { error, asked } = await locate(issuer, {});
      expect(error).toStartWith("the issuer is ");
      expect(asked).toEqual([]);
    },
  );
});
