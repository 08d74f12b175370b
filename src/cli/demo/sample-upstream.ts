/**
 * The application behind the demo's gate: says in JSON what reached it, and echoes WebSocket
 * messages. It checks nothing itself: that is the gate's work.
 *
 * @module
 */
import { listenNear } from "./listen-near.ts";

type SampleUpstream = { readonly url: string; readonly stop: () => Promise<void> };

const USUAL_PORT = 9000;
/** A demonstration sends lines, not files. */
const LARGEST_MESSAGE_BYTES = 64 * 1024;

/** Listens on loopback, on port 9000 or any free one. */
export async function startSampleUpstream(): Promise<SampleUpstream> {
  const server = await listenNear(USUAL_PORT, (port) =>
    Bun.serve({
      hostname: "127.0.0.1",
      port,
      maxRequestBodySize: LARGEST_MESSAGE_BYTES,
      fetch(request, server) {
        if (server.upgrade(request)) return undefined;
        return Response.json(describeArrival(request));
      },
      websocket: {
        maxPayloadLength: LARGEST_MESSAGE_BYTES,
        message: (socket, message) => void socket.send(message),
      },
    }),
  );
  return { url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

/** What an application would go by. */
function describeArrival(request: Request): object {
  const { pathname, search } = new URL(request.url);
  const from = (name: string) => request.headers.get(name) ?? undefined;
  return {
    message: "hello from the application behind the gate",
    request: `${request.method} ${pathname}${search}`,
    identity: { "X-User": from("x-user"), "X-Roles": from("x-roles") },
    forwarded: {
      "X-Forwarded-For": from("x-forwarded-for"),
      "X-Forwarded-Host": from("x-forwarded-host"),
      "X-Request-Id": from("x-request-id"),
    },
    token: from("authorization") === undefined ? "kept by the gate" : "passed on",
  };
}
