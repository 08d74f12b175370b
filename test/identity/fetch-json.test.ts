import { describe, expect, test } from "bun:test";
import { GateError } from "../../src/errors.ts";
import { checkKeyUrl, type Fetch, fetchJson } from "../../src/identity/fetch-json.ts";

const LIMITS = { timeoutMs: 5_000, maxBytes: 1_000 };

/** Serves one answer and tells what came of fetching it. */
async function outcomeOf(
  answer: (request: Request) => Response | Promise<Response>,
  limits = LIMITS,
): Promise<unknown> {
  await using server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: answer });
  return await outcomeAt(server.url.href, limits);
}

async function outcomeAt(url: string, limits = LIMITS, by: Fetch = fetch): Promise<unknown> {
  try {
    return await fetchJson(url, by, new AbortController().signal, limits);
  } catch (error) {
    if (!(error instanceof GateError)) throw error;
    expect(error.message).not.toContain("127.0.0.1");
    return `${error.code}: ${error.message}`;
  }
}

/** A body that goes on for ever, a chunk at a time as it is asked for. */
function endless(chunk: string): ReadableStream {
  return new ReadableStream({
    async pull(controller) {
      await Bun.sleep(1);
      controller.enqueue(Buffer.from(chunk));
    },
  });
}

describe("fetchJson()", () => {
  test("reads JSON of any content type", async () => {
    expect(await outcomeOf(() => new Response('{"keys":[]}'))).toEqual({ keys: [] });
  });

  test.each([301, 302, 303, 307, 308])("does not follow %i", async (status) => {
    let reached = 0;
    const answer = ({ url }: Request) => {
      if (new URL(url).pathname === "/elsewhere") reached++;
      return new Response("", { status, headers: { location: "/elsewhere" } });
    };
    expect(await outcomeOf(answer)).toBe(`keys_refused: answered with a redirect ${status}`);
    expect(reached).toBe(0);
  });

  test.each([201, 204, 404, 500])("takes no status but 200: %i", async (status) => {
    expect(await outcomeOf(() => new Response(status === 204 ? null : "{}", { status }))).toBe(
      `keys_refused: answered with status ${status}`,
    );
  });

  test("takes the last byte that is allowed and not one more", async () => {
    const text = (bytes: number) => JSON.stringify("x".repeat(bytes - 2));
    expect(await outcomeOf(() => new Response(text(1_000)))).toHaveLength(998);
    expect(await outcomeOf(() => new Response(text(1_001)))).toBe(
      "keys_refused: answered with more than 1000 bytes",
    );
  });

  test("stops a body that never ends, by its size", async () => {
    expect(await outcomeOf(() => new Response(endless(" ".repeat(100))))).toBe(
      "keys_refused: answered with more than 1000 bytes",
    );
  });

  test("stops a body that never ends, by the time", async () => {
    expect(
      await outcomeOf(() => new Response(endless(" ")), { timeoutMs: 50, maxBytes: 1e9 }),
    ).toBe("keys_unavailable: no answer within 50 ms");
  });

  test("counts bytes as they are after decompression", async () => {
    const bomb = Bun.gzipSync(Buffer.alloc(50_000_000));
    expect(
      await outcomeOf(() => new Response(bomb, { headers: { "content-encoding": "gzip" } })),
    ).toBe("keys_refused: answered with more than 1000 bytes");
  });

  test("reads gzip, to the last byte that is allowed", async () => {
    const packed = (bytes: number) =>
      new Response(Bun.gzipSync(Buffer.from(JSON.stringify("x".repeat(bytes - 2)))), {
        headers: { "content-encoding": "gzip" },
      });
    expect(await outcomeOf(() => packed(1_000))).toHaveLength(998);
    expect(await outcomeOf(() => packed(1_001))).toBe(
      "keys_refused: answered with more than 1000 bytes",
    );
  });

  test.each([
    ["zstd", Bun.zstdCompressSync("{}")],
    ["deflate", Bun.deflateSync("{}")],
    ["gzip, gzip", Bun.gzipSync(Bun.gzipSync("{}"))],
  ])("unpacks no %s: nobody would count what comes out", async (encoding, body) => {
    const answer = () => new Response(body, { headers: { "content-encoding": encoding } });
    expect(await outcomeOf(answer)).toBe(
      "keys_refused: answered in an encoding that was not asked for",
    );
  });

  test("takes damaged gzip for no JSON", async () => {
    const body = Bun.gzipSync("{}").subarray(0, 12);
    const answer = () => new Response(body, { headers: { "content-encoding": "gzip" } });
    expect(await outcomeOf(answer)).toBe("keys_refused: answered with something other than JSON");
  });

  test("asks for gzip and nothing else", async () => {
    const answer = ({ headers }: Request) => Response.json([headers.get("accept-encoding")]);
    expect(await outcomeOf(answer)).toEqual(["gzip"]);
  });

  test("gives up on a server that does not answer", async () => {
    const never = new Promise<Response>(() => undefined);
    expect(await outcomeOf(() => never, { timeoutMs: 30, maxBytes: 1_000 })).toBe(
      "keys_unavailable: no answer within 30 ms",
    );
  });

  test("gives up on a fetch that does not listen to its signal", async () => {
    const never = new Promise<Response>(() => undefined);
    expect(await outcomeAt("http://127.0.0.1/", { timeoutMs: 30, maxBytes: 1 }, () => never)).toBe(
      "keys_unavailable: no answer within 30 ms",
    );
  });

  test("says when nobody is there", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { href } = server.url;
    await server.stop(true);
    expect(await outcomeAt(href)).toBe("keys_unavailable: could not connect (ECONNREFUSED)");
  });

  test.each(["", "<html>", '{"keys":', Buffer.from([0xff, 0xfe])])(
    "refuses what is not JSON: %p",
    async (body) => {
      expect(await outcomeOf(() => new Response(body))).toBe(
        "keys_refused: answered with something other than JSON",
      );
    },
  );

  test("asks no proxy for what is on this machine, and the environment's for the rest", async () => {
    const seen: unknown[] = [];
    const record: Fetch = async (_, init) => {
      seen.push(init.proxy);
      return Response.json({});
    };
    for (const url of [
      "http://127.0.0.1/",
      "https://localhost/",
      "http://[::1]/",
      "https://a.dev/",
    ]) {
      await outcomeAt(url, LIMITS, record);
    }
    expect(seen as unknown[]).toEqual([false, false, false, undefined]);
  });

  test("ends at once when it is stopped", async () => {
    const stop = new AbortController();
    const never = new Promise<Response>(() => undefined);
    const fetching = fetchJson("http://127.0.0.1/", () => never, stop.signal, LIMITS);
    stop.abort();
    expect(await fetching.catch((error) => error.code)).toBe("keys_unavailable");
  });
});

