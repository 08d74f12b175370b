/** Requests whose framing, headers or method lie; smuggling above all. */
import { describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-request.ts";
import { bearer, requestBytes, shoot } from "./attack-gate.ts";
import { bare, malformed, type Refused, token, useRequestGate } from "./request-gate.ts";

const { refuse, pass, world } = useRequestGate();

/** A request to a public route with these header lines besides Host, and bytes after them. */
const post = (lines: readonly string[], body = "") => ({
  method: "POST",
  target: "/public/x",
  lines,
  body,
});
const CHUNKED = "Transfer-Encoding: chunked";
type Shot = { readonly target: string; readonly lines: readonly string[] };
const posted = (shot: Shot, body = "") => ({ ...shot, method: "POST", body });
const INNER_TARGET = "/admin/inner";
const INNER = requestBytes({ target: INNER_TARGET });

describe("lengths", () => {
  refuse([
    bare("a length and chunks", post(["Content-Length: 6", CHUNKED], "0\r\n\r\nG")),
    bare("chunks and a length", post([CHUNKED, "Content-Length: 6"], "0\r\n\r\nG")),
    bare("two lengths that differ", post(["Content-Length: 0", "Content-Length: 5"], "abcde")),
    malformed(
      "two lengths that are the same",
      post(["Content-Length: 1", "Content-Length: 1"], "a"),
    ),
    bare("two lengths in one line", post(["Content-Length: 1, 1"], "a")),
    bare("a length with a sign", post(["Content-Length: +1"], "a")),
    bare("a negative length", post(["Content-Length: -1"], "a")),
    bare("a hexadecimal length", post(["Content-Length: 0x1"], "a")),
    bare("a length with an exponent", post(["Content-Length: 1e1"], "a")),
    bare("a length with a space in it", post(["Content-Length: 1 1"], "a")),
    bare("a length without a number", post(["Content-Length:"])),
    bare("a length beyond 64 bits", post(["Content-Length: 99999999999999999999999"], "a")),
    ["a length over the limit", post(["Content-Length: 1025"], "a".repeat(1025)), 413, "too_large"],
    ["a length far over the limit, unsent", post(["Content-Length: 99999999"]), 413, "too_large"],
  ]);
});

describe("transfer codings", () => {
  refuse([
    ...[
      "xchunked",
      "chunked, identity",
      "identity",
      "gzip, chunked",
      "gzip",
      "chunked, chunked",
      "\u000bchunked",
      "\u00a0chunked",
      '"chunked"',
      "chunked;a=b",
      "",
    ].map((coding) =>
      bare(JSON.stringify(coding), post([`Transfer-Encoding: ${coding}`], "0\r\n\r\n")),
    ),
    bare("twice", post([CHUNKED, CHUNKED], "0\r\n\r\n")),
    bare("twice, once of nothing", post([CHUNKED, "Transfer-Encoding: identity"], "0\r\n\r\n")),
    bare("a space before the colon", post(["Transfer-Encoding : chunked"], "0\r\n\r\n")),
    bare("folded", post(["Transfer-Encoding:\r\n chunked"], "0\r\n\r\n")),
    bare("a tab before the name", post(["\tTransfer-Encoding: chunked"], "0\r\n\r\n")),
  ]);
});

/** Of these the upstream may see the beginning, never a whole request. */
describe("chunks", () => {
  const chunks: readonly (readonly [string, string])[] = [
    ["a size that is no number", "zz\r\na\r\n0\r\n\r\n"],
    ["a size beyond 64 bits", "FFFFFFFFFFFFFFFFF\r\na\r\n0\r\n\r\n"],
    ["a negative size", "-1\r\na\r\n0\r\n\r\n"],
    ["a size with 0x", "0x1\r\na\r\n0\r\n\r\n"],
    ["a size too small", "1\r\nabc\r\n0\r\n\r\n"],
    ["bare line ends", "1\na\n0\n\n"],
  ];
  test.each([...chunks])("%s", async (_, body) => {
    const { gate, upstream } = world();
    const before = upstream.seen.length;
    const { status } = await shoot(gate, post([CHUNKED], body));
    expect(status).toBe(400);
    expect(upstream.seen.slice(before)).toEqual([]);
  });

  test("over the limit", async () => {
    const { gate, upstream } = world();
    const before = upstream.seen.length;
    const chunk = `200\r\n${"a".repeat(512)}\r\n`;
    const { status } = await shoot(gate, post([CHUNKED], `${chunk.repeat(3)}0\r\n\r\n`));
    // 413 while no answer has begun; nothing at all once it cannot be said any more.
    expect([413, 0]).toContain(status);
    expect(upstream.seen.slice(before)).toEqual([]);
  });

  // Bun's parser knows no trailers: it hands the body on, and ends the connection at them.
  test("a trailer sets no header", async () => {
    const { gate, upstream } = world();
    const before = upstream.seen.length;
    const body = "1\r\na\r\n0\r\nX-User: root\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    const lines = [CHUNKED, "Trailer: X-User", bearer(token())];
    const shot = { method: "POST", target: "/admin/x", lines, body };
    expect([200, 400]).toContain((await shoot(gate, shot)).status);
    for (const { headers } of upstream.seen.slice(before)) {
      expect(headers.get("x-user")).toBe("alice-3f9c1d");
      expect(headers.get("x-forwarded-for")).toBe("127.0.0.1");
      expect(headers.has("trailer")).toBe(false);
    }
  });
});

describe("a request within a request", () => {
  /** Each row has a target of its own: Bun may close the connection before the upstream hears. */
  const smuggled: readonly (readonly [string, (shot: (...lines: string[]) => Shot) => string])[] = [
    ["after no body", (shot) => requestBytes(posted(shot("Content-Length: 0"))) + INNER],
    ["after a GET", (shot) => requestBytes(shot()) + INNER],
    ["after the last chunk", (shot) => requestBytes(posted(shot(CHUNKED), "0\r\n\r\n")) + INNER],
    [
      "after an upgrade to nothing",
      (shot) => requestBytes(shot("Connection: Upgrade", "Upgrade: x")) + INNER,
    ],
    [
      "after an expectation",
      (shot) => requestBytes(posted(shot("Expect: 100-continue", "Content-Length: 0"))) + INNER,
    ],
    ["in a trailer", (shot) => requestBytes(posted(shot(CHUNKED), `1\r\na\r\n0\r\n${INNER}`))],
    [
      "in a chunk's extension",
      (shot) => requestBytes(posted(shot(CHUNKED), `1;a="\r\n${INNER}"\r\na\r\n0\r\n\r\n`)),
    ],
    ["after a HEAD", (shot) => requestBytes({ ...shot(), method: "HEAD" }) + INNER],
  ];
  test.each([...smuggled])("%s is a request of its own, or nothing", async (name, bytesOf) => {
    const { gate, upstream } = world();
    const target = `/public/${name.replace(/\W/g, "-")}`;
    const bytes = bytesOf((...lines) => ({ target, lines }));
    const { raw } = await rawRequest(gate.port, bytes, { until: "closed", limitMs: 300 });
    const statuses = [...raw.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
    expect(statuses.filter((status) => status !== 100).slice(1)).not.toContain(200);
    const targets = upstream.seen.map((seen) => seen.target);
    expect(targets).not.toContain(INNER_TARGET);
    expect(targets.filter((seen) => seen === target).length).toBeLessThanOrEqual(1);
  });

  test("a body that is a request is a body", async () => {
    const { gate, upstream } = world();
    const lines = [`Content-Length: ${INNER.length}`];
    expect((await shoot(gate, post(lines, INNER))).status).toBe(200);
    expect(upstream.seen.at(-1)).toMatchObject({ target: "/public/x", body: INNER });
  });

  test("a GET with a body keeps it, or is refused", async () => {
    const { gate, upstream } = world();
    const before = upstream.seen.length;
    const shot = { target: "/public/x", lines: ["Content-Length: 5"], body: "abcde" };
    const { status } = await shoot(gate, shot);
    const bodies = upstream.seen.slice(before).map(({ body }) => body);
    expect([status, bodies]).toEqual(status === 200 ? [200, ["abcde"]] : [400, []]);
  });
});

describe("upgrades", () => {
  const HANDSHAKE = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  const upgrade = (target: string, ...lines: readonly string[]) => ({
    target,
    lines: [...HANDSHAKE, ...lines],
  });
  refuse([
    ["to a guarded route, without a token", upgrade("/admin/x"), 401, "token_missing"],
    [
      "with a token in its protocols",
      upgrade("/admin/x", `Sec-WebSocket-Protocol: bearer, ${"x.y.z"}`),
      401,
      "token_missing",
    ],
    malformed("with a length", { ...upgrade("/public/x", "Content-Length: 5"), body: "abcde" }),
    malformed("with chunks", { ...upgrade("/public/x", CHUNKED), body: "0\r\n\r\n" }),
    ["to a path that is not there", upgrade("/nothing"), 404, "route_not_found"],
    ["by another method", { ...upgrade("/get/x"), method: "POST" }, 405, "method_not_allowed"],
  ]);

  test("to HTTP/2 in clear text is not done, nor passed on", async () => {
    const { gate, upstream } = world();
    const lines = [
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABk",
    ];
    expect((await shoot(gate, { target: "/public/x", lines })).status).toBe(200);
    const names = [...(upstream.seen.at(-1)?.headers.keys() ?? [])];
    expect(names).not.toContain("upgrade");
    expect(names).not.toContain("http2-settings");
    const guarded = await shoot(gate, { target: "/admin/x", lines });
    expect(guarded.status).toBe(401);
  });
});

describe("lines", () => {
  const line = (text: string) => `GET /public/x HTTP/1.1\r\nHost: gate.test\r\n${text}\r\n\r\n`;
  refuse([
    bare("a space before the colon", line("X-User : root")),
    bare("a folded line", line("X-A: b\r\n X-User: root")),
    bare("a folded first line", "GET /public/x HTTP/1.1\r\n Host: gate.test\r\n\r\n"),
    bare("a line without a colon", line("nothing")),
    bare("a line without a name", line(": nothing")),
    bare("a name with a space", line("X User: root")),
    bare("a name with a slash", line("X/User: root")),
    bare("a name with bytes beyond ASCII", line("X-Us\u00e9r: root")),
    bare("a NUL in a name", line("X-\u0000User: root")),
    bare("a NUL in a value", line("X-A: b\u0000c")),
    bare("a bare CR in a value", line("X-A: b\rX-User: root")),
    bare("a bare LF in a value", line("X-A: b\nX-User: root")),
    bare("an escape character in a value", line("X-A: \u001b[31m")),
    bare("bare LFs all through", "GET /public/x HTTP/1.1\nHost: gate.test\n\n", 505),
    bare("empty lines before it", `\r\n\r\n${line("X-A: b")}`),
    bare("HTTP/2 by its preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    bare("TLS", "\u0016\u0003\u0001\u0000\u00a5\u0001\u0000\u0000\u00a1\u0003\u0003\r\n\r\n"),
    bare("HTTP/0.9", "GET /public/x\r\n\r\n", 505),
    bare("HTTP/2.0", "GET /public/x HTTP/2.0\r\nHost: gate.test\r\n\r\n", 505),
    bare("HTTP/1.9", "GET /public/x HTTP/1.9\r\nHost: gate.test\r\n\r\n", 505),
    bare("two spaces before the target", "GET  /public/x HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
    bare("headers beyond the parser's own limit", line(`X-A: ${"a".repeat(70_000)}`), 431),
    ["headers beyond ours", line(`X-A: ${"a".repeat(50_000)}`), 431, "too_large"],
    ["many cookies", line(`Cookie: ${"a=b; ".repeat(10_000)}`), 431, "too_large"],
    ["a bearer token of 40 KB of dots", line(bearer(".".repeat(40_000))), 431, "too_large"],
  ]);
});

describe("methods", () => {
  const by = (method: string, target = "/public/x"): Refused[1] => ({ method, target });
  refuse([
    ["TRACE", by("TRACE"), 501, "method_unsupported"],
    ["TRACE of a guarded path", by("TRACE", "/admin/x"), 501, "method_unsupported"],
    ["CONNECT of a path", by("CONNECT"), 501, "method_unsupported"],
    ["POST, where only GET and DELETE are", by("POST", "/get/x"), 405, "method_not_allowed"],
    ["PUT, where only GET and DELETE are", by("PUT", "/get/x"), 405, "method_not_allowed"],
    ["OPTIONS, which is no exception", by("OPTIONS", "/get/x"), 405, "method_not_allowed"],
    ["PROPFIND", by("PROPFIND", "/get/x"), 405, "method_not_allowed"],
    ["DELETE, which is guarded", by("DELETE", "/get/x"), 401, "token_missing"],
    ["POST of a guarded path", { method: "POST", target: "/admin/x" }, 401, "token_missing"],
    // Bun's parser ends the connection at a method that it does not know.
    bare("a method that nobody knows", by("FOO"), 0),
    bare("get, in small letters", by("get"), 0),
    bare("GETX", by("GETX"), 0),
    bare("a method with a NUL", by("GE\u0000T"), 505),
  ]);
  pass([
    ["GET", { target: "/get/x" }, "/get/x"],
    [
      "a method that a header would override",
      {
        target: "/get/x",
        lines: [
          "X-HTTP-Method-Override: DELETE",
          "X-HTTP-Method: DELETE",
          "X-Method-Override: DELETE",
        ],
      },
      "/get/x",
    ],
    [
      "a method that the query would override",
      { target: "/get/x?_method=DELETE" },
      "/get/x?_method=DELETE",
    ],
  ]);

  test("405 names what there is", async () => {
    const { gate } = world();
    const { headers } = await shoot(gate, { method: "PUT", target: "/get/x" });
    expect(headers.allow?.split(", ").sort()).toEqual(["DELETE", "GET", "HEAD"]);
  });

  test("the upstream sees the method that was decided on", async () => {
    const { gate, upstream } = world();
    const lines = ["X-HTTP-Method-Override: DELETE"];
    await shoot(gate, { target: "/get/x", lines });
    expect(upstream.seen.at(-1)?.method).toBe("GET");
    expect(upstream.seen.at(-1)?.headers.has("x-http-method-override")).toBe(false);
  });
});
