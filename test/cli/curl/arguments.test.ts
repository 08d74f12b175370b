import { describe, expect, test } from "bun:test";
import { readCurlArguments } from "../../../src/cli/curl/arguments.ts";

const URL = "https://api.test/x";

describe("readCurlArguments()", () => {
  test.each([
    [[URL], [], false],
    [["-sSL", URL], ["-sSL"], true],
    [["--location", URL], ["--location"], true],
    [[URL, "-X", "POST", "-d", "a=b"], ["-X", "POST", "-d", "a=b"], false],
    [["-XPOST", "-sd@-", URL], ["-XPOST", "-sd@-"], false],
    [["-o", "-", URL], ["-o", "-"], false],
    [["-d", "https://other.test/", URL], ["-d", "https://other.test/"], false],
    [["--json", "{}", "-H", "X-Case: 7", URL], ["--json", "{}", "-H", "X-Case: 7"], false],
    [["-o", "-L", URL], ["-o", "-L"], false],
  ])("takes %j", (args, rest, follows) => {
    expect(readCurlArguments(args)).toEqual({ ok: true, value: { url: URL, rest, follows } });
  });

  const ELSEWHERE: readonly (readonly string[])[] = [
    ["-v"],
    ["-sv"],
    ["--verbose"],
    ["--trace-ascii", "-"],
    ["-K", "file"],
    ["--config", "file"],
    ["-x", "http://proxy.test"],
    ["--proxy", "http://proxy.test"],
    ["--preproxy", "x"],
    ["--location-trusted"],
    ["--url", "https://other.test"],
    ["--next"],
    ["-:"],
    ["-k"],
    ["--insecure"],
    ["--connect-to", "::other.test:443"],
    ["--resolve", "api.test:443:192.0.2.1"],
    ["--unix-socket", "/x"],
    ["--proto", "all"],
    ["-Z"],
    ["-n"],
    ["-u", "a:b"],
    ["--oauth2-bearer", "x"],
    ["--loc"],
    ["--"],
    ["--libcurl", "-"],
    ["-H", "Authorization: Basic eA=="],
    ["-HAuthorization: x"],
    ["-sHauthorization:x"],
    ["-H", "authorization;"],
  ];

  test.each(ELSEWHERE.map((args) => [args]))("refuses %j", (args) => {
    expect(readCurlArguments([...args, URL]).ok).toBe(false);
    expect(readCurlArguments([URL, ...args]).ok).toBe(false);
  });

  test.each([[[]], [[URL, "https://other.test/"]], [[URL, "-"]], [["-o"]]])(
    "refuses %j, which is no one address",
    (args) => {
      expect(readCurlArguments(args).ok).toBe(false);
    },
  );
});
