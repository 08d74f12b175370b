/** Event streams: each event at once, and silence longer than a connection may be idle. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { rawRequest } from "../support/raw-request.ts";
import { until } from "./claimgate.ts";
import { openStage, type Stage } from "./fidelity-stage.ts";

const START_LIMIT_MS = 30_000;
const LIMIT_MS = 30_000;

let upstream: Bun.Server<undefined>;
let stage: Stage;
/** Each writes to an event stream. */
let emitters: ((text: string) => void)[] = [];

beforeAll(async () => {
  upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      const isStream = pathname.endsWith("/events");
      const type = isStream ? "text/event-stream; charset=utf-8" : "a/b";
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          const emit = (text: string) => controller.enqueue(new TextEncoder().encode(text));
          if (isStream) emitters.push(emit);
          emit("retry: 5\n\n");
        },
      });
      return new Response(body, { headers: { "Content-Type": type, "Cache-Control": "no-cache" } });
    },
  });
  stage = await openStage(upstream.url.origin, { http: "idleTimeout: 1s" });
}, START_LIMIT_MS);

afterAll(async () => {
  await stage?.[Symbol.asyncDispose]();
  await upstream?.stop(true);
});

function listenTo(path: string) {
  const state = { got: "", isClosed: false };
  const socket = connect(stage.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    state.got += chunk.toString("latin1");
  });
  socket.on("close", () => {
    state.isClosed = true;
  });
  const lines = [`GET ${path} HTTP/1.1`, "Host: gate.dev", `Authorization: Bearer ${stage.token}`];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  return { state, socket };
}

test(
  "a silent event stream outlives the idle limit, which cuts another answer; heart-beats arrive as they are",
  async () => {
    const guarded = listenTo("/events");
    const open = listenTo("/public/events");
    const other = listenTo("/other");
    await until("both streams", LIMIT_MS, () => emitters.length === 2);
    // The limit of a second counts: what is no event stream is cut for its silence.
    await until("the cut", LIMIT_MS, () => other.state.isClosed);
    expect([guarded.state.isClosed, open.state.isClosed]).toEqual([false, false]);

    const { port } = stage;
    const idle = rawRequest(port, "GET / HTTP/1.1\r\nHost: gate.dev\r\n\r\n", {
      until: "closed",
      limitMs: LIMIT_MS,
    });
    // As long again as an idle connection takes to be cut.
    expect((await idle).end).toBe("closed");

    const beats = [":\n\n", ": keep-alive\n\n", "event: a\r\ndata: ü\r\n\r\n", "data: x\n\n"];
    for (const beat of beats) {
      // Sent only once the former has arrived: a buffer anywhere would hold it for ever.
      for (const emit of emitters) emit(beat);
      const bytes = Buffer.from(beat).toString("latin1");
      for (const { state } of [guarded, open]) {
        await until("the heart-beat", LIMIT_MS, () => state.got.endsWith(`\r\n${bytes}\r\n`));
      }
    }
    for (const { state, socket } of [guarded, open]) {
      expect(state.got).toMatch(/content-type: text\/event-stream; charset=utf-8\r\n/i);
      expect(state.isClosed).toBe(false);
      socket.destroy();
    }
    emitters = [];
  },
  LIMIT_MS * 2,
);
