/**
 * What stays open, before the executable: it is closed when its token may no longer have it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type RawAnswer, rawRequest } from "../support/raw-request.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { developmentToken, type RunningServe, run, serve, until } from "./claimgate.ts";

const TEST_LIMIT_MS = 60_000;
/** From what makes it so until it is closed (design: within two seconds), and some for a busy machine. */
const CLOSED_LIMIT_MS = 4_000;
const WRITTEN_LIMIT_MS = 5_000;

const policy = (verdict: string) => `import { allow, definePolicy, deny } from "claimgate";

export const verdicts = [allow, deny];
export default definePolicy({ description: "Says what it is told", evaluate: () => ${verdict} });
`;

let upstream: Bun.Server<undefined>;
let folder: TempFolder;
let gate: RunningServe;

beforeAll(async () => {
  upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request, server) {
      const { pathname } = new URL(request.url);
      if (server.upgrade(request)) return undefined;
      const isFile = pathname.endsWith("/file");
      return new Response(endless(isFile ? 64 * 1024 : 16), {
        headers: { "Content-Type": isFile ? "application/zip" : "text/event-stream" },
      });
    },
    websocket: { message: (socket, message) => void socket.send(message) },
  });
  folder = await tempFolder({
    "claimgate.yaml": `listen: 127.0.0.1:0
issuers: [{ name: dev, development: true }]
routes:
  - { match: { path: /app/* }, upstream: "${upstream.url.origin}", policies: [app] }
  - match: { path: /graced/* }
    upstream: "${upstream.url.origin}"
    anyAuthenticated: true
    streams: { graceOnExpiry: 1m }
  - match: { path: /closing/* }
    upstream: "${upstream.url.origin}"
    policies: [closing]
`,
    "policies/app.ts": policy("allow()"),
    "policies/closing.ts": policy("allow()"),
  });
  gate = await serve([], { folder: folder.path });
}, TEST_LIMIT_MS);

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await upstream?.stop(true);
  await folder?.[Symbol.asyncDispose]();
});

function endless(bytes: number): ReadableStream<Uint8Array> {
  return new ReadableStream(
    {
      async pull(controller) {
        await Bun.sleep(20);
        controller.enqueue(new Uint8Array(bytes).fill(0x20));
      },
    },
    { highWaterMark: 0 },
  );
}

