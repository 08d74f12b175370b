/** Requests whose path, target or host two parsers would read in two ways. */
import { describe, expect, test } from "bun:test";
import { bearer, shoot } from "./attack-gate.ts";
import { bare, malformed, type Refused, token, useRequestGate } from "./request-gate.ts";

const { refuse, pass, world } = useRequestGate();

const at = (target: string) => ({ target });
const missing = (name: string, request: Refused[1]): Refused => [
  name,
  request,
  401,
  "token_missing",
];
const unknown = (name: string, request: Refused[1]): Refused => [
  name,
  request,
  404,
  "route_not_found",
];

describe("a guarded path, as itself", () => {
  refuse([
    missing("plain", at("/admin/x")),
    missing("its prefix", at("/admin")),
    missing("with a slash after it", at("/admin/")),
    missing("exact", at("/exact")),
    unknown("exact, with a slash after it", at("/exact/")),
    unknown("in capitals, which is another path", at("/ADMIN/x")),
    unknown("a longer word", at("/administrator")),
    unknown("a word of one letter more", at("/adminx")),
    unknown("the root", at("/")),
  ]);
});

describe("a guarded path behind a public one", () => {
  refuse([
    missing("dot segments", at("/public/../admin/x")),
    missing("escaped dot segments", at("/public/%2e%2e/admin/x")),
    missing("escaped dot segments, in capitals", at("/public/%2E%2E/admin/x")),
    missing("half-escaped dot segments", at("/public/.%2e/admin/x")),
    missing("backslashes", at("/public\\..\\admin\\x")),
    missing("more dot segments than there are segments", at("/public/../../../admin/x")),
    missing("a dot segment at the end", at("/public/x/../../admin/x/..")),
    missing("single dots", at("/./admin/./x")),
    missing("escaped letters", at("/%61dm%69n/x")),
    missing("a query that looks public", at("/admin/x?/public/")),
    missing("a query with a public path", at("/admin/x?path=/public/../public/x")),
    missing("a query of question marks", at("/admin/x??/public/")),
    missing("an absolute target", at("http://gate.test/admin/x")),
    missing("an absolute target of another host", at("http://all.test/admin/x")),
    missing("the gate's own name in the middle", at("/admin/.claimgate/health")),
    missing("behind the gate's own name", at("/.claimgate/../admin/x")),
    missing("behind the gate's own name, escaped", at("/.claimgate/%2e%2e/admin/x")),
    malformed("an escaped slash after dots", at("/public/..%2fadmin/x")),
    malformed("an escaped slash after dots, in capitals", at("/public/..%2Fadmin/x")),
    malformed("everything escaped", at("/public/%2e%2e%2fadmin/x")),
    malformed("an escaped backslash", at("/public/..%5cadmin/x")),
    malformed("escaped twice", at("/public/%252e%252e/admin/x")),
    malformed("an escaped slash, escaped twice", at("/public/..%252fadmin/x")),
    malformed("an escape of escaped digits", at("/public/..%25%32%66admin/x")),
    malformed("a dot segment with a semicolon", at("/public/..;/admin/x")),
    malformed("a dot segment with a parameter", at("/public/..;a=b/admin/x")),
    malformed("a dot with a semicolon", at("/public/.;/admin/x")),
    malformed("a dot segment with an escaped semicolon", at("/public/..%3b/admin/x")),
  ]);
});

