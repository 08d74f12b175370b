import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readings, readPath } from "../../src/lib/path.ts";
import { scriptedUpstream, startProxy } from "../proxy/proxy-fixture.ts";
import { rawRequest } from "../support/raw-request.ts";

const read = (path: string) => {
  const result = readPath(path);
  return result.ok ? result.value : result.error;
};

describe("readPath()", () => {
  test.each([
    "/",
    "/a",
    "/a/",
    "/a/b.c/d-e_f~g",
    "/.well-known/openid",
    "/a/.hidden/...",
    "/a..b",
    "/!$&'()*+,=:@",
    "/a;b=c/d",
    "/caf%C3%A9",
    "/%E2%82%AC%20x",
    "/100%25",
    "/a%3Fb%23c",
    "/users/a%40b.dev",
  ])("leaves %s as it is", (path) => {
    expect(read(path)).toEqual({ path, ambiguous: false });
  });

  test.each([
    ["/%61dmin", "/admin"],
    ["/%41%5A%30%2D%2e%5f%7E", "/AZ0-._~"],
    ["/a%2Eb", "/a.b"],
  ])("decodes unreserved characters: %s is %s", (raw, path) => {
    expect(read(raw)).toEqual({ path, ambiguous: false });
  });

  test.each([
    ["/a%2fb", "/a%2fb"],
    ["/a%2Fb", "/a%2Fb"],
    ["/a%5cb", "/a%5cb"],
    ["/a%5Cb", "/a%5Cb"],
    ["//a", "//a"],
    ["/a//b", "/a//b"],
    ["/a//", "/a//"],
    ["/a%2541", "/a%2541"],
    ["/a%252fb", "/a%252fb"],
    ["/a%25%34%31", "/a%2541"],
    ["/..;/b", "/..;/b"],
    ["/a/.;x/b", "/a/.;x/b"],
    ["/a/%2e%2e;/b", "/a/..;/b"],
    ["/a/..%3b/b", "/a/..%3b/b"],
    ["/..%2fb", "/..%2fb"],
    ["/caf%C3%83%C2%A9", "/caf%C3%83%C2%A9"], // `é` sent as raw UTF-8
    ["/%C3%A2%C2%AC%C2%A2", "/%C3%A2%C2%AC%C2%A2"],
  ])("calls %s ambiguous", (raw, path) => {
    expect(read(raw)).toEqual({ path, ambiguous: true });
  });

  test.each([
    ["", "path_relative"],
    ["a", "path_relative"],
    ["/a#b", "path_fragment"],
    ["/a b", "path_character"],
    ["/a\\b", "path_character"],
    ["/a?b", "path_character"],
    ["/é", "path_character"],
    ['/a"b', "path_character"],
    ["/a\nb", "path_character"],
    ["/a%", "path_escape_invalid"],
    ["/a%4", "path_escape_invalid"],
    ["/a%zz", "path_escape_invalid"],
    ["/a%%41", "path_escape_invalid"],
    ["/%c0%af", "path_utf8_invalid"], // overlong "/"
    ["/%e0%80%af", "path_utf8_invalid"],
    ["/%f0%80%80%af", "path_utf8_invalid"],
    ["/%ed%a0%80", "path_utf8_invalid"], // a surrogate
    ["/%f4%90%80%80", "path_utf8_invalid"], // beyond U+10FFFF
    ["/%ff", "path_utf8_invalid"],
    ["/%c3", "path_utf8_invalid"],
    ["/a%00", "path_control"],
    ["/a%0d%0aX: y", "path_character"],
    ["/a%0d%0a", "path_control"],
    ["/a%7f", "path_control"],
    ["/a%c2%85", "path_control"],
    ["/a/../b", "path_dot_segment"],
    ["/a/%2e%2e/b", "path_dot_segment"],
    ["/.", "path_dot_segment"],
  ])("never allows %j: %s", (raw, reason) => {
    expect(readPath(raw)).toMatchObject({ ok: false, error: reason });
  });

  test("gives a fixed point of itself and of the URL parser", () => {
    fc.assert(
      fc.property(rawPath(), (raw) => {
        const result = readPath(raw);
        fc.pre(result.ok);
        const { path } = result.value;
        expect(readPath(path)).toEqual(result);
        expect(new URL(`http://host${path}`).pathname).toBe(path);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("readings()", () => {
  test.each([
    ["/a/b", []],
    ["/a;x/b;y=1", ["/a/b"]],
    ["/a//b", ["/a/b"]],
    ["/a%2fb", ["/a/b"]],
    ["/a%5cb", ["/a/b"]],
    ["/public/..%2fadmin", ["/admin"]],
    ["/public/..;/admin", ["/admin"]],
    ["/public/;/..;/admin", ["/admin", "/public/admin"]],
    ["/public//..%2f..%2fadmin", ["/admin"]],
    ["/a%252fb", ["/a%2fb", "/a/b"]],
    ["/%252e%252e%252fadmin", ["/admin"]],
    ["/%40admin", ["/@admin"]],
    ["/caf%c3%a9", ["/caf%C3%A9"]],
  ])("of %s contain %j", (path, expected) => {
    const found = readings(path);
    expect(found).not.toContain(path);
    expect(found).toEqual(expect.arrayContaining(expected));
    if (expected.length === 0) expect(found).toEqual([]);
  });

  test("of an escape without end hold one that is no path", () => {
    expect(readings(`/a${"%25".repeat(1)}${"25".repeat(50)}2f`)).toContain("?");
  });
});

const PIECES = [
  ..."/ / / . .. ; : @ ' ~ a b admin public é % %2 %zz %41 %2e %2E %2f %5c %5C %25 %25 25 2f".split(
    " ",
  ),
  ...'%00 %0a %7f %c3%a9 %C3%A9 %c0%af %e0%80 %ff %20 %3b %3f %23 \\ ? # | ^ [ ] { } < > " `'.split(
    " ",
  ),
  "\xe9",
  "\x7f",
];

const rawPath = () =>
  fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => `/${pieces.join("")}`);

test("the path decided on is the path that the upstream receives, or the answer is 400", async () => {
  using upstream = scriptedUpstream();
  await using proxy = startProxy([upstream.origin]);
  await fc.assert(
    fc.asyncProperty(rawPath(), async (raw) => {
      upstream.exchanges.length = 0;
      proxy.decided.length = 0;
      const bytes = Buffer.from(raw).toString("latin1");
      const { status } = await rawRequest(proxy.port, `GET ${bytes} HTTP/1.1\r\nHost: x\r\n\r\n`);
      if (status === 400) {
        expect(upstream.exchanges).toEqual([]);
        return;
      }
      expect(status).toBe(200);
      const seen = upstream.exchanges.map(({ request }) => request.split(" ")[1]?.split("?")[0]);
      expect(seen).toEqual(proxy.decided);
      expect(seen).toHaveLength(1);
    }),
    { numRuns: 250 },
  );
});
