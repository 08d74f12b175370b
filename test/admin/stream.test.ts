/** The live stream of decisions, and clients that do not keep up with it. */
import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import type { DecisionEntry } from "../../src/audit/entry.ts";
import { type AdminGate, openAdminGate, posting } from "./admin-gate.ts";

type Event = { readonly event: string; readonly data: Record<string, unknown> };
const LIMIT_MS = 10_000;

/** @returns What gives the events one by one; `undefined` at the end. */
async function open(gate: AdminGate, query = "") {
  const abort = new AbortController();
  const response = await gate.ask(`/v1/decisions/stream${query}`, { signal: abort.signal });
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "text/event-stream",
  ]);
  const { body } = response;
  if (body === null) throw new Error("there is no body");
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  async function next(): Promise<Event | undefined> {
    for (;;) {
      const [block, rest] = text.split(/\n\n([\s\S]*)/, 2);
      if (rest !== undefined && block !== undefined) {
        text = rest;
        const event = /^event: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (event !== undefined && data !== undefined) return { event, data: JSON.parse(data) };
        continue;
      }
      const { done, value } = await within(reader.read());
      if (done) return undefined;
      text += value;
    }
  }
  return { next, close: () => abort.abort() };
}

function within<T>(promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error("nothing came")), LIMIT_MS);
  return Promise.race([promise, late.promise]).finally(() => clearTimeout(timer));
}

async function until(what: string, isTrue: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!isTrue()) {
    if (performance.now() > end) throw new Error(`Cannot see ${what}`);
    await Bun.sleep(10);
  }
}

const ENTRY: DecisionEntry = {
  kind: "decision",
  requestId: "0",
  at: "2026-01-05T10:00:00.000Z",
  method: "GET",
  scheme: "http",
  host: "a.test",
  path: "/",
  client: { ip: "127.0.0.1" },
  decision: "forward",
  status: 200,
  policies: [],
  ms: 1,
};

describe("the stream of decisions", () => {
  test("tells them as they are made, filtered", async () => {
    await using gate = await openAdminGate();
    const all = await open(gate);
    const denied = await open(gate, "?denied&route=staff");
    await gate.visit("/open/a");
    await gate.visit("/staff/b", "mallory");
    expect(await all.next()).toMatchObject({ event: "decision", data: { path: "/open/a" } });
    expect(await all.next()).toMatchObject({ event: "decision", data: { path: "/staff/b" } });
    expect(await denied.next()).toMatchObject({
      event: "decision",
      data: { path: "/staff/b", reason: "not_staff" },
    });
    all.close();
    denied.close();
    await until("nobody left", () => gate.running.gate.decisions.followers === 0);
  });

  test("tells administrators' acts to who asks for them", async () => {
    await using gate = await openAdminGate();
    const acts = await open(gate, "?kind=act");
    const any = await open(gate, "?kind=any");
    await gate.visit("/open/a");
    await gate.json("/v1/revocations", posting({ subject: "alice" }));
    const act = { event: "act", data: { act: "revoke", target: "subject alice of dev" } };
    expect(await acts.next()).toMatchObject(act);
    expect(await any.next()).toMatchObject({ data: { path: "/open/a" } });
    expect(await any.next()).toMatchObject(act);
  });

  test("from the store it has what every gate writes there", async () => {
    await using gate = await openAdminGate();
    await gate.visit("/open/before");
    await gate.json("/v1/decisions");
    const stream = await open(gate, "?source=store&kind=any");
    await gate.visit("/open/a");
    expect(await stream.next()).toMatchObject({ event: "decision", data: { path: "/open/a" } });
    await gate.json("/v1/revocations", posting({ subject: "alice" }));
    expect(await stream.next()).toMatchObject({ event: "act", data: { act: "revoke" } });
  });

  test("ends when the gate does", async () => {
    await using gate = await openAdminGate();
    const live = await open(gate);
    const stored = await open(gate, "?source=store");
    const closing = gate.api.close();
    expect(await live.next().catch(() => undefined)).toBeUndefined();
    expect(await stored.next().catch(() => undefined)).toBeUndefined();
    await closing;
  });

  test("no text can forge another event", async () => {
    await using gate = await openAdminGate();
    const stream = await open(gate);
    const path = '/\r\n\r\nevent: act\ndata: {"kind":"act"}\n\n\u2028\u0085';
    gate.running.gate.decisions.publish({ ...ENTRY, path });
    gate.running.gate.decisions.publish({ ...ENTRY, requestId: "1" });
    expect(await stream.next()).toEqual({ event: "decision", data: { ...ENTRY, path } });
    expect(await stream.next()).toMatchObject({ event: "decision", data: { requestId: "1" } });
  });

  test("who does not read is told so and let go, and the gate holds a bounded amount", async () => {
    await using gate = await openAdminGate({
      listen: { kind: "tcp", hostname: "127.0.0.1", port: 0 },
      token: "a-long-enough-admin-token-000000",
    });
    const { decisions } = gate.running.gate;
    const client = connect(Number(new URL(gate.api.url).port), "127.0.0.1");
    client.pause();
    const host = "Host: 127.0.0.1\r\nAuthorization: Bearer a-long-enough-admin-token-000000";
    client.write(`GET /v1/decisions/stream HTTP/1.1\r\n${host}\r\n\r\n`);
    await until("a follower", () => decisions.followers === 1);
    const detail = "x".repeat(2_000);
    let published = 0;
    while (decisions.followers === 1 && published < 200_000) {
      decisions.publish({ ...ENTRY, detail });
      published += 1;
      if (published % 100 === 0) await Bun.sleep(0);
    }
    expect(decisions.followers).toBe(0);
    // What the kernel takes, and the queue.
    expect(published).toBeLessThan(50_000);
    let text = "";
    client.setEncoding("latin1");
    client.on("data", (part) => {
      text += part;
    });
    client.resume();
    await until("the last event", () => text.includes("event: dropped"));
    expect(text).toContain('data: {"code":"too_slow",');
    client.destroy();
    // It has cost the others nothing.
    expect(await gate.visit("/open/a")).toBe(200);
  });

  test("there are not more than a few", async () => {
    await using gate = await openAdminGate();
    const streams = [];
    for (let count = 0; count < 32; count += 1) streams.push(await open(gate));
    const { status, body } = await gate.json("/v1/decisions/stream");
    expect([status, body.code]).toEqual([503, "overloaded"]);
    for (const stream of streams) stream.close();
    await until("room", () => gate.running.gate.decisions.followers === 0);
    await open(gate);
  });
});
