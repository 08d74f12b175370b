import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-request.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, type RunningServe, serve } from "./claimgate.ts";

const LIMIT_MS = 5_000;

type Upgrade = { readonly user: string | null; readonly authorization: string | null };

let upstream: Bun.Server<Upgrade>;
let upgrades: Upgrade[];
let folder: TempFolder;
let gate: RunningServe;
let token: string;
/** Writes to the event stream that was opened last. */
let emit: (text: string) => void;
let streamClosed: PromiseWithResolvers<void>;

beforeAll(async () => {
  upgrades = [];
  upstream = Bun.serve<Upgrade>({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
      const { pathname } = new URL(request.url);
      if (pathname === "/events") return eventStream();
      if (pathname === "/refused") return new Response("not today", { status: 418 });
      const { headers } = request;
      const data = { user: headers.get("x-user"), authorization: headers.get("authorization") };
      upgrades.push(data);
      const offered = headers.get("sec-websocket-protocol")?.split(/, */) ?? [];
      const chosen = offered.includes("chat.v2") ? { "Sec-WebSocket-Protocol": "chat.v2" } : {};
      return server.upgrade(request, { data, headers: chosen })
        ? undefined
        : new Response("no upgrade", { status: 400 });
    },
    websocket: {
      message(socket, message) {
        if (message === "who") socket.send(socket.data.user ?? "nobody");
        else if (message === "close") socket.close(4321, "as asked");
        else socket.send(message);
      },
      close(_socket, code, reason) {
        closed.push({ code, reason });
      },
    },
  });
  folder = await tempFolder({
    "claimgate.yaml": `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
routes:
  - upstream: ${upstream.url.origin}
    policies: [{ require-roles: { anyOf: [staff] } }]
    identityHeaders: { X-User: sub }
`,
  });
  gate = await serve([], { folder: folder.path });
  token = await developmentToken(folder.path, "--sub", "alice", "--claim", "roles=staff,x");
}, 30_000);

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await upstream?.stop(true);
  await folder?.[Symbol.asyncDispose]();
});

const closed: { code: number; reason: string }[] = [];

function eventStream(): Response {
  streamClosed = Promise.withResolvers();
  const { resolve } = streamClosed;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      emit = (text) => controller.enqueue(new TextEncoder().encode(text));
      emit(": hello\n\n");
    },
    cancel: () => resolve(),
  });
  return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
}

/** @returns An open socket; rejects when it is refused. */
async function open(bearer: string, protocols: string[] = []): Promise<WebSocket> {
  const socket = new WebSocket(`${gate.urls[0].replace("http", "ws")}/live`, {
    headers: { Authorization: `Bearer ${bearer}` },
    protocols,
  });
  socket.binaryType = "arraybuffer";
  const { promise, resolve, reject } = Promise.withResolvers<WebSocket>();
  socket.onopen = () => resolve(socket);
  socket.onerror = () => reject(new Error("refused"));
  return within(promise);
}

function within<T>(promise: Promise<T>): Promise<T> {
  const late = Bun.sleep(LIMIT_MS).then(() => {
    throw new Error(`nothing came within ${LIMIT_MS} ms`);
  });
  return Promise.race([promise, late]);
}

async function reply(socket: WebSocket, message: string | Uint8Array): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  socket.onmessage = ({ data }) => resolve(data);
  socket.send(message);
  return within(promise);
}

function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>();
  socket.onclose = ({ code, reason }) => resolve({ code, reason });
  return within(promise);
}

