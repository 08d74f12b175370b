/**
 * A server of the Model Context Protocol over streamable HTTP, as its SDK shows it: sessions, tools,
 * an event stream for each.
 *
 * Run by itself as a child: `bun mcp-server.ts PORT`
 *
 * @module
 */
import { createServer, type IncomingMessage } from "node:http";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";

/** By session id. */
const transports = new Map<string, StreamableHTTPServerTransport>();

async function openSession(user: string): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => crypto.randomUUID(),
    onsessioninitialized: (id) => void transports.set(id, transport),
    onsessionclosed: (id) => void transports.delete(id),
  });
  await makeServer(user).connect(transport as Transport);
  return transport;
}

function makeServer(user: string): McpServer {
  const server = new McpServer({ name: "desk", version: "1.0.0" });
  const say = (text: string) => ({ content: [{ type: "text" as const, text }] });

  server.registerTool("whoami", { description: "Who the server is told asks" }, () => say(user));

  server.registerTool("sessions", { description: "How many are open" }, () =>
    say(String(transports.size)),
  );

  server.registerTool(
    "count",
    { description: "Counts to five, and tells as it goes" },
    async ({ sendNotification, _meta }) => {
      for (let progress = 1; progress <= 5; progress++) {
        const progressToken = _meta?.progressToken ?? 0;
        await sendNotification({
          method: "notifications/progress",
          params: { progressToken, progress, total: 5 },
        });
        await Bun.sleep(100);
      }
      return say("counted");
    },
  );

  server.registerTool("announce", { description: "Tells that there are other tools now" }, () => {
    server.sendToolListChanged();
    return say("done");
  });

  return server;
}

const http = createServer(async (request: IncomingMessage, answer) => {
  const id = request.headers["mcp-session-id"];
  const known = typeof id === "string" ? transports.get(id) : undefined;
  if (known === undefined && (id !== undefined || request.method !== "POST")) {
    answer.writeHead(404).end();
    return;
  }
  const transport = known ?? (await openSession(String(request.headers["x-user"] ?? "nobody")));
  await transport.handleRequest(request, answer);
});
http.listen(Number(process.argv[2]), "127.0.0.1");