describe("paths of more than one reading", () => {
  refuse([
    malformed("an escaped slash", at("/public/a%2fb")),
    malformed("an escaped slash for the one between", at("/public%2fx")),
    malformed("an escaped backslash", at("/public/a%5cb")),
    malformed("an escaped backslash, in capitals", at("/public/a%5Cb")),
    malformed("an escaped percent sign before digits", at("/public/%2541")),
    malformed("two slashes", at("/public//x")),
    malformed("two slashes at the end", at("/public/x//")),
    malformed("two slashes at the beginning", at("//public/x")),
    malformed("an authority for a path", at("//evil.test/public/x")),
    malformed("slashes that backslashes make", at("/public\\\\x")),
    malformed("a fragment", at("/public/x#y")),
    malformed("a fragment before a guarded path", at("/public/x#/../../admin")),
    malformed("a fragment after a guarded path", at("/admin/secret#/public")),
    malformed("a fragment in the query", at("/public/x?a#b")),
    malformed("NUL", at("/public/%00")),
    malformed("NUL before an ending", at("/admin/x%00.css")),
    malformed("a line end", at("/public/%0d%0aX-User:%20root")),
    malformed("a tab", at("/public/%09x")),
    malformed("an escape character", at("/public/%1b[31m")),
    malformed("DEL", at("/public/%7f")),
    malformed("a C1 control", at("/public/%c2%85")),
    malformed("an overlong slash", at("/public/..%c0%afadmin")),
    malformed("an overlong dot", at("/public/%c0%ae%c0%ae/admin")),
    malformed("a longer overlong slash", at("/public/..%e0%80%afadmin")),
    malformed("bytes that are no UTF-8", at("/public/%ff")),
    malformed("a surrogate", at("/public/%ed%a0%80")),
    malformed("a cut-off character", at("/public/%e2%82")),
    malformed("a lone percent sign", at("/public/%")),
    malformed("an escape of one digit", at("/public/%2")),
    malformed("an escape of no digits", at("/public/%zz")),
    malformed("a Unicode escape of IIS", at("/public/%u002e%u002e/admin")),
    malformed("two slashes at the gate's own name", at("/.claimgate//health")),
    malformed("an escaped slash at the gate's own name", at("/.claimgate/x%2fhealth")),
  ]);
});

describe("what only looks odd", () => {
  pass([
    ["escaped letters, decoded", at("/public/%61%2d%2E%7e"), "/public/a-.~"],
    ["escaped UTF-8", at("/public/z%C3%BCrich"), "/public/z%C3%BCrich"],
    ["an escaped space", at("/public/a%20b"), "/public/a%20b"],
    ["an escaped percent sign", at("/public/100%25"), "/public/100%25"],
    ["an escaped question mark", at("/public/a%3fb"), "/public/a%3fb"],
    ["an escaped number sign", at("/public/a%23b"), "/public/a%23b"],
    ["a parameter within the route", at("/public/a;v=1/b"), "/public/a;v=1/b"],
    ["dots that are no segment", at("/public/..a/b../..."), "/public/..a/b../..."],
    ["a query of anything", at("/public/x?a=%2f..%2f&b=%00"), "/public/x?a=%2f..%2f&b=%00"],
    ["an absolute target", at("http://gate.test/public/x"), "/public/x"],
    ["a stripped prefix", at("/strip/x/y"), "/x/y"],
    ["a stripped prefix, alone", at("/strip"), "/"],
    ["dots in a stripped prefix", at("/strip/x/../y"), "/y"],
  ]);
  refuse([
    malformed("a slash after a stripped prefix", at("/strip//admin")),
    malformed("an escaped slash after a stripped prefix", at("/strip/%2f/evil.test")),
    missing("out of a stripped prefix", at("/strip/../admin/x")),
  ]);
});

describe("a semicolon that would change the route", () => {
  const all = (target: string) => ({ target, host: "all.test" });
  refuse([
    malformed("in the public word", all("/public;/x")),
    malformed("in the public word, with a parameter", all("/public;a=b/x")),
    malformed("before the public word", all("/;/public/x")),
    missing("within the same route", all("/x;a=b/y")),
  ]);
  pass([["within the public route", all("/public/x;a=b"), "/public/x;a=b"]]);
});

