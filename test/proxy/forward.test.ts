import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { rawRequest } from "../support/raw-request.ts";
import { headerIn, namesIn, OK, scriptedUpstream, startProxy, until } from "./proxy-fixture.ts";

const request = (method: string, target = "/", headers = "", body = "") =>
  `${method} ${target} HTTP/1.1\r\nHost: gate.dev\r\n${headers}\r\n${body}`;
const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

describe("a request", () => {
  test("reaches the upstream with these fields and no others", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin]);
    await rawRequest(proxy.port, request("GET", "/a?b='%27+%zz", "X-Mine: \xe9\r\n"));
    const [seen] = upstream.exchanges;
    expect(seen?.request.split("\r\n")[0]).toBe("GET /a?b=%27%27+%zz HTTP/1.1");
    expect(namesIn(seen?.request ?? "").sort()).toEqual([
      "accept",
      "connection",
      "host",
      "user-agent",
      "x-forwarded-for",
      "x-forwarded-host",
      "x-forwarded-proto",
      "x-mine",
      "x-request-id",
    ]);
    expect(headerIn(seen?.request ?? "", "user-agent")).toBe("");
    expect(headerIn(seen?.request ?? "", "accept")).toBe("");
    expect(headerIn(seen?.request ?? "", "host")).toBe(`127.0.0.1:${upstream.port}`);
    expect(headerIn(seen?.request ?? "", "x-mine")).toBe("\xe9");
  });

  test("keeps its Host where the route says so", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin], { route: { preserveHost: true } });
    await rawRequest(proxy.port, request("GET"));
    expect(headerIn(upstream.exchanges[0]?.request ?? "", "host")).toBe("gate.dev");
  });

  test.each(["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "OPTIONS"])(
    "%s keeps its body and its length, and chunks stay chunks",
    async (method) => {
      using upstream = scriptedUpstream();
      await using proxy = startProxy([upstream.origin]);
      await rawRequest(proxy.port, request(method, "/", "Content-Length: 5\r\n", "hello"));
      await rawRequest(
        proxy.port,
        request(method, "/", "Transfer-Encoding: chunked\r\n", chunked("hello")),
      );
      const [known, unknown] = upstream.exchanges.map((exchange) => exchange.request);
      expect(headerIn(known ?? "", "content-length")).toBe("5");
      expect(known?.endsWith("\r\n\r\nhello")).toBe(true);
      expect(namesIn(known ?? "")).not.toContain("transfer-encoding");
      expect(headerIn(unknown ?? "", "transfer-encoding")).toBe("chunked");
      expect(unknown?.endsWith("5\r\nhello\r\n0\r\n\r\n")).toBe(true);
    },
  );

  test.each(["POST", "PUT", "DELETE", "PATCH"])(
    "%s without a body is not chunked",
    async (method) => {
      using upstream = scriptedUpstream();
      await using proxy = startProxy([upstream.origin]);
      await rawRequest(proxy.port, request(method, "/", "Content-Length: 0\r\n"));
      await rawRequest(proxy.port, request(method, "/"));
      for (const { request: seen } of upstream.exchanges) {
        expect(headerIn(seen, "content-length")).toBe("0");
        expect(namesIn(seen)).not.toContain("transfer-encoding");
      }
      expect(upstream.exchanges).toHaveLength(2);
    },
  );

  test.each([
    ["GET", "Content-Length: 5\r\n", "hello"],
    ["GET", "Transfer-Encoding: chunked\r\n", chunked("hello")],
    ["HEAD", "Content-Length: 5\r\n", "hello"],
  ])("%s with %j is 400: its body would be lost", async (method, headers, body) => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin]);
    const { status } = await rawRequest(proxy.port, request(method, "/", headers, body));
    expect(status).toBe(400);
    expect(upstream.exchanges).toEqual([]);
  });

  test("goes over a unix socket", async () => {
    const folder = await mkdtemp(join(tmpdir(), "claimgate-"));
    const unix = join(folder, "upstream.sock");
    try {
      using upstream = scriptedUpstream(undefined, { unix });
      await using proxy = startProxy([`unix:${unix}`]);
      for (const target of ["/a%2fb?c", "//d"]) {
        expect(await rawRequest(proxy.port, request("GET", target))).toMatchObject({ body: "ok" });
        expect(upstream.exchanges.at(-1)?.request).toStartWith(`GET ${target} HTTP/1.1\r\n`);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("with a path that begins with two slashes keeps both, its body, and its answer", async () => {
    using upstream = scriptedUpstream((_, { send }) =>
      send(
        "HTTP/1.1 201 Created\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
      ),
    );
    await using proxy = startProxy([upstream.origin]);
    const headers = "Content-Length: 5\r\nContent-Type: text/plain\r\n";
    const bytes = request("POST", "//evil.dev/a?b", headers, "hello");
    const answer = await rawRequest(proxy.port, bytes);
    const seen = upstream.exchanges[0]?.request ?? "";
    expect(seen).toStartWith("POST //evil.dev/a?b HTTP/1.1\r\n");
    expect(seen).toEndWith("\r\n\r\nhello");
    expect(headerIn(seen, "host")).toBe(`127.0.0.1:${upstream.port}`);
    expect(answer.status).toBe(201);
    expect(answer.raw).toContain("\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n");
  });

  test("ignores a proxy that the environment names", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin]);
    const before = process.env.HTTP_PROXY;
    process.env.HTTP_PROXY = `http://127.0.0.1:${freePort()}`;
    try {
      for (const target of ["/", "//a"]) {
        expect((await rawRequest(proxy.port, request("GET", target))).status).toBe(200);
      }
    } finally {
      if (before === undefined) delete process.env.HTTP_PROXY;
      else process.env.HTTP_PROXY = before;
    }
  });
});

