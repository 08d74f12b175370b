import { describe, expect, test } from "bun:test";
import type { RouteConfig } from "../../src/config/resolved.ts";
import { createOrigins } from "../../src/login/origins.ts";

const route = (host: string | undefined, login: boolean) =>
  ({
    match: { path: "/*", ...(host !== undefined && { host }) },
    ...(login && { login: {} }),
  }) as RouteConfig;

const origins = createOrigins({
  publicUrl: "https://gate.acme.dev",
  routes: [
    route("app.acme.dev", true),
    route("*.tools.acme.dev", true),
    route("plain.acme.dev", false),
    route(undefined, true),
  ],
});

describe("the origin of a request", () => {
  test.each([
    ["gate.acme.dev", "https://gate.acme.dev"],
    ["app.acme.dev", "https://app.acme.dev"],
    ["a.tools.acme.dev", "https://a.tools.acme.dev"],
    ["a.b.tools.acme.dev", undefined],
    ["tools.acme.dev", undefined],
    ["plain.acme.dev", undefined],
    ["evil.example", undefined],
  ])("%s is %s", (host, origin) => {
    expect(origins.of({ host })).toBe(origin);
  });

  test("has the port of publicUrl", () => {
    const local = createOrigins({
      publicUrl: "http://localhost:8080",
      routes: [route("app.localhost", true)],
    });
    expect(local.of({ host: "app.localhost" })).toBe("http://app.localhost:8080");
    expect([local.secure, origins.secure]).toEqual([false, true]);
  });
});

describe("an address to return to", () => {
  const read = (text: string) => origins.readReturn(text, "https://app.acme.dev")?.href;

  test.each([
    ["/", "https://app.acme.dev/"],
    ["/a/b?c=d#e", "https://app.acme.dev/a/b?c=d#e"],
    ["https://gate.acme.dev", "https://gate.acme.dev/"],
    ["https://a.tools.acme.dev/x", "https://a.tools.acme.dev/x"],
    ["/.claimgate/login", "https://app.acme.dev/"],
    ["https://gate.acme.dev/.CLAIMGATE/login", "https://gate.acme.dev/"],
  ])("%s is %s", (text, url) => {
    expect(read(text)).toBe(url);
  });

  test.each([
    "http://app.acme.dev/",
    "https://app.acme.dev:444/",
    "https://app.acme.dev:443/",
    "https://app.acme.dev./",
    "https://plain.acme.dev/",
    "https://APP.acme.dev/",
    "https://evil.example/",
  ])("%s is refused", (text) => {
    expect(read(text)).toBeUndefined();
  });
});
