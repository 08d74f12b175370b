/** Clients that begin and then say nothing, on routes whose upstream may take its time. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-request.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { type AttackGate, openAttackGate, shoot } from "./attack-gate.ts";

/** The listener looks at idle connections every four seconds. */
const LIMIT_MS = 20_000;

let upstream: RecordingUpstream;
let gate: AttackGate;
let isReleased = Promise.withResolvers<void>();

beforeAll(async () => {
  isReleased = Promise.withResolvers<void>();
  upstream = recordingUpstream(async () => {
    await isReleased.promise;
    return new Response("at last");
  });
  // The upstream may take longer than a connection may be idle.
  const usual = { public: true, timeout: "1h" };
  gate = await openAttackGate({
    http: { idleTimeout: "1s" },
    routes: [
      { name: "slow", match: { path: "/slow" }, upstream: upstream.origin, ...usual },
      { name: "echo", upstream: "echo", ...usual },
    ],
  });
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const silent = (bytes: string) =>
  rawRequest(gate.port, bytes, { until: "closed", limitMs: LIMIT_MS });

test(
  "are cut, while those who wait for the upstream are not",
  async () => {
    const waiting = shoot(gate, { target: "/slow" }, { limitMs: LIMIT_MS });
    const socket = new WebSocket(`ws://127.0.0.1:${gate.port}/`);
    const opened = Promise.withResolvers<void>();
    const echoed = Promise.withResolvers<unknown>();
    socket.onopen = () => opened.resolve();
    socket.onmessage = ({ data }) => echoed.resolve(data);
    socket.onclose = ({ code }) => echoed.resolve(`closed ${code}`);
    await opened.promise;

    const head = "POST /slow HTTP/1.1\r\nHost: gate.test\r\n";
    const ends = await Promise.all([
      silent(`${head}Content-Length: 1000\r\n\r\n`),
      silent(`${head}Content-Length: 1000\r\n\r\nx`),
      silent(`${head}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n`),
      silent("POST / HTTP/1.1\r\nHost: gate.test\r\nContent-Length: 1000\r\n\r\nx"),
      // After its answer, this one is idle.
      silent("GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n"),
    ]);
    expect(ends.map(({ end, status }) => [end, status])).toEqual([
      ["closed", 0],
      ["closed", 0],
      ["closed", 0],
      ["closed", 0],
      ["closed", 200],
    ]);

    isReleased.resolve();
    const { status, body } = await waiting;
    expect([status, body]).toEqual([200, "at last"]);
    socket.send("still there");
    expect(await echoed.promise).toBe("still there");
    socket.close();
  },
  LIMIT_MS * 2,
);