describe("checkKeyUrl()", () => {
  test.each([
    "https://issuer.example/keys",
    "http://127.0.0.1:9000/keys",
    "http://localhost/",
    "http://dev.localhost/",
    "http://[::1]:1/",
    "http://127.9.9.9/",
  ])("takes %s", (url) => {
    expect(checkKeyUrl(url)).toBeUndefined();
  });

  test.each([
    ["http://issuer.example/", "http, which is for loopback alone"],
    ["http://169.254.169.254/", "http, which is for loopback alone"],
    ["http://127.0.0.1.evil.example/", "http, which is for loopback alone"],
    ["file:///etc/passwd", "neither https nor http"],
    ["data:application/json,{}", "neither https nor http"],
    ["ftp://issuer.example/", "neither https nor http"],
    ["https://user:pass@issuer.example/", "an address with credentials"],
    ["/keys", "not an address"],
    ["", "not an address"],
  ])("refuses %s", (url, why) => {
    expect(checkKeyUrl(url)).toBe(why);
  });

  test("a remote issuer does not point at this machine over http", () => {
    expect(checkKeyUrl("http://127.0.0.1/keys", "http://localhost:3000")).toBeUndefined();
    expect(checkKeyUrl("http://127.0.0.1/keys", "https://issuer.example")).toBe(
      "http, which is for loopback alone",
    );
  });
});
