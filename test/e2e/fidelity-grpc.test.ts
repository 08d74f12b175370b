/** gRPC-Web passes, in both of its forms; gRPC itself is refused, in words of its own. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import { rawRequest } from "../support/raw-request.ts";
import { openStage, type Stage } from "./fidelity-stage.ts";

const START_LIMIT_MS = 30_000;
const TRAILERS = 0x80;

type Heard = { readonly path: string; readonly type: string; readonly body: Buffer };

let upstream: Server;
let stage: Stage;
let heard: Heard[] = [];

/** A flag, a length, the bytes: a message or the trailers (gRPC over HTTP/2, PROTOCOL-WEB). */
function frame(flag: number, bytes: Uint8Array | string): Buffer {
  const content = Buffer.from(bytes as string, "latin1");
  const head = Buffer.alloc(5);
  head[0] = flag;
  head.writeUInt32BE(content.length, 1);
  return Buffer.concat([head, content]);
}

function framesOf(bytes: Buffer): { flag: number; content: Buffer }[] {
  const frames: { flag: number; content: Buffer }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    frames.push({ flag: bytes.readUInt8(at), content: bytes.subarray(at + 5, end) });
    at = end;
  }
  return frames;
}

/** A protobuf message whose field 1 is this text. */
const greeting = (text: string) =>
  Buffer.concat([Buffer.from([0x0a, text.length]), Buffer.from(text)]);

beforeAll(async () => {
  // Answers as a gRPC-Web server does: two messages, one after the other, then trailers.
  upstream = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    const type = request.headers["content-type"] ?? "";
    heard.push({ path: request.url ?? "", type, body });
    const isText = type.startsWith("application/grpc-web-text");
    const asked = framesOf(isText ? Buffer.from(body.toString(), "base64") : body);
    const write = (bytes: Buffer) => response.write(isText ? bytes.toString("base64") : bytes);
    response.writeHead(200, { "Content-Type": type });
    for (const { content } of asked) write(frame(0, content));
    await Bun.sleep(5);
    write(frame(0, greeting("again")));
    write(frame(TRAILERS, "grpc-status:0\r\ngrpc-message:fine\r\n"));
    response.end();
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const address = upstream.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  stage = await openStage(`http://127.0.0.1:${address.port}`);
}, START_LIMIT_MS);

afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  upstream?.close();
});

const call = (
  type: string,
  body: Uint8Array<ArrayBuffer> | string,
  headers: Record<string, string> = {},
) =>
  fetch(`${stage.url}/greet.Greeter/Hello`, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${stage.token}`,
      "Content-Type": type,
      "X-Grpc-Web": "1",
      ...headers,
    },
    body,
  });

describe("gRPC-Web", () => {
  const EXPECTED = [
    { flag: 0, content: greeting("alice") },
    { flag: 0, content: greeting("again") },
    { flag: TRAILERS, content: Buffer.from("grpc-status:0\r\ngrpc-message:fine\r\n") },
  ];

  test.each(["application/grpc-web", "application/grpc-web+proto"])("as %s", async (type) => {
    heard = [];
    const asked = frame(0, greeting("alice"));
    const answer = await call(type, new Uint8Array(asked));
    expect(answer.headers.get("content-type")).toBe(type);
    expect(framesOf(Buffer.from(await answer.bytes()))).toEqual(EXPECTED);
    expect(heard).toEqual([{ path: "/greet.Greeter/Hello", type, body: asked }]);
  });

  test("as text", async () => {
    const type = "application/grpc-web-text+proto";
    const answer = await call(type, frame(0, greeting("alice")).toString("base64"));
    // Each frame is encoded by itself, with its own padding.
    const parts = (await answer.text()).match(/[^=]+=*/g) ?? [];
    const bytes = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
    expect(framesOf(bytes)).toEqual(EXPECTED);
  });
});

describe("gRPC", () => {
  test.each([
    "application/grpc",
    "application/grpc+proto",
    "Application/gRPC",
    "application/grpc;charset=utf-8",
  ])("%s is refused before the upstream hears of it", async (type) => {
    heard = [];
    const answer = await call(type, new Uint8Array(frame(0, greeting("alice"))), {
      TE: "trailers",
    });
    expect(answer.status).toBe(501);
    expect(answer.headers.get("grpc-status")).toBe("12");
    expect(answer.headers.get("grpc-message")).toContain("use gRPC-Web");
    expect(await answer.json()).toMatchObject({ status: 501, code: "method_unsupported" });
    expect(heard).toEqual([]);
  });

  test("without a token is 401 like anything else", async () => {
    const { port } = stage;
    const head = "POST /greet.Greeter/Hello HTTP/1.1\r\nHost: gate.dev\r\n";
    const answer = await rawRequest(
      port,
      `${head}Content-Type: application/grpc\r\nContent-Length: 0\r\n\r\n`,
    );
    expect(answer.status).toBe(401);
    expect(answer.headers["grpc-status"]).toBeUndefined();
  });
});
