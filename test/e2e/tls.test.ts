import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectTls } from "node:tls";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type Authority, makeAuthority } from "./certificate.ts";
import { developmentToken, type RunningServe, serve } from "./claimgate.ts";

const LIMIT_MS = 5_000;

let upstream: RecordingUpstream;
let folder: TempFolder;
let authority: Authority;
let token: string;

beforeAll(async () => {
  upstream = recordingUpstream((seen) => new Response(`${seen.method} ${seen.body}`));
  authority = makeAuthority("Test authority");
  const { cert, key } = authority.issue("gate");
  const file = (more: { tls?: string; http?: string }) => `listen: 127.0.0.1:0
tls: { cert: cert.pem, key: key.pem${more.tls ?? ""} }
${more.http ?? ""}
issuers: [{ name: dev, development: true }]
routes: [{ upstream: "${upstream.origin}", anyAuthenticated: true, identityHeaders: { X-User: sub } }]
`;
  folder = await tempFolder({
    "cert.pem": cert,
    "key.pem": key,
    "clients.pem": authority.cert,
    "claimgate.yaml": file({}),
    "http1.yaml": file({ http: "http: { http2: false }" }),
    "mutual.yaml": file({ tls: ", clientCa: clients.pem, clientAuth: required" }),
  });
  token = await developmentToken(folder.path, "--sub", "alice");
}, 30_000);

