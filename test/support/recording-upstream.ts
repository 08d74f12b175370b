/**
 * Upstreams that remember what reached them.
 *
 * @module
 */

/** A request as the upstream saw it. */
export type Seen = {
  readonly method: string;
  /** Path and query as they came over the wire, but for Bun's own normalising. */
  readonly target: string;
  readonly headers: Headers;
  readonly body: string;
};

export type RecordingUpstream = AsyncDisposable & {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  readonly port: number;
  /** In order of arrival; a body that is cut off is not recorded. */
  readonly seen: Seen[];
};

/** @param answer Says what to answer once the request is recorded; 200 "upstream" when left out. */
export function recordingUpstream(
  answer: (seen: Seen) => Response | Promise<Response> = () => new Response("upstream"),
): RecordingUpstream {
  const seen: Seen[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const one: Seen = {
        method: request.method,
        target: pathname + search,
        headers: new Headers(request.headers),
        body: await request.text(),
      };
      seen.push(one);
      return answer(one);
    },
  });
  return {
    origin: server.url.origin,
    port: Number(server.port),
    seen,
    [Symbol.asyncDispose]: () => server.stop(true),
  };
}

export type RawUpstream = Disposable & {
  readonly origin: string;
  readonly port: number;
  /** One entry a connection: all bytes that came, one character a byte (Latin-1). */
  readonly connections: string[];
};

/**
 * For what `Bun.serve` would tidy away: the request line and headers byte for byte.
 *
 * @param answer Bytes to send once the end of a request's head has come; the connection stays open.
 */
export function rawUpstream(
  answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 8\r\n\r\nupstream",
): RawUpstream {
  const connections: string[] = [];
  const server = Bun.listen<{ index: number }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { index: connections.push("") - 1 };
      },
      data(socket, chunk) {
        const { index } = socket.data;
        const before = connections[index] ?? "";
        connections[index] = before + chunk.toString("latin1");
        if (headsIn(connections[index]) > headsIn(before)) {
          socket.write(Buffer.from(answer, "latin1"));
        }
      },
    },
  });
  return {
    origin: `http://127.0.0.1:${server.port}`,
    port: server.port,
    connections,
    [Symbol.dispose]: () => server.stop(true),
  };
}

const headsIn = (text: string) => text.split("\r\n\r\n").length - 1;
