/**
 * GraphQL subscriptions behind the gate, driven by the client of `graphql-ws`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type Client, createClient } from "graphql-ws";
import { freePort } from "../support/free-port.ts";
import {
  type App,
  type AppGate,
  answers,
  endAll,
  STAGE_LIMIT_MS,
  startApp,
  startAppGate,
  TEST_LIMIT_MS,
} from "./app-stage.ts";

let app: App;
let gate: AppGate;

beforeAll(async () => {
  const port = freePort();
  const server = join(import.meta.dir, "graphql-server.ts");
  app = await startApp([process.execPath, server, String(port)], {
    cwd: import.meta.dir,
    isUp: answers(`http://127.0.0.1:${port}/`),
  });
  gate = await startAppGate(`routes:
  - name: graphql
    match: { path: /graphql }
    upstream: http://127.0.0.1:${port}
    anyAuthenticated: true
    identityHeaders: { X-User: sub }
`);
}, STAGE_LIMIT_MS);

afterAll(() => endAll([app, gate]));

/** As outside of browsers, where a WebSocket can have headers. */
function connect(token: string): Client {
  const Authorization = `Bearer ${token}`;
  return createClient({
    url: `${gate.origin.replace("http", "ws")}/graphql`,
    retryAttempts: 0,
    webSocketImpl: class extends WebSocket {
      constructor(url: string, protocols: string) {
        super(url, { protocols: [protocols], headers: { Authorization } });
      }
    },
  });
}

async function results(client: Client, query: string): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const { data } of client.iterate({ query })) found.push({ ...data });
  return found;
}

test(
  "subscriptions side by side on one socket, and the server knows whose it is",
  async () => {
    const client = connect(gate.token);
    const [three, five, user] = await Promise.all([
      results(client, "subscription { count(to: 3) }"),
      results(client, "subscription { count(to: 5) }"),
      results(client, "{ user }"),
    ]);
    expect(three).toEqual([{ count: 1 }, { count: 2 }, { count: 3 }]);
    expect(five).toEqual([1, 2, 3, 4, 5].map((count) => ({ count })));
    expect(user).toEqual([{ user: "alice" }]);
    await client.dispose();
  },
  TEST_LIMIT_MS,
);

test(
  "a subscription that the client ends leaves the socket to the others",
  async () => {
    const client = connect(gate.token);
    const endless = client.iterate({ query: "subscription { count(to: 100000) }" });
    expect((await endless.next()).value).toMatchObject({ data: { count: 1 } });
    await endless.return?.();
    expect(await results(client, "{ user }")).toEqual([{ user: "alice" }]);
    await client.dispose();
  },
  TEST_LIMIT_MS,
);

test("without a good token the socket is not opened", async () => {
  const client = connect("none");
  const refused = await results(client, "{ user }").catch((error: unknown) => error);
  expect(refused).toMatchObject({
    type: "error",
    message: expect.stringContaining("Expected 101"),
  });
});