afterAll(async () => {
  await upstream?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

/** Starts a gate for the tests around it. */
function gateOf(config: string): () => string {
  let gate: RunningServe;
  beforeAll(async () => {
    gate = await serve(["--config", config], { folder: folder.path });
  }, 30_000);
  afterAll(() => gate?.[Symbol.asyncDispose]());
  return () => gate.urls[0];
}

type Answer = { readonly status: number; readonly body: string };

async function ask(url: string, tls: BunFetchRequestInitTLS, bearer = token): Promise<Answer> {
  const answer = await fetch(url, {
    headers: { Authorization: `Bearer ${bearer}` },
    tls,
    keepalive: false,
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  return { status: answer.status, body: await answer.text() };
}

describe("a gate with a certificate", () => {
  const url = gateOf("claimgate.yaml");

  test("answers over TLS, and tells the upstream so", async () => {
    expect(url()).toStartWith("https://");
    const trusting = { ca: authority.cert };
    expect(await ask(url(), trusting, "nonsense")).toMatchObject({ status: 401 });
    expect(await ask(url(), trusting)).toEqual({ status: 200, body: "GET " });
    const seen = upstream.seen.at(-1);
    expect(seen?.headers.get("x-forwarded-proto")).toBe("https");
    expect(seen?.headers.get("x-user")).toBe("alice");
  });

  test("is refused by who does not trust its authority", async () => {
    const other = { ca: makeAuthority("Another authority").cert };
    await expect(ask(url(), other)).rejects.toThrow(/certificate/i);
  });

  test("speaks no plain HTTP on that port", async () => {
    const plain = fetch(url().replace("https", "http"), { signal: AbortSignal.timeout(LIMIT_MS) });
    await expect(plain).rejects.toThrow();
  });

  test("speaks HTTP/2 to who offers it", async () => {
    await using session = await http2Session(url());
    expect(session.protocol).toBe("h2");
    const without = await session.ask({ ":path": "/" });
    expect(without.headers).toMatchObject({
      ":status": 401,
      "www-authenticate": 'Bearer realm="claimgate"',
      "x-request-id": expect.any(String),
    });
    expect(JSON.parse(without.body)).toMatchObject({ code: "token_missing" });

    const headers = { ":method": "POST", authorization: `Bearer ${token}` };
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        session.ask({ ...headers, ":path": `/${index}` }, `body ${index}`),
      ),
    );
    expect(answers.map(({ body }) => body)).toEqual(
      Array.from({ length: 50 }, (_, index) => `POST body ${index}`),
    );
    expect(answers.every((answer) => answer.headers[":status"] === 200)).toBe(true);
    const seen = upstream.seen.at(-1);
    expect(seen?.headers.get("x-user")).toBe("alice");
    expect(seen?.headers.get("x-forwarded-host")).toBe(new URL(url()).host);
  });
});

describe("http2: false", () => {
  const url = gateOf("http1.yaml");

  test("leaves HTTP/1.1", async () => {
    expect(await protocolOf(url())).not.toBe("h2");
    expect(await ask(url(), { ca: authority.cert })).toEqual({ status: 200, body: "GET " });
  });
});

describe("clientAuth: required", () => {
  const url = gateOf("mutual.yaml");

  test("answers a client with a certificate of the authority", async () => {
    const tls = { ca: authority.cert, ...authority.issue("client") };
    expect(await ask(url(), tls)).toEqual({ status: 200, body: "GET " });
    expect(await ask(url(), tls, "nonsense")).toMatchObject({ status: 401 });
  });

  test("and one over HTTP/2", async () => {
    await using session = await http2Session(url(), authority.issue("client"));
    const answer = await session.ask({ ":path": "/", authorization: `Bearer ${token}` });
    expect(answer.headers[":status"]).toBe(200);
  });

  test.each([
    ["no certificate", () => ({})],
    ["a certificate of another authority", () => makeAuthority("Another").issue("client")],
  ])("fails at the handshake with %s", async (_, presented) => {
    const before = upstream.seen.length;
    await expect(ask(url(), { ca: authority.cert, ...presented() })).rejects.toThrow();
    const forged = http2Session(url(), presented()).then((session) =>
      session.ask({ ":path": "/" }),
    );
    await expect(forged).rejects.toThrow();
    expect(upstream.seen).toHaveLength(before);
  });
});

type Http2Answer = {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
};

type Http2 = AsyncDisposable & {
  /** By ALPN. */
  readonly protocol: unknown;
  readonly ask: (headers: Record<string, string>, body?: string) => Promise<Http2Answer>;
};

async function http2Session(
  url: string,
  client: { cert?: string; key?: string } = {},
): Promise<Http2> {
  const session = connectHttp2(url, { ca: authority.cert, ...client });
  const failed = new Promise<never>((_, reject) => {
    session.once("error", reject);
    session.once("close", () => reject(new Error("the session was closed")));
  });
  failed.catch(() => undefined);
  const connected = new Promise<void>((resolve) => session.once("connect", () => resolve()));
  await Promise.race([connected, failed]);
  return {
    protocol: session.alpnProtocol,
    ask: (headers, body) => Promise.race([askHttp2(session, headers, body), failed]),
    [Symbol.asyncDispose]: async () => session.destroy(),
  };
}

function askHttp2(
  session: ClientHttp2Session,
  headers: Record<string, string>,
  body?: string,
): Promise<Http2Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Http2Answer>();
  const stream = session.request(headers, { endStream: body === undefined });
  let received: Http2Answer["headers"] = {};
  let text = "";
  stream.setEncoding("utf8");
  stream.on("response", (head) => {
    received = head as Http2Answer["headers"];
  });
  stream.on("data", (chunk) => {
    text += chunk;
  });
  stream.on("end", () => {
    // A session that is cut ends its streams, too.
    if (received[":status"] === undefined) reject(new Error("the stream was cut"));
    else resolve({ headers: received, body: text });
  });
  stream.on("error", reject);
  if (body !== undefined) stream.end(body);
  return promise;
}

function protocolOf(url: string): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const { port } = new URL(url);
  const socket = connectTls(
    {
      port: Number(port),
      host: "127.0.0.1",
      ca: authority.cert,
      ALPNProtocols: ["h2", "http/1.1"],
    },
    () => {
      resolve(socket.alpnProtocol);
      socket.destroy();
    },
  );
  socket.on("error", reject);
  return promise;
}