describe("where ambiguous paths are allowed", () => {
  pass([
    ["an escaped slash, as it came", at("/loose/a%2fb"), "/loose/a%2fb"],
    ["an escaped slash in capitals, as it came", at("/loose/a%2Fb"), "/loose/a%2Fb"],
    ["two slashes, as they came", at("/loose//x"), "/loose//x"],
    ["escaped twice, as it came", at("/loose/a%252fb"), "/loose/a%252fb"],
  ]);
  refuse([
    malformed("dots behind an escaped slash lead out", at("/loose/..%2fadmin/x")),
    malformed("dots behind an escaped backslash lead out", at("/loose/..%5cadmin/x")),
    malformed("an escaped slash leads to another route", at("/loose/admin%2fx")),
    malformed("two slashes lead to another route", at("/loose//admin/x")),
    malformed("a semicolon leads to another route", at("/loose/admin;/x")),
    malformed("a dot segment with a semicolon leads out", at("/loose/..;/admin/x")),
    malformed("dots within lead to another route", at("/loose/a%2f..%2fadmin/x")),
    malformed("NUL, never", at("/loose/%00")),
    malformed("a control, never", at("/loose/%0a")),
    malformed("a bad escape, never", at("/loose/%zz")),
    malformed("overlong UTF-8, never", at("/loose/%c0%af")),
    malformed("bytes that are no UTF-8, never", at("/loose/%ff")),
    malformed("a fragment, never", at("/loose/x#y")),
  ]);
});

describe("targets that are no path", () => {
  refuse([
    bare("an asterisk", { method: "OPTIONS", target: "*" }),
    bare("a word", at("admin/x")),
    bare("a query", at("?x")),
    bare("nothing", at("")),
    bare("a space in it", at("/public/a b"), 505),
    bare("a tab in it", at("/public/a\tb"), 505),
    [
      "an authority, to be connected to",
      { method: "CONNECT", target: "127.0.0.1:80" },
      501,
      "method_unsupported",
    ],
    ["longer than any browser sends", at(`/public/${"a".repeat(20_000)}`), 414, "too_large"],
    [
      "a query longer than any browser sends",
      at(`/public/?${"a".repeat(20_000)}`),
      414,
      "too_large",
    ],
  ]);

  // Bun hands them over escaped, once or twice: they are refused, or are what is forwarded.
  test.each([
    ["UTF-8", "/public/z\u00c3\u00bcrich"],
    ["a byte that is no UTF-8", "/public/\u00ff"],
    ["an overlong slash", "/public/..\u00c0\u00afadmin"],
  ])("bytes beyond ASCII: %s", async (_, target) => {
    const { gate, upstream } = world();
    const before = upstream.seen.length;
    const { status } = await shoot(gate, { target });
    const seen = upstream.seen.slice(before);
    if (status !== 400) {
      expect([status, seen.length]).toEqual([200, 1]);
      expect(seen[0]?.target).toMatch(/^\/public\/[\x21-\x7e]+$/);
      expect(seen[0]?.target).not.toMatch(/%00|%2f|%5c|%25/i);
    }
    expect((await shoot(gate, { target: target.replace("public", "admin") })).status).not.toBe(200);
  });
});