type OpenSocket = {
  readonly socket: WebSocket;
  /** Milliseconds since 1970 when it was closed, and how. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string; readonly at: number }>;
};

async function open(path: string, token: string): Promise<OpenSocket> {
  const url = `${gate.urls[0].replace("http", "ws")}${path}`;
  const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } });
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<{ code: number; reason: string; at: number }>();
  socket.onopen = () => opened.resolve();
  socket.onclose = ({ code, reason }) => {
    opened.reject(new Error(`closed with ${code}`));
    closed.resolve({ code, reason, at: Date.now() });
  };
  await opened.promise;
  return { socket, closed: closed.promise };
}

async function isAlive({ socket }: OpenSocket): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.onmessage = ({ data }) => resolve(data === "still here");
  socket.send("still here");
  const late = setTimeout(() => resolve(false), CLOSED_LIMIT_MS);
  return promise.finally(() => clearTimeout(late));
}

/** Reads to the end, which comes in time or not at all. */
function download(path: string, token: string): Promise<RawAnswer> {
  const { host, port } = new URL(gate.urls[0]);
  const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`, `Authorization: Bearer ${token}`];
  return rawRequest(Number(port), `${lines.join("\r\n")}\r\n\r\n`, { limitMs: 20_000 });
}

/** How many streams the log says were closed with this code. */
const closures = (code: string) =>
  gate.log.filter((line) => line.event === "stream_closed" && line.code === code).length;

const tokenOf = (subject: string, ...args: string[]) =>
  developmentToken(folder.path, "--sub", subject, ...args);

/** The decisions on a path, which are logged once their answers have begun. */
const forwarded = (path: string) =>
  gate.log.filter((line) => line.event === "decision" && line.path === path);

describe("what stays open", () => {
  test(
    "is closed after claimgate revoke; of another token it lives on",
    async () => {
      const [alice, bob] = [await tokenOf("alice"), await tokenOf("bob")];
      const [lost, kept] = [await open("/app/live", alice), await open("/app/live", bob)];
      const [events, file] = [download("/app/events", alice), download("/app/file", alice)];
      await until("both answers", WRITTEN_LIMIT_MS, () =>
        ["/app/events", "/app/file"].every((path) => forwarded(path).length > 0),
      );
      const revoked = await run(["revoke", "--subject", "alice"], { folder: folder.path });
      const revokedAt = Date.now();
      expect(revoked.exitCode).toBe(0);
      const { code, reason, at } = await lost.closed;
      expect({ code, reason }).toEqual({ code: 1008, reason: "The token has been revoked" });
      expect(at - revokedAt).toBeLessThan(CLOSED_LIMIT_MS);
      // An event stream is over; what would pass for a whole file is cut.
      expect(await events).toMatchObject({ status: 200, end: "answered" });
      expect(await file).toMatchObject({ status: 200, end: "closed" });
      expect(await isAlive(kept)).toBe(true);
      kept.socket.close();
      await until("the log of all three", WRITTEN_LIMIT_MS, () => closures("token_revoked") === 3);
    },
    TEST_LIMIT_MS,
  );

  test(
    "is closed when its token expires, and not before; a route may give it grace",
    async () => {
      const carol = await tokenOf("carol", "--ttl", "4s");
      const claims = JSON.parse(Buffer.from(carol.split(".")[1] ?? "", "base64url").toString());
      const [short, graced] = [await open("/app/live", carol), await open("/graced/live", carol)];
      const events = download("/app/events", carol);
      const { code, reason, at } = await short.closed;
      expect({ code, reason }).toEqual({ code: 1008, reason: "The token has expired" });
      expect(at).toBeGreaterThanOrEqual(claims.exp * 1_000);
      expect(at).toBeLessThan(claims.exp * 1_000 + CLOSED_LIMIT_MS);
      expect((await events).end).toBe("answered");
      expect(await isAlive(graced)).toBe(true);
      graced.socket.close();
    },
    TEST_LIMIT_MS,
  );

  test(
    "is closed when an edited policy no longer allows it",
    async () => {
      const token = await tokenOf("dave");
      const [denied, kept] = [await open("/closing/live", token), await open("/app/live", token)];
      await folder.write("policies/closing.ts", policy('deny("closed")'));
      await gate.waitForLog((line) => line.event === "reloaded");
      const reloadedAt = Date.now();
      const { code, reason, at } = await denied.closed;
      expect({ code, reason }).toEqual({ code: 1008, reason: "Access is denied" });
      expect(at - reloadedAt).toBeLessThan(CLOSED_LIMIT_MS);
      expect(await isAlive(kept)).toBe(true);
      kept.socket.close();
      const line = await gate.waitForLog(
        ({ event, code }) => event === "stream_closed" && code === "policy_denied",
      );
      expect(line).toMatchObject({ policy: "closing", reason: "closed" });
    },
    TEST_LIMIT_MS,
  );

  test(
    "leaves an act in the audit for each that was closed, and nothing else in the log",
    async () => {
      const ids = gate.log
        .filter((line) => line.event === "stream_closed")
        .map((line) => [line.requestId, line.code]);
      expect(ids.length).toBeGreaterThan(0);
      let acts: unknown[] = [];
      await until("every act", WRITTEN_LIMIT_MS, async () => {
        const { out } = await run(["audit", "--json"], { folder: folder.path });
        acts = out
          .split("\n")
          .filter((line) => line.includes('"close_stream"'))
          .map((line) => JSON.parse(line))
          .filter((entry) => entry.actor === "gate")
          .map((entry) => [entry.target, entry.reason]);
        return acts.length >= ids.length;
      });
      expect(acts.toSorted()).toEqual(ids.toSorted());
      const odd = gate
        .stderr()
        .split("\n")
        .filter((line) => line !== "" && !line.startsWith("{"));
      expect(odd).toEqual([]);
      expect(gate.log.filter((line) => line.level === "error")).toEqual([]);
    },
    TEST_LIMIT_MS,
  );
});
