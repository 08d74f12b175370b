import { describe, expect, test } from "bun:test";
import { buildRouteTable, matchRoute } from "../../src/gate/match.ts";
import type { Denial } from "../../src/types.ts";

type Pattern = { host?: string; path?: string; methods?: string[] };

/** Routes in the order given, each named by its place; `find` answers with a name or a code. */
function table(...patterns: Pattern[]) {
  const routes = patterns.map(({ host, path = "/*", methods }, index) => ({
    name: index,
    // Only `match` is looked at.
    config: { match: { path, ...(host && { host }), ...(methods && { methods }) } },
  }));
  const built = buildRouteTable(routes as never);
  return (host: string, path: string, method = "GET") => {
    const found = matchRoute(built, host, path, method);
    return found.ok ? (found.value as unknown as { name: number }).name : found.error;
  };
}

const NOT_FOUND: Denial = { status: 404, code: "route_not_found" };

describe("matchRoute(): hosts", () => {
  const find = table({}, { host: "*.acme.dev" }, { host: "api.acme.dev" });

  test("an exact host wins over a wildcard, a wildcard over none, whatever the order", () => {
    expect(find("api.acme.dev", "/")).toBe(2);
    expect(find("www.acme.dev", "/")).toBe(1);
    expect(find("other.dev", "/")).toBe(0);
  });

  test("a wildcard stands for one label, never for none or two", () => {
    const only = table({ host: "*.acme.dev" });
    expect(only("acme.dev", "/")).toEqual(NOT_FOUND);
    expect(only("a.b.acme.dev", "/")).toEqual(NOT_FOUND);
    expect(only(".acme.dev", "/")).toEqual(NOT_FOUND);
  });

  test("a host comes before a path: a shorter path at the exact host wins", () => {
    const both = table({ path: "/orders/1" }, { host: "api.acme.dev", path: "/*" });
    expect(both("api.acme.dev", "/orders/1")).toBe(1);
  });

  test("a host without a fitting path leaves the request to the less specific host", () => {
    const both = table({ path: "/*" }, { host: "api.acme.dev", path: "/orders/*" });
    expect(both("api.acme.dev", "/elsewhere")).toBe(0);
  });
});

describe("matchRoute(): paths", () => {
  const find = table({ path: "/*" }, { path: "/a/*" }, { path: "/a/b/*" }, { path: "/a/b" });

  test("an exact path wins over the longest prefix", () => {
    expect(find("x", "/a/b")).toBe(3);
    expect(find("x", "/a/b/")).toBe(2);
    expect(find("x", "/a/b/c/d")).toBe(2);
    expect(find("x", "/a/c")).toBe(1);
    expect(find("x", "/")).toBe(0);
  });

  test("a prefix matches itself, and only whole segments", () => {
    const only = table({ path: "/orders/*" });
    expect(only("x", "/orders")).toBe(0);
    expect(only("x", "/orders/")).toBe(0);
    expect(only("x", "/ordersx")).toEqual(NOT_FOUND);
    expect(only("x", "/order")).toEqual(NOT_FOUND);
    expect(only("x", "/x/orders/1")).toEqual(NOT_FOUND);
  });

  test("paths are compared with case", () => {
    expect(table({ path: "/Admin" })("x", "/admin")).toEqual(NOT_FOUND);
  });

  test("a path much longer than any prefix still finds the longest", () => {
    expect(find("x", `/a/b/${"c/".repeat(2000)}`)).toBe(2);
    expect(find("x", `/a/bb${"c".repeat(2000)}`)).toBe(1);
  });
});

describe("matchRoute(): methods", () => {
  const find = table(
    { path: "/*" },
    { path: "/orders/*", methods: ["GET"] },
    { path: "/orders/*", methods: ["POST", "PUT"] },
  );

  test("routes of one path are told apart by method", () => {
    expect(find("x", "/orders/1", "GET")).toBe(1);
    expect(find("x", "/orders/1", "PUT")).toBe(2);
  });

  test("GET implies HEAD", () => {
    expect(find("x", "/orders/1", "HEAD")).toBe(1);
  });

  test("no method there is 405 with all of them, never a less specific route", () => {
    const allow = ["GET", "HEAD", "POST", "PUT"];
    const denial: Denial = { status: 405, code: "method_not_allowed", allow };
    expect(find("x", "/orders/1", "DELETE")).toEqual(denial);
  });
});
