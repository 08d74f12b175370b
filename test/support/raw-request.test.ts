import { expect, test } from "bun:test";
import { rawRequest } from "./raw-request.ts";
import { rawUpstream, recordingUpstream } from "./recording-upstream.ts";

const GET = "GET /a%2Fb?c HTTP/1.1\r\nHost: x\r\nX-Odd: \xe9\r\n\r\n";

test.each([
  ["a length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"],
  [
    "chunks",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "hello",
  ],
  [
    "a hint before it",
    "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
    "a",
  ],
  ["no body", "HTTP/1.1 204 No Content\r\n\r\n", ""],
])("reads an answer with %s and stops there", async (_, answer, body) => {
  using upstream = rawUpstream(answer);
  const result = await rawRequest(upstream.port, GET);
  expect(result).toMatchObject({ body, end: "answered", raw: answer });
  expect(upstream.connections).toEqual([GET]);
});

test("reads no body after HEAD, and joins a header given twice", async () => {
  using upstream = rawUpstream("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nVia: a\r\nvia: b\r\n\r\n");
  const result = await rawRequest(upstream.port, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect(result).toMatchObject({ status: 200, body: "", end: "answered" });
  expect(result.headers).toEqual({ "content-length": "5", via: "a, b" });
});

test("says so when an answer does not end in time", async () => {
  using upstream = rawUpstream("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
  const result = await rawRequest(upstream.port, GET, { limitMs: 100 });
  expect(result).toMatchObject({ status: 200, body: "hel", end: "late" });
});

test("reads until the server closes when told to", async () => {
  await using upstream = recordingUpstream();
  const twice = `GET /1 HTTP/1.1\r\nHost: x\r\n\r\n`;
  const last = `GET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  const first = await rawRequest(upstream.port, twice);
  expect(first).toMatchObject({ status: 200, body: "upstream", end: "answered" });
  const second = await rawRequest(upstream.port, last, { until: "closed" });
  expect(second.end).toBe("closed");
  expect(upstream.seen.map((one) => one.target)).toEqual(["/1", "/2"]);
});

test("throws when nobody listens", async () => {
  const upstream = rawUpstream();
  upstream[Symbol.dispose]();
  await expect(rawRequest(upstream.port, GET)).rejects.toThrow();
});
