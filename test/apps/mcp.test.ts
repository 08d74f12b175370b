/**
 * An MCP server behind the gate, driven by the client of `@modelcontextprotocol/sdk`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import {
  StreamableHTTPClientTransport,
  StreamableHTTPError,
} from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { ToolListChangedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { until } from "../e2e/claimgate.ts";
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

const TOLD_LIMIT_MS = 5_000;

let app: App;
let gate: AppGate;

beforeAll(async () => {
  const port = freePort();
  app = await startApp([process.execPath, join(import.meta.dir, "mcp-server.ts"), String(port)], {
    cwd: import.meta.dir,
    isUp: answers(`http://127.0.0.1:${port}/`),
  });
  gate = await startAppGate(`routes:
  - name: mcp
    match: { path: /mcp, methods: [GET, POST, DELETE] }
    upstream: http://127.0.0.1:${port}
    anyAuthenticated: true
    identityHeaders: { X-User: sub }
`);
}, STAGE_LIMIT_MS);

afterAll(() => endAll([app, gate]));

type Connected = AsyncDisposable & {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
};

async function connect(token: string): Promise<Connected> {
  const transport = new StreamableHTTPClientTransport(new URL("/mcp", gate.origin), {
    requestInit: { headers: { Authorization: `Bearer ${token}` } },
  });
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport as Transport);
  return { client, transport, [Symbol.asyncDispose]: () => client.close() };
}

async function call(client: Client, name: string): Promise<unknown> {
  const { content } = await client.callTool({ name });
  return content;
}

test(
  "a client with a token opens a session, and its tools are told whose it is",
  async () => {
    await using connected = await connect(gate.token);
    expect(connected.transport.sessionId).toMatch(/^[0-9a-f-]{36}$/);
    expect(connected.client.getServerVersion()).toMatchObject({ name: "desk", version: "1.0.0" });
    const { tools } = await connected.client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(["whoami", "sessions", "count", "announce"]);
    expect(await call(connected.client, "whoami")).toEqual([{ type: "text", text: "alice" }]);
  },
  TEST_LIMIT_MS,
);

test(
  "progress comes while the tool is at work",
  async () => {
    await using connected = await connect(gate.token);
    const seen: { readonly progress: number; readonly atMs: number }[] = [];
    const result = await connected.client.callTool({ name: "count" }, undefined, {
      onprogress: ({ progress }) => seen.push({ progress, atMs: performance.now() }),
    });
    expect(result.content).toEqual([{ type: "text", text: "counted" }]);
    expect(seen.map(({ progress }) => progress)).toEqual([1, 2, 3, 4, 5]);
    // One every 100 ms: held back, they would come all at once.
    expect((seen[4]?.atMs ?? 0) - (seen[0]?.atMs ?? 0)).toBeGreaterThan(200);
  },
  TEST_LIMIT_MS,
);

test(
  "what the server tells by itself comes over the stream of the session",
  async () => {
    await using connected = await connect(gate.token);
    let told = 0;
    connected.client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      told++;
    });
    // Its stream is opened after the greeting, and nobody says when: what is told before is lost.
    await until("what the server tells", TOLD_LIMIT_MS, async () => {
      await call(connected.client, "announce");
      return told > 0;
    });
  },
  TEST_LIMIT_MS,
);

test(
  "DELETE ends the session, and one that has ended is the server's own 404",
  async () => {
    await using other = await connect(gate.token);
    const [before] = (await call(other.client, "sessions")) as [{ readonly text: string }];
    await using connected = await connect(gate.token);
    const id = connected.transport.sessionId ?? "";
    await connected.transport.terminateSession();
    expect(connected.transport.sessionId).toBeUndefined();
    expect(await call(other.client, "sessions")).toEqual([before]);

    const answer = await fetch(`${gate.origin}/mcp`, {
      headers: {
        Authorization: `Bearer ${gate.token}`,
        Accept: "text/event-stream",
        "Mcp-Session-Id": id,
      },
    });
    expect(answer.status).toBe(404);
    expect(await answer.text()).toBe("");
  },
  TEST_LIMIT_MS,
);

test("a client without a good token is told so by its own error", async () => {
  const refused = await connect("none").catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(StreamableHTTPError);
  expect(refused).toMatchObject({ code: 401, message: expect.stringContaining("token_invalid") });
});