describe("an answer", () => {
  async function answerTo(bytes: string, method = "GET", target = "/") {
    using upstream = scriptedUpstream((_, { send }) => send(bytes));
    await using proxy = startProxy([upstream.origin]);
    return await rawRequest(proxy.port, request(method, target));
  }

  test.each([
    ["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 200, "hi"],
    ["HTTP/1.1 204 No Content\r\n\r\n", 204, ""],
    ["HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, ""],
    ["HTTP/1.1 304 Not Modified\r\nETag: 1\r\n\r\n", 304, ""],
    ["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, ""],
    [`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${"x".repeat(1e5)}`, 200, "x".repeat(1e5)],
  ])("without a Content-Type gets none", async (bytes, status, body) => {
    for (const target of ["/", "//"]) {
      const answer = await answerTo(bytes, "GET", target);
      expect(answer).toMatchObject({ status, body });
      expect(Object.keys(answer.headers)).not.toContain("content-type");
    }
  });

  test("to HEAD keeps its length and has no body", async () => {
    for (const target of ["/", "/?a", "//a"]) {
      const bytes = "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n";
      const answer = await answerTo(bytes, "HEAD", target);
      expect(answer.headers["content-length"]).toBe("1234");
      expect(answer.headers["content-type"]).toBeUndefined();
      expect(answer.raw).toEndWith("\r\n\r\n");
    }
  });

  test("passes redirects, encodings and ranges as they are", async () => {
    const redirect =
      "HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n";
    expect(await answerTo(redirect)).toMatchObject({
      status: 302,
      headers: { location: "http://elsewhere/" },
    });
    const zipped =
      "HTTP/1.1 206 Partial Content\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n" +
      "Content-Range: bytes 0-4/9\r\nContent-Length: 5\r\n\r\n\x1f\x8b\x00\x01\xff";
    const answer = await answerTo(zipped);
    expect(answer).toMatchObject({ status: 206, body: "\x1f\x8b\x00\x01\xff" });
    expect(answer.headers).toMatchObject({
      "content-encoding": "gzip",
      "content-range": "bytes 0-4/9",
    });
  });

  test("loses what belongs to the hop, after hints too", async () => {
    const answer = await answerTo(
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\n" +
        "X-Hop: 1\r\nKeep-Alive: timeout=9\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\nhi",
    );
    expect(answer.headers["x-hop"]).toBeUndefined();
    expect(answer.headers["keep-alive"]).toBeUndefined();
    expect(answer.headers["x-request-id"]).toBe("request-1");
  });

  test.each([
    ["a Connection that names no field", "HTTP/1.1 200 OK\r\nConnection: bad name\r\n\r\n"],
    ["a status no answer has", "HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n"],
    ["no HTTP", "garbage\r\n\r\n"],
  ])("with %s is 502", async (_, bytes) => {
    for (const target of ["/", "//"]) {
      using upstream = scriptedUpstream((__, { send, end }) => {
        send(bytes);
        end();
      });
      await using proxy = startProxy([upstream.origin]);
      const answer = await rawRequest(proxy.port, request("GET", target));
      expect(answer).toMatchObject({ status: 502, body: "upstream_unreachable" });
      expect(proxy.faults[0]?.message).not.toContain("127.0.0.1");
    }
  });

  test("that is an event stream flows event by event and is held open", async () => {
    const next = Promise.withResolvers<void>();
    using upstream = scriptedUpstream((_, { send }) => {
      send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
      next.promise.then(() => send("data: 2\n\n"));
    });
    await using proxy = startProxy([upstream.origin]);
    const response = await fetch(proxy.origin);
    const reader = response.body?.getReader();
    const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
    expect(decode((await reader?.read())?.value)).toBe("data: 1\n\n");
    next.resolve();
    expect(decode((await reader?.read())?.value)).toBe("data: 2\n\n");
    expect(proxy.held.count).toBe(1);
    await reader?.cancel();
  });

  test.each(["/?a", "//a", "//?a"])("to %s that breaks off resets the client", async (target) => {
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf";
    const received = Promise.withResolvers<void>();
    using upstream = scriptedUpstream((_, { send, end }) => {
      send(head);
      received.promise.then(end);
    });
    await using proxy = startProxy([upstream.origin]);
    const client = connect(proxy.port, "127.0.0.1");
    const closed = new Promise((resolve) => client.on("close", resolve));
    let got = "";
    client.on("error", () => {});
    client.on("data", (bytes) => {
      got += bytes.toString("latin1");
      if (got.includes("half")) received.resolve();
    });
    client.write(request("GET", target));
    await closed;
    expect(got).toEndWith("\r\n\r\n4\r\nhalf\r\n");
  });

  test("that breaks off before its first byte is 502", async () => {
    using upstream = scriptedUpstream((_, { send, end }) => {
      send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\n");
      end();
    });
    await using proxy = startProxy([upstream.origin]);
    expect((await rawRequest(proxy.port, request("GET", "/?a"))).status).toBe(502);
  });

  test("to a query keeps a short body's length, and streams a long one", async () => {
    const long = "x".repeat(300_000);
    const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
    expect((await answerTo(OK, "GET", "/?a")).headers["content-length"]).toBe("2");
    const bytes = `${head}Content-Length: ${long.length}\r\n\r\n${long}`;
    expect(await answerTo(bytes, "GET", "/?a")).toMatchObject({ status: 200, body: long });
    const empty = `${head}Content-Length: 0\r\n\r\n`;
    expect(await answerTo(empty, "GET", "/?a")).toMatchObject({ status: 200, body: "" });
  });
});

describe("a dead connection", () => {
  /** Answers the first request on a connection, and cuts it when a second comes. */
  const onlyOnce = () =>
    scriptedUpstream(({ isWarm }, { send, cut }) => (isWarm ? cut() : send(OK)));

  test.each(["GET", "HEAD", "OPTIONS"])("%s without a body is sent once more", async (method) => {
    const answer = method === "HEAD" ? OK.slice(0, -2) : OK;
    using upstream = scriptedUpstream(({ isWarm }, { send, cut }) =>
      isWarm ? cut() : send(answer),
    );
    await using proxy = startProxy([upstream.origin]);
    await rawRequest(proxy.port, request(method, "/1"));
    expect((await rawRequest(proxy.port, request(method, "/2"))).status).toBe(200);
    expect(upstream.exchanges.map(({ request: seen }) => seen.split(" ")[1])).toEqual([
      "/1",
      "/2",
      "/2",
    ]);
  });

  test.each(["PUT", "DELETE", "POST", "PATCH", "PROPFIND"])(
    "%s is never sent twice, with a body or without",
    async (method) => {
      for (const [headers, body] of [
        ["", ""],
        ["Content-Length: 2\r\n", "hi"],
        ["Transfer-Encoding: chunked\r\n", chunked("hi")],
      ]) {
        using upstream = onlyOnce();
        await using proxy = startProxy([upstream.origin]);
        await rawRequest(proxy.port, request("GET", "/warm"));
        await rawRequest(proxy.port, request(method, "/", headers, body));
        const sent = upstream.exchanges.filter(({ request: seen }) => seen.startsWith(method));
        expect(sent).toHaveLength(1);
      }
    },
  );

  test.each(["GET", "OPTIONS"])("%s is tried exactly once more", async (method) => {
    let isDead = false;
    using upstream = scriptedUpstream((_, { send, cut }) => (isDead ? cut() : send(OK)));
    await using proxy = startProxy([upstream.origin]);
    await rawRequest(proxy.port, request(method, "/warm"));
    isDead = true;
    expect((await rawRequest(proxy.port, request(method, "/"))).status).toBe(502);
    expect(upstream.exchanges).toHaveLength(3);
    expect((await rawRequest(proxy.port, request(method, "/"))).status).toBe(502);
    expect(upstream.exchanges).toHaveLength(4);
  });
});

describe("limits", () => {
  test("an announced body over the limit is 413 before the upstream hears of it", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin], { maxBodyBytes: 10 });
    const bytes = request("POST", "/", "Content-Length: 11\r\n");
    expect(await rawRequest(proxy.port, bytes)).toMatchObject({ status: 413, body: "too_large" });
    expect(upstream.connections.opened).toBe(0);
  });

  test("a chunked body over the limit is 413, at the limit it passes", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin], { maxBodyBytes: 10 });
    const send = (length: number) =>
      rawRequest(
        proxy.port,
        request("POST", "/", "Transfer-Encoding: chunked\r\n", chunked("x".repeat(length))),
      );
    expect(await send(10)).toMatchObject({ status: 200 });
    expect(await send(11)).toMatchObject({ status: 413, body: "too_large" });
    expect(upstream.exchanges).toHaveLength(1);
  });

  test("a chunked body over the limit after the answer began cuts it", async () => {
    using upstream = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket) {
          socket.write(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\nhalf",
          );
        },
      },
    });
    await using proxy = startProxy([`http://127.0.0.1:${upstream.port}`], { maxBodyBytes: 10 });
    const { promise: closed, resolve } = Promise.withResolvers<string>();
    let got = "";
    const client = connect(proxy.port, "127.0.0.1");
    client.on("data", (bytes) => {
      got += bytes.toString("latin1");
      if (got.includes("half")) client.write("10\r\n0123456789abcdef\r\n");
    });
    client.on("error", () => resolve(got));
    client.on("close", () => resolve(got));
    client.write(request("POST", "/", "Transfer-Encoding: chunked\r\n", "5\r\n01234\r\n"));
    expect(await closed).toStartWith("HTTP/1.1 200 OK");
  });

  test("an upstream that does not answer in time is 504, and is let go", async () => {
    using upstream = scriptedUpstream(() => {});
    await using proxy = startProxy([upstream.origin], { route: { timeoutMs: 50 } });
    for (const bytes of [
      request("GET"),
      request("GET", "//a"),
      request("POST", "/", "Content-Length: 2\r\n", "hi"),
    ]) {
      const answer = await rawRequest(proxy.port, bytes);
      expect(answer).toMatchObject({ status: 504, body: "upstream_timeout" });
    }
    await until(() => upstream.connections.closed === 3);
  });

  test("the time limit ends when the answer begins", async () => {
    const rest = Promise.withResolvers<void>();
    using upstream = scriptedUpstream((_, { send }) => {
      send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\no");
      rest.promise.then(() => send("k"));
    });
    await using proxy = startProxy([upstream.origin], { route: { timeoutMs: 250 } });
    const response = await fetch(proxy.origin);
    await Bun.sleep(500); // longer than the limit: nothing may happen meanwhile
    rest.resolve();
    expect(await response.text()).toBe("ok");
  });

  test("the time limit ends when the answer begins, though the body goes on", async () => {
    let text = "";
    using upstream = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, chunk) {
          text += chunk.toString("latin1");
          const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n";
          if (text.endsWith("\r\n\r\na")) socket.write(`${head}o`);
          if (text.endsWith("\r\n\r\nab")) setTimeout(() => socket.write("k"), 500);
        },
      },
    });
    const address = `http://127.0.0.1:${upstream.port}`;
    await using proxy = startProxy([address], { route: { timeoutMs: 250 } });
    const client = connect(proxy.port, "127.0.0.1");
    const closed = new Promise((resolve) => client.on("close", resolve));
    let got = "";
    client.on("error", () => {});
    client.on("data", (bytes) => {
      const before = got;
      got += bytes.toString("latin1");
      if (!before.includes("\r\n\r\n") && got.includes("\r\n\r\n")) client.write("b");
      if (got.endsWith("0\r\n\r\n")) client.end();
    });
    client.write(request("POST", "/", "Content-Length: 2\r\n", "a"));
    await closed;
    expect(got).toEndWith("k\r\n0\r\n\r\n");
  });

  test("time in which the client sends its body does not count", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin], { route: { timeoutMs: 250 } });
    const client = connect(proxy.port, "127.0.0.1");
    const answered = new Promise<string>((resolve) => {
      client.once("data", (bytes) => resolve(bytes.toString("latin1")));
    });
    client.write(request("POST", "/", "Content-Length: 4\r\n", "a"));
    await Bun.sleep(500); // longer than the limit
    client.write("bcd");
    expect(await answered).toStartWith("HTTP/1.1 200 OK");
    client.destroy();
  });
});