describe("hosts", () => {
  const hosted = (host: string) => ({ target: "/hosted/x", host });
  const lines = (...rest: readonly string[]) =>
    `${["GET /hosted/x HTTP/1.1", ...rest].join("\r\n")}\r\n\r\n`;
  refuse([
    missing("of a guarded route", hosted("secret.test")),
    missing("in capitals", hosted("SECRET.Test")),
    missing("with a port", hosted("secret.test:8443")),
    missing("with a trailing dot", hosted("secret.test.")),
    missing("with a trailing dot and a port", hosted("Secret.Test.:80")),
    missing("of a wildcard", hosted("a.wild.test")),
    missing("of a wildcard, in capitals", hosted("A.WILD.TEST:80")),
    missing("in an absolute target, which is not looked at", {
      target: "http://gate.test/hosted/x",
      host: "secret.test",
    }),
    malformed("empty", hosted("")),
    malformed("white space", hosted("   ")),
    malformed("with a user", hosted("gate.test@secret.test")),
    malformed("with a comma", hosted("gate.test,secret.test")),
    malformed("with a slash", hosted("secret.test/x")),
    malformed("with a backslash", hosted("secret.test\\x")),
    malformed("with a question mark", hosted("secret.test?x")),
    malformed("with a number sign", hosted("secret.test#x")),
    malformed("with a space", hosted("secret.test x")),
    malformed("with an escape", hosted("secret%2etest")),
    malformed("with a port that is none", hosted("secret.test:http")),
    malformed("with two ports", hosted("secret.test:80:80")),
    malformed("with an open bracket", hosted("[::1")),
    malformed("bytes beyond ASCII", hosted("s\u00e9cret.test")),
    malformed("two trailing dots", hosted("secret.test..")),
    malformed("an empty label", hosted("secret..test")),
    malformed("given twice", lines("Host: gate.test", "Host: secret.test")),
    malformed("given twice, the same", lines("Host: gate.test", "host: gate.test")),
    malformed("given twice, once empty", lines("Host: gate.test", "Host:")),
    malformed("absent, in HTTP/1.0", "GET /public/x HTTP/1.0\r\n\r\n"),
    bare("absent, in HTTP/1.1", "GET /public/x HTTP/1.1\r\n\r\n"),
    bare("with a space before the colon", lines("Host : gate.test")),
    bare("with a NUL", lines("Host: gate\u0000.test")),
  ]);
  pass([
    ["of no guarded route", hosted("gate.test"), "/hosted/x"],
    ["two labels before a wildcard's domain", hosted("a.b.wild.test"), "/hosted/x"],
    ["the wildcard's domain itself", hosted("wild.test"), "/hosted/x"],
  ]);
});

describe("the gate's own addresses", () => {
  refuse([
    unknown("a name that is not there", at("/.claimgate/nothing")),
    unknown("no name", at("/.claimgate/")),
    unknown("a name of every object", at("/.claimgate/constructor")),
    unknown("a prototype", at("/.claimgate/__proto__")),
    unknown("the profiler of other servers", at("/.claimgate/debug/pprof")),
    unknown("the metrics", at("/.claimgate/metrics")),
    unknown("forward-auth from anybody", at("/.claimgate/verify")),
    // Under a host whose one route takes every path, for a caller who may.
    ...["/.claimgate;x/health", "/.claimgate;/verify", "/;x/.claimgate/health"].map((target) =>
      malformed(`a semicolon in ${target}`, {
        host: "all.test",
        target,
        lines: [bearer(token())],
      }),
    ),
    ["health by POST", { method: "POST", target: "/.claimgate/health" }, 405, "method_not_allowed"],
  ]);

  test("a health check's user agent opens nothing", async () => {
    const { gate, upstream } = world();
    for (const agent of ["GoogleHC/1.0", "kube-probe/1.27", "ELB-HealthChecker/2.0"]) {
      const answer = await shoot(gate, { target: "/admin/x", lines: [`User-Agent: ${agent}`] });
      expect(answer.status).toBe(401);
    }
    expect(upstream.seen.filter(({ target }) => target.startsWith("/admin"))).toEqual([]);
  });

  test("health and readiness tell no address, no key, no path", async () => {
    const { gate } = world();
    for (const name of ["health", "ready"]) {
      const { status, body } = await shoot(gate, { target: `/.claimgate/${name}` });
      expect(status).toBe(200);
      expect(body).not.toContain("127.0.0.1");
      expect(body).not.toContain("http");
      expect(body).not.toContain(gate.folder);
    }
  });

  test("a token changes nothing there", async () => {
    const { gate } = world();
    const lines = [bearer(token())];
    expect((await shoot(gate, { target: "/.claimgate/metrics", lines })).status).toBe(404);
  });
});