describe("a WebSocket with a token", () => {
  test("carries text and binary messages, and tells the upstream who it is", async () => {
    const socket = await open(token);
    expect(await reply(socket, "who")).toBe("alice");
    expect(await reply(socket, "grüße {not: json}")).toBe("grüße {not: json}");
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index % 251);
    expect(new Uint8Array((await reply(socket, bytes)) as ArrayBuffer)).toEqual(bytes);
    for (let length = 0; length < 12; length++) {
      expect(await reply(socket, "x".repeat(length))).toBe("x".repeat(length));
    }
    expect(upgrades.at(-1)).toEqual({ user: "alice", authorization: null });
    const end = closing(socket);
    socket.close();
    await end;
  });

  test("agrees on the protocol that the upstream chooses", async () => {
    const socket = await open(token, ["chat.v1", "chat.v2"]);
    expect(socket.protocol).toBe("chat.v2");
    socket.close();
  });

  test("is closed with the upstream's code and reason", async () => {
    const socket = await open(token);
    const end = closing(socket);
    socket.send("close");
    expect(await end).toEqual({ code: 4321, reason: "as asked" });
  });

  test("closes the upstream with the client's code and reason", async () => {
    const socket = await open(token);
    const before = closed.length;
    const end = closing(socket);
    socket.close(4001, "enough");
    await end;
    const deadline = performance.now() + LIMIT_MS;
    while (closed.length === before && performance.now() < deadline) await Bun.sleep(5);
    expect(closed.at(-1)).toEqual({ code: 4001, reason: "enough" });
  });
});

test("the end of a socket, however it comes, leaves the gate as it was", async () => {
  // Without a code, with the shortest of reasons, and cut off.
  for (const end of ["close", "reason", "cut"] as const) {
    const socket = await open(token);
    const ended = closing(socket);
    if (end === "close") socket.close();
    else if (end === "reason") socket.close(1000, "x");
    else socket.terminate();
    await ended;
  }
  const last = await open(token);
  expect(await reply(last, "who")).toBe("alice");
  last.close();
  expect(gate.stderr()).not.toMatch(/\n\s+at /);
});

describe("a WebSocket that is refused", () => {
  const handshake = (path: string, bearer?: string) =>
    [
      `GET ${path} HTTP/1.1`,
      "Host: gate",
      "Upgrade: websocket",
      "Connection: Upgrade",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      ...(bearer === undefined ? [] : [`Authorization: Bearer ${bearer}`]),
      "\r\n",
    ].join("\r\n");
  const port = () => Number(new URL(gate.urls[0]).port);

  test("without a token gets 401, and the upstream hears nothing", async () => {
    const before = upgrades.length;
    const answer = await rawRequest(port(), handshake("/live"));
    expect(answer.status).toBe(401);
    expect(answer.headers["www-authenticate"]).toBe('Bearer realm="claimgate"');
    expect(JSON.parse(answer.body)).toMatchObject({ code: "token_missing" });
    await expect(open("nonsense")).rejects.toThrow("refused");
    expect(upgrades).toHaveLength(before);
  });

  test("by a policy gets 403", async () => {
    const guest = await developmentToken(folder.path, "--claim", "roles=guest,x");
    const answer = await rawRequest(port(), handshake("/live", guest));
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.body)).toMatchObject({ code: "policy_denied" });
  });

  test("by the upstream gets the upstream's answer", async () => {
    const answer = await rawRequest(port(), handshake("/refused", token));
    expect(answer.status).toBe(418);
    expect(answer.body).toBe("not today");
  });
});

describe("an event stream", () => {
  test("arrives event by event, and ends upstream with its reader", async () => {
    const abort = new AbortController();
    const answer = await fetch(`${gate.urls[0]}/events`, {
      headers: { Authorization: `Bearer ${token}`, Accept: "text/event-stream" },
      signal: abort.signal,
    });
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    const reader = answer.body?.getReader();
    if (reader === undefined) throw new Error("the answer has no body");
    const next = async () => {
      const { value } = await within(reader.read());
      return new TextDecoder().decode(value);
    };
    expect(await next()).toBe(": hello\n\n");
    for (const event of ["data: one\n\n", "data: two\n\n"]) {
      // Sent only once the former has arrived: a buffer anywhere would hold it for ever.
      emit(event);
      expect(await next()).toBe(event);
    }
    abort.abort();
    await within(streamClosed.promise);
  });
});

test("the end of the gate closes its tunnels as going away", async () => {
  await using short = await serve([], { folder: folder.path });
  const socket = new WebSocket(`${short.urls[0].replace("http", "ws")}/live`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const opened = Promise.withResolvers<void>();
  socket.onopen = () => opened.resolve();
  await within(opened.promise);
  const end = closing(socket);
  short.signal("SIGTERM");
  expect((await end).code).toBe(1001);
  expect(await short.ended()).toBe(0);
}, 30_000);