describe("a client that goes away", () => {
  test.each([
    ["before the answer", ""],
    ["within the answer", "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 99\r\n\r\nx"],
    ["within an answer of no type", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"],
  ])("%s takes the upstream request with it", async (_, bytes) => {
    for (const target of ["/", "//a"]) {
      using upstream = scriptedUpstream((__, { send }) => send(bytes));
      await using proxy = startProxy([upstream.origin]);
      const client = connect(proxy.port, "127.0.0.1");
      const begun = new Promise((resolve) => client.once("data", resolve));
      client.write(request("GET", target));
      await until(() => upstream.exchanges.length === 1);
      if (bytes !== "") await begun;
      expect(upstream.connections.closed).toBe(0);
      client.destroy();
      await until(() => upstream.connections.closed === 1);
    }
  });

  test("in the middle of its body", async () => {
    using upstream = scriptedUpstream();
    await using proxy = startProxy([upstream.origin]);
    const client = connect(proxy.port, "127.0.0.1");
    client.write(request("POST", "/", "Content-Length: 100\r\n", "half"));
    await until(() => upstream.connections.opened === 1);
    client.destroy();
    await until(() => upstream.connections.closed === 1);
    expect(upstream.exchanges).toEqual([]);
  });
});

describe("an upstream that cannot be reached", () => {
  test("is 502 without its address, for the log with the cause", async () => {
    const port = freePort();
    await using proxy = startProxy([`http://127.0.0.1:${port}`]);
    for (const target of ["/", "//a"]) {
      const answer = await rawRequest(proxy.port, request("GET", target));
      expect(answer).toMatchObject({ status: 502, body: "upstream_unreachable" });
    }
    expect(proxy.faults.map(({ message }) => message).join()).not.toContain(String(port));
    expect(proxy.faults[0]?.cause).toMatchObject({ code: "ECONNREFUSED" });
  });

  test.each([
    ["GET", "", ""],
    ["POST", "Content-Length: 5\r\n", "hello"],
    ["POST", "Transfer-Encoding: chunked\r\n", chunked("hello")],
    ["DELETE", "", ""],
  ])("gives %s %j over to another that can, whole", async (method, headers, body) => {
    using upstream = scriptedUpstream();
    const dead = [
      `http://127.0.0.1:${freePort()}`,
      `unix:${join(tmpdir(), "claimgate-none.sock")}`,
    ];
    await using proxy = startProxy([...dead, upstream.origin]);
    for (let count = 0; count < 4; count += 1) {
      const answer = await rawRequest(proxy.port, request(method, "/", headers, body));
      expect(answer).toMatchObject({ status: 200, body: "ok" });
    }
    expect(upstream.exchanges).toHaveLength(4);
    for (const exchange of upstream.exchanges) expect(exchange.request).toEndWith(body);
  });

  test("does not move a request that one has already seen", async () => {
    using broken = scriptedUpstream((_, { cut }) => cut());
    using other = scriptedUpstream((_, { cut }) => cut());
    await using proxy = startProxy([broken.origin, other.origin]);
    expect((await rawRequest(proxy.port, request("GET"))).status).toBe(502);
    expect(broken.exchanges.length + other.exchanges.length).toBe(1);
  });
});

describe("the echo upstream", () => {
  test("answers with what an upstream would see", async () => {
    await using proxy = startProxy(["echo"], {
      route: { stripPrefix: "/a", credentials: [{ kind: "authorization" }] },
      identity: [["X-User", "alice"]],
    });
    const bytes = request(
      "POST",
      "/a/b?c=1",
      "Authorization: Bearer t\r\nContent-Length: 2\r\n",
      "hi",
    );
    const answer = await rawRequest(proxy.port, bytes);
    expect(answer.headers).toMatchObject({
      "content-type": "application/json;charset=utf-8",
      "x-request-id": "request-1",
    });
    const body = JSON.parse(answer.body);
    expect(body).toMatchObject({ method: "POST", path: "/b", query: "?c=1" });
    expect(body.headers["x-user"]).toBe("alice");
    expect(body.headers).not.toHaveProperty("authorization");
    expect(body.headers).not.toHaveProperty("connection");
  });

  test("holds the body's limit too", async () => {
    await using proxy = startProxy(["echo"], { maxBodyBytes: 4 });
    const bytes = request("POST", "/", "Transfer-Encoding: chunked\r\n", chunked("hello"));
    expect((await rawRequest(proxy.port, bytes)).status).toBe(413);
  });
});

describe("big bodies", () => {
  const MEGABYTE = 1024 * 1024;
  const COUNT = 128;

  test("stream both ways with back-pressure and little memory", async () => {
    let received = 0;
    await using upstream = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      maxRequestBodySize: COUNT * MEGABYTE * 2,
      async fetch(incoming) {
        for await (const chunk of incoming.body ?? []) received += chunk.length;
        let left = COUNT;
        const body = new ReadableStream({
          pull(controller) {
            left -= 1;
            if (left < 0) controller.close();
            else controller.enqueue(new Uint8Array(MEGABYTE));
          },
        });
        return new Response(body, { headers: { "content-type": "application/x" } });
      },
    });
    await using proxy = startProxy([upstream.url.origin]);
    const before = process.memoryUsage.rss();
    let peak = before;
    let left = COUNT;
    const body = new ReadableStream({
      pull(controller) {
        left -= 1;
        peak = Math.max(peak, process.memoryUsage.rss());
        if (left < 0) controller.close();
        else controller.enqueue(new Uint8Array(MEGABYTE));
      },
    });
    const response = await fetch(proxy.origin, { method: "POST", body });
    let sent = 0;
    for await (const chunk of response.body ?? []) {
      sent += chunk.length;
      peak = Math.max(peak, process.memoryUsage.rss());
    }
    expect(received).toBe(COUNT * MEGABYTE);
    expect(sent).toBe(COUNT * MEGABYTE);
    // Client, proxy and upstream are one process here, and each chunk is garbage at once.
    expect(peak - before).toBeLessThan(2 * COUNT * MEGABYTE);
  });

  test("a client that does not read stops the upstream", async () => {
    let produced = 0;
    await using upstream = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              produced += 1;
              controller.enqueue(new Uint8Array(MEGABYTE));
              await Bun.sleep(0);
            },
          }),
          { headers: { "content-type": "application/x" } },
        ),
    });
    await using proxy = startProxy([upstream.url.origin]);
    const client = connect(proxy.port, "127.0.0.1");
    client.pause();
    client.write(request("GET"));
    let before = -1;
    while (produced !== before || produced === 0) {
      before = produced;
      await Bun.sleep(100);
    }
    expect(produced).toBeLessThan(COUNT);
    client.destroy();
  });
});
