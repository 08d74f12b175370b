/** Thousands of connections that say nothing, or never come to the end of what they say. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { until } from "./claimgate.ts";
import { addedMemory, MEGABYTE, openStage, type Stage, within } from "./fidelity-stage.ts";

const CONNECTIONS = 10_000;
const START_LIMIT_MS = 30_000;
const LIMIT_MS = 15_000;

let stage: Stage;
const sockets: Socket[] = [];

beforeAll(async () => {
  stage = await openStage("echo");
}, START_LIMIT_MS);

afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await stage?.[Symbol.asyncDispose]();
});

async function open(first: string): Promise<void> {
  const socket = connect(stage.port, "127.0.0.1");
  sockets.push(socket);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.on("connect", resolve);
  socket.on("error", reject);
  await within(promise);
  if (first !== "") socket.write(first);
}

test(`${CONNECTIONS} idle connections and unfinished heads hold little, and good ones are served`, async () => {
  const added = await addedMemory(stage.pid, async () => {
    for (let opened = 0; opened < CONNECTIONS; opened += 200) {
      const first = opened % 400 === 0 ? "" : "GET / HTTP/1.1\r\nHost: gate.dev\r\nX-Slow: ";
      await Promise.all(Array.from({ length: 200 }, () => open(first)));
    }
    // The last ones wait for the gate to accept them.
    const accepted = () => readdirSync(`/proc/${stage.pid}/fd`).length;
    await until("all connections", LIMIT_MS, () => accepted() > CONNECTIONS);
    for (let count = 0; count < 100; count++) {
      const headers = { Authorization: `Bearer ${stage.token}` };
      expect((await within(fetch(`${stage.url}/good`, { headers }))).status).toBe(200);
    }
  });
  if (process.env.CLAIMGATE_FIGURES) {
    console.log(`${CONNECTIONS} connections: ${Math.round(added / MEGABYTE)} MB more`);
  }
  expect(added).toBeLessThan(128 * MEGABYTE);
}, 60_000);
