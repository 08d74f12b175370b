import { describe, expect, test } from "bun:test";
import { decide } from "../../src/gate/decide.ts";
import { buildRouteTable } from "../../src/gate/match.ts";
import type { Route, Rules } from "../../src/gate/site.ts";
import { readPath } from "../../src/lib/path.ts";
import type { Inquiry } from "../../src/types.ts";

type Public = { path: string; ambiguousPaths?: "refuse" | "allow" };

/** Public routes, so that only the path decides. */
function rulesOf(...publics: Public[]): Rules {
  const routes = publics.map(({ path, ambiguousPaths = "refuse" }) => ({
    config: { name: path, match: { path }, public: true, ambiguousPaths },
  }));
  return { table: buildRouteTable(routes as unknown as Route[]) } as unknown as Rules;
}

async function decided(rules: Rules, rawPath: string): Promise<string> {
  const read = readPath(rawPath);
  if (!read.ok) return read.error;
  const inquiry = { host: "x", method: "GET", path: read.value.path } as Inquiry;
  const { route, result } = await decide(rules, inquiry, read.value.ambiguous);
  return result.ok ? (route?.config.name ?? "none") : (result.error.reason ?? result.error.code);
}

describe("decide(): paths that can be read in two ways", () => {
  const open = rulesOf({ path: "/*", ambiguousPaths: "allow" }, { path: "/@admin/*" });
  const strict = rulesOf({ path: "/*" }, { path: "/@admin/*" });

  test.each([
    ["/a", "/*"],
    ["/@admin/x", "/@admin/*"],
    ["/a%20b", "/*"],
    ["/%40user", "/*"],
    ["/%40admin/x", "path_readings_differ"],
    ["/%40admin", "path_readings_differ"],
    ["/@admin;v=1/x", "path_readings_differ"],
    ["/a;v=1/x", "/*"],
  ])("%s: %s, whether or not the route allows ambiguous paths", async (path, expected) => {
    expect(await decided(open, path)).toBe(expected);
    expect(await decided(strict, path)).toBe(expected);
  });

  test.each(["/a%2fb", "/a//b", "/a%5cb", "/a%252fb"])(
    "%s needs ambiguousPaths: allow",
    async (path) => {
      expect(await decided(strict, path)).toBe("path_ambiguous");
      expect(await decided(open, path)).toBe("/*");
    },
  );

  test.each(["/x/..%2f@admin/y", "//@admin/x", "/%2f@admin/x", "/x%2f..%2f%40admin/y"])(
    "%s is refused even then: a reading of it is another route",
    async (path) => {
      expect(await decided(open, path)).toBe("path_readings_differ");
    },
  );

  test("an ambiguous path that no route takes is 400, not 404", async () => {
    expect(await decided(rulesOf({ path: "/only" }), "/else//where")).toBe("path_ambiguous");
  });
});
