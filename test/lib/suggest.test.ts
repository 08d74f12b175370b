import { describe, expect, test } from "bun:test";
import { suggest } from "../../src/lib/suggest.ts";

const KNOWN = ["listen", "tls", "issuers", "routes", "policies", "policyTimeout", "trustedProxies"];

describe("suggest()", () => {
  test.each([
    ["rotues", "routes"],
    ["polices", "policies"],
    ["policytimeout", "policyTimeout"],
    ["trusted_proxies", "trustedProxies"],
    ["trusted-proxy", "trustedProxies"],
    ["issuer", "issuers"],
    ["tsl", "tls"],
  ])("%s may have meant %s", (written, meant) => {
    expect(suggest(written, KNOWN)).toBe(meant);
  });

  test.each(["", "session", "xyz", "r".repeat(1000)])("has no idea what %j meant", (written) => {
    expect(suggest(written, KNOWN)).toBeUndefined();
  });
});
