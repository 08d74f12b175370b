/** HTTP/2 to clients, with another implementation's client. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { connect as connectTls } from "node:tls";

import { until } from "./claimgate.ts";
import { addedMemory, MEGABYTE, openStage, type Stage, within } from "./fidelity-stage.ts";

const START_LIMIT_MS = 30_000;
const LIMIT_MS = 15_000;
const STREAMS = 100;

let upstream: Bun.Server<undefined>;
let stage: Stage;
const sessions: ClientHttp2Session[] = [];
/** What the upstream sees of the requests that never end by themselves. */
const endless = { pieces: 0, isCancelled: false };
let waiting: (() => void)[] = [];

beforeAll(async () => {
  upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    maxRequestBodySize: 200 * MEGABYTE,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/together") {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiting.push(resolve);
        if (waiting.length === STREAMS) for (const go of waiting) go();
        await promise;
        return new Response(request.headers.get("x-number"));
      }
      if (pathname === "/endless") return new Response(endlessBody());
      if (pathname === "/upload") {
        let bytes = 0;
        for await (const chunk of request.body ?? []) bytes += chunk.byteLength;
        return new Response(String(bytes));
      }
      const big = request.headers.get("x-big") ?? "";
      return new Response("ok", { headers: { "X-Big": big, "Set-Cookie": "a=1" } });
    },
  });
  stage = await openStage(upstream.url.origin, { tls: true });
}, START_LIMIT_MS);

afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
  waiting = [];
});

afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await upstream?.stop(true);
});

function endlessBody(): ReadableStream<Uint8Array> {
  endless.pieces = 0;
  endless.isCancelled = false;
  return new ReadableStream(
    {
      async pull(controller) {
        endless.pieces += 1;
        controller.enqueue(new Uint8Array(64 * 1024));
        await Bun.sleep(0);
      },
      cancel() {
        endless.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
}

function openSession({ port }: Stage = stage): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on("error", () => {});
  sessions.push(session);
  return session;
}

function begin(
  session: ClientHttp2Session,
  path: string,
  headers: Record<string, string> = {},
): ClientHttp2Stream {
  const stream = session.request({
    ":path": path,
    authorization: `Bearer ${stage.token}`,
    ...headers,
  });
  stream.on("error", () => {});
  return stream;
}

type Answer = { readonly headers: Record<string, unknown>; readonly body: string };

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  let headers: Record<string, unknown> = {};
  let body = "";
  stream.on("response", (fields) => {
    headers = { ...fields };
  });
  stream.on("data", (chunk: Buffer) => {
    body += chunk.toString("latin1");
  });
  stream.on("end", () => resolve({ headers, body }));
  stream.on("error", reject);
  return within(promise);
}

describe("ALPN", () => {
  test.each([
    ["h2,http/1.1", "h2"],
    ["http/1.1,h2", "h2"],
    ["http/1.1", "http/1.1"],
    ["", false],
  ])("of %j agrees on %s", async (offered, agreed) => {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const socket = connectTls(
      {
        host: "127.0.0.1",
        port: stage.port,
        rejectUnauthorized: false,
        ALPNProtocols: offered.split(",").filter((name) => name !== ""),
      },
      () => resolve(socket.alpnProtocol || false),
    );
    socket.on("error", reject);
    expect(await within(promise)).toBe(agreed);
    socket.destroy();
  });
});

test(`${STREAMS} requests at once go over one connection`, async () => {
  const session = openSession();
  const answers = Array.from({ length: STREAMS }, (_, at) =>
    answerOf(begin(session, "/together", { "x-number": String(at) })),
  );
  // Answered only once all of them have arrived.
  const bodies = (await Promise.all(answers)).map(({ body }) => body);
  expect(bodies).toEqual(Array.from({ length: STREAMS }, (_, at) => String(at)));
});

test("big headers pass both ways; too big ones are 431", async () => {
  const session = openSession();
  const big = "x".repeat(12_000);
  const { headers, body } = await answerOf(begin(session, "/", { "x-big": big }));
  expect([headers[":status"], body, headers["x-big"] === big]).toEqual([200, "ok", true]);
  expect(headers["set-cookie"]).toEqual(["a=1"]);
  const refused = await answerOf(begin(session, "/", { "x-big": "x".repeat(40_000) }));
  expect(refused.headers[":status"]).toBe(431);
});

test("a body of 20 MB arrives whole, and its answer comes back", async () => {
  const stream = begin(openSession(), "/upload", { ":method": "POST" });
  const answer = answerOf(stream);
  const piece = Buffer.alloc(MEGABYTE, "x");
  for (let count = 0; count < 20; count++) {
    if (!stream.write(piece)) await within(new Promise((resolve) => stream.once("drain", resolve)));
  }
  stream.end();
  expect((await answer).body).toBe(String(20 * MEGABYTE));
});

test(
  "a stream that its client does not read stops its upstream, and nothing else",
  async () => {
    const session = openSession();
    await answerOf(begin(session, "/"));
    const added = await addedMemory(stage.pid, async () => {
      const stream = begin(session, "/endless");
      stream.pause();
      await until("the first piece", LIMIT_MS, () => endless.pieces > 0);
      for (let before = -1; before !== endless.pieces; await Bun.sleep(300)) {
        before = endless.pieces;
      }
      expect(endless.pieces).toBeLessThan(400);
      expect((await answerOf(begin(session, "/"))).body).toBe("ok");
      stream.close(constants.NGHTTP2_CANCEL);
    });
    expect(added).toBeLessThan(64 * MEGABYTE);
  },
  LIMIT_MS,
);

describe("a stream that is reset", () => {
  test("within its answer cancels the upstream's", async () => {
    const session = openSession();
    const stream = begin(session, "/endless");
    await within(new Promise((resolve) => stream.once("data", resolve)));
    stream.close(constants.NGHTTP2_CANCEL);
    await until("the upstream let go", LIMIT_MS, () => endless.isCancelled);
    expect((await answerOf(begin(session, "/"))).body).toBe("ok");
  });

  test("within its body cuts the upstream's: a part does not pass for the whole", async () => {
    let got = "";
    let isClosed = false;
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data: (_, chunk) => {
          got += chunk.toString("latin1");
        },
        close: () => {
          isClosed = true;
        },
      },
    });
    await using other = await openStage(`http://127.0.0.1:${listener.port}`, { tls: true });
    const session = openSession(other);
    const stream = begin(session, "/", {
      ":method": "POST",
      authorization: `Bearer ${other.token}`,
    });
    stream.write(Buffer.alloc(1000, "x"));
    await until("the first bytes", LIMIT_MS, () => got.includes("xxx"));
    stream.close(constants.NGHTTP2_CANCEL);
    await until("the upstream let go", LIMIT_MS, () => isClosed);
    expect(got).toMatch(/transfer-encoding: chunked/i);
    expect(got).not.toEndWith("\r\n0\r\n\r\n");
    listener.stop(true);
  });
});

test("gRPC over it is refused in words of its own", async () => {
  const stream = begin(openSession(), "/greet.Greeter/Hello", {
    ":method": "POST",
    "content-type": "application/grpc",
    te: "trailers",
  });
  const answer = answerOf(stream);
  stream.end(Buffer.from([0, 0, 0, 0, 0]));
  const { headers } = await answer;
  expect([headers[":status"], headers["grpc-status"]]).toEqual([501, "12"]);
});
