import { describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-request.ts";
import { scriptedUpstream, startProxy } from "./proxy-fixture.ts";

const KIB = 1024;
const TYPED = "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n";

/** The body comes in so many pieces, each once the former has had time to arrive. */
async function answerIn(pieces: readonly string[], target = "/", head = TYPED) {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  using upstream = scriptedUpstream(async (_, { send }) => {
    send(`${head}Content-Length: ${length}\r\n\r\n`);
    for (const piece of pieces) {
      await Bun.sleep(5);
      send(piece);
    }
  });
  await using proxy = startProxy([upstream.origin]);
  const answer = await rawRequest(proxy.port, `GET ${target} HTTP/1.1\r\nHost: gate.dev\r\n\r\n`);
  expect(answer.end).toBe("answered");
  expect(answer.body === pieces.join("")).toBe(true);
  return answer.headers;
}

describe("an answer's length", () => {
  test.each([
    ["9 KiB in two pieces", "/", ["x".repeat(KIB), "y".repeat(8 * KIB)]],
    ["256 KiB in four", "/", Array.from({ length: 4 }, (_, at) => String(at).repeat(64 * KIB))],
    ["a few bytes to a query, in two", "/?a", ["he", "llo"]],
    ["100 KiB to a query", "/?a", ["x".repeat(100 * KIB)]],
  ])("is kept: %s", async (_, target, pieces) => {
    const headers = await answerIn(pieces, target);
    expect(headers["content-length"]).toBe(String(pieces.join("").length));
    expect(headers["transfer-encoding"]).toBeUndefined();
  });

  test.each([
    ["over 256 KiB", "/?a", ["x".repeat(256 * KIB), "y"], TYPED],
    ["of no type", "/", ["x".repeat(9 * KIB), "y"], "HTTP/1.1 200 OK\r\n"],
  ])("is lost: %s", async (_, target, pieces, head) => {
    const headers = await answerIn(pieces, target, head);
    expect(headers["content-length"]).toBeUndefined();
    expect(headers["transfer-encoding"]).toBe("chunked");
  });
});

test("a short answer that comes slowly is not held back", async () => {
  const received = Promise.withResolvers<void>();
  using upstream = scriptedUpstream((_, { send }) => {
    send(`${TYPED}Content-Length: ${20 * KIB}\r\n\r\nbegun`);
    received.promise.then(() => send("x".repeat(20 * KIB - 5)));
  });
  await using proxy = startProxy([upstream.origin]);
  const response = await fetch(proxy.origin);
  const reader = response.body?.getReader();
  const first = await reader?.read();
  expect(new TextDecoder().decode(first?.value)).toBe("begun");
  received.resolve();
  let size = first?.value?.byteLength ?? 0;
  for (;;) {
    const next = await reader?.read();
    if (next === undefined || next.done) break;
    size += next.value.byteLength;
  }
  expect(size).toBe(20 * KIB);
});

test("a short answer that breaks off at once is 502, not a part", async () => {
  using upstream = scriptedUpstream((_, { send, end }) => {
    send(`${TYPED}Content-Length: ${20 * KIB}\r\n\r\nbegun`);
    end();
  });
  await using proxy = startProxy([upstream.origin]);
  const answer = await rawRequest(proxy.port, "GET / HTTP/1.1\r\nHost: gate.dev\r\n\r\n");
  expect(answer).toMatchObject({ status: 502, body: "upstream_unreachable" });
});
