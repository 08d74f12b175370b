import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { canonicalHost, isLoopbackHost } from "../../src/lib/host.ts";

describe("canonicalHost()", () => {
  test.each([
    ["api.acme.dev", "api.acme.dev"],
    ["API.Acme.DEV", "api.acme.dev"],
    ["api.acme.dev:8443", "api.acme.dev"],
    ["api.acme.dev.", "api.acme.dev"],
    ["api.acme.dev.:443", "api.acme.dev"],
    ["localhost:8080", "localhost"],
    ["127.0.0.1:80", "127.0.0.1"],
    ["my_app", "my_app"],
    ["[::1]:8080", "[::1]"],
    ["[2001:DB8:0:0::1]", "[2001:db8::1]"],
    ["[::ffff:10.0.0.1]", "10.0.0.1"],
  ])("%s is %s", (text, host) => {
    expect(canonicalHost(text)).toBe(host);
  });

  test.each([
    "",
    ".",
    "..",
    "a..b",
    ".a",
    "a..",
    "a,b",
    "a@b",
    "a/b",
    "a?b",
    "a b",
    " a",
    "a:",
    "a:x",
    "a:123456",
    "a:1:2",
    "bücher.de",
    "a%2eb",
    "[::1",
    "[]",
    "[a.b]",
    "[1.2.3.4]",
    "[::1%25eth0]",
    `${"a".repeat(64)}.dev`,
    Array(64).fill("aaaa").join("."),
    "*.acme.dev",
  ])("refuses %j", (text) => {
    expect(canonicalHost(text)).toBeUndefined();
  });

  test("changes nothing the second time", () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.ipV6(), fc.string()), (text) => {
        const host = canonicalHost(text);
        if (host !== undefined) expect(canonicalHost(host)).toBe(host);
      }),
    );
  });
});

describe("isLoopbackHost()", () => {
  test.each([
    "localhost",
    "LOCALHOST",
    "app.localhost",
    "127.0.0.1",
    "127.255.0.9",
    "::1",
    "[::1]",
    "::ffff:127.0.0.1",
    "[0:0:0:0:0:0:0:1]",
  ])("%s stays on this machine", (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });

  test.each([
    "",
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "127.0.0.1.evil.dev",
    "localhost.evil.dev",
    "notlocalhost",
    "128.0.0.1",
    "127.1",
    "::2",
    "1.127.0.0",
  ])("%j does not", (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  });
});
