/** HTTP/2: what its frames can say that HTTP/1.1 cannot. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { makeCertificate } from "../support/certificate.ts";
import { type RecordingUpstream, recordingUpstream } from "../support/recording-upstream.ts";
import { type AttackGate, NOW, openAttackGate } from "./attack-gate.ts";
import { forge, makeKey } from "./forge.ts";
import { type Http2Client, type Http2Field, openHttp2 } from "./http2-client.ts";

const key = makeKey("P-256");
const CLAIMS = { iss: "https://main.test", aud: "api", sub: "alice-3f9c1d", exp: NOW + 300 };
const TOKEN = forge({ alg: "ES256", kid: "one" }, CLAIMS, key, "ES256");

let upstream: RecordingUpstream;
let gate: AttackGate;
let client: Http2Client;

beforeAll(async () => {
  upstream = recordingUpstream();
  const { cert, key: certKey } = makeCertificate();
  const jwks = JSON.stringify({ keys: [{ ...key.jwk, kid: "one" }] });
  const routes = [
    { name: "admin", match: { path: "/admin/*" }, anyAuthenticated: true },
    { name: "secret", match: { host: "secret.test", path: "/public/*" }, anyAuthenticated: true },
    { name: "public", match: { path: "/public/*" }, public: true },
  ].map((route) => ({ ...route, upstream: upstream.origin, identityHeaders: { "X-User": "sub" } }));
  gate = await openAttackGate(
    {
      tls: { cert: "cert.pem", key: "key.pem" },
      issuers: [{ name: "main", issuer: CLAIMS.iss, audiences: ["api"], jwks: "jwks.json" }],
      routes,
    },
    { "cert.pem": cert, "key.pem": certKey, "jwks.json": jwks },
  );
  for (let tries = 0; tries < 500; tries++) {
    await using probe = await openHttp2(gate.port);
    if ((await probe.request(fields("/admin/x", ["authorization", `Bearer ${TOKEN}`]))) === 200)
      return;
    await Bun.sleep(10);
  }
  throw new Error("the gate never served over HTTP/2");
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

function fields(path: string, ...more: readonly Http2Field[]): Http2Field[] {
  const usual: Http2Field[] = [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "gate.test"],
    [":path", path],
  ];
  return [...usual, ...more];
}

/** The same with one pseudo-header replaced, or left out. */
function but(name: string, value: string | undefined, path = "/public/x"): Http2Field[] {
  return fields(path).flatMap(([field, former]): Http2Field[] =>
    field !== name ? [[field, former]] : value === undefined ? [] : [[field, value]],
  );
}

/** Each shot on a connection of its own: many of them end it. */
async function fire(shot: readonly Http2Field[], body?: string) {
  client = await openHttp2(gate.port);
  try {
    const before = upstream.seen.length;
    const ending = await client.request(shot, body);
    return { ending, seen: upstream.seen.slice(before) };
  } finally {
    await client[Symbol.asyncDispose]();
  }
}

describe("what must hold", () => {
  test("a public route, over HTTP/2", async () => {
    const { ending, seen } = await fire(fields("/public/x"));
    expect([ending, seen.length]).toEqual([200, 1]);
    expect(seen[0]?.headers.get("x-forwarded-proto")).toBe("https");
    expect(seen[0]?.headers.get("x-forwarded-host")).toBe("gate.test");
  });

  test("a token", async () => {
    const shot = fields("/admin/x", ["authorization", `Bearer ${TOKEN}`], ["x-user", "root"]);
    const { ending, seen } = await fire(shot);
    expect([ending, seen[0]?.headers.get("x-user")]).toEqual([200, "alice-3f9c1d"]);
  });
});

describe("what is refused, with its status", () => {
  const REFUSED: readonly (readonly [string, readonly Http2Field[], number])[] = [
    ["no token", fields("/admin/x"), 401],
    ["a guarded path behind dots", fields("/public/../admin/x"), 401],
    ["a guarded path behind escaped dots", fields("/public/%2e%2e/admin/x"), 401],
    ["an escaped slash", fields("/public/..%2fadmin/x"), 400],
    ["two slashes", fields("/public//x"), 400],
    ["a fragment", fields("/public/x#y"), 400],
    ["NUL, escaped", fields("/public/%00"), 400],
    ["a guarded host", but(":authority", "secret.test"), 401],
    ["a guarded host in capitals", but(":authority", "SECRET.test:443"), 401],
    ["a host with a comma", but(":authority", "gate.test,secret.test"), 400],
    ["TRACE", but(":method", "TRACE"), 501],
    [
      "a token twice",
      fields(
        "/admin/x",
        ["authorization", `Bearer ${TOKEN}`],
        ["authorization", `Bearer ${TOKEN}`],
      ),
      400,
    ],
  ];
  test.each([...REFUSED])("%s", async (_, shot, status) => {
    const { ending, seen } = await fire(shot);
    expect([ending, seen]).toEqual([status, []]);
  });
});

describe("a connection through the gate", () => {
  const CONNECTS: [string, Http2Field[]][] = [
    [
      "to anywhere",
      [
        [":method", "CONNECT"],
        [":authority", "127.0.0.1:80"],
      ],
    ],
    ["to a path", but(":method", "CONNECT")],
    ["as a WebSocket (RFC 8441)", [...but(":method", "CONNECT"), [":protocol", "websocket"]]],
  ];
  test.each(CONNECTS)("%s", async (_, shot) => {
    const { ending, seen } = await fire(shot);
    // 404 is Bun's own, which knows no request without a path.
    expect([501, 400, 404, "reset", "goaway"]).toContain(ending);
    expect(seen).toEqual([]);
  });
});

describe("what no server may take (RFC 9113 §8.2, §8.3)", () => {
  const MALFORMED: readonly (readonly [string, readonly Http2Field[], body?: string])[] = [
    ["a name in capitals", fields("/public/x", ["X-User", "root"])],
    ["a line end in a value", fields("/public/x", ["x-a", "b\r\nx-user: root"])],
    ["a line end in a name", fields("/public/x", ["x-a\r\nx-user", "root"])],
    ["a colon in a name", fields("/public/x", ["x-a:x-user", "root"])],
    ["a NUL in a value", fields("/public/x", ["x-a", "b\u0000c"])],
    ["an empty name", fields("/public/x", ["", "root"])],
    ["Connection", fields("/public/x", ["connection", "x-user"])],
    ["Transfer-Encoding", fields("/public/x", ["transfer-encoding", "chunked"])],
    ["Upgrade", fields("/public/x", ["upgrade", "h2c"])],
    ["Keep-Alive", fields("/public/x", ["keep-alive", "1"])],
    ["TE of anything but trailers", fields("/public/x", ["te", "gzip"])],
    ["no path", but(":path", undefined)],
    ["an empty path", but(":path", "")],
    ["a path without its slash", but(":path", "public/x")],
    ["a path with a line end", but(":path", "/public/x HTTP/1.1\r\nX-User: root\r\n\r\n")],
    ["a path with a space", but(":path", "/public/x y")],
    ["no method", but(":method", undefined)],
    ["a method with a space", but(":method", "GET /admin/x")],
    ["a method with a line end", but(":method", "GET\r\nX: y")],
    ["no scheme", but(":scheme", undefined)],
    ["a path twice", [...fields("/public/x"), [":path", "/admin/x"]]],
    ["an authority twice", fields("/public/x", [":authority", "secret.test"])],
    ["a pseudo-header after the rest", [["x-a", "b"], ...fields("/public/x")]],
    ["a pseudo-header of an answer", fields("/public/x", [":status", "200"])],
    ["a pseudo-header that nobody knows", fields("/public/x", [":user", "root"])],
    ["a length without a body", fields("/public/x", ["content-length", "5"])],
    [
      "a length that is not the body's",
      [...but(":method", "POST"), ["content-length", "1"]],
      "abcde",
    ],
    [
      "two lengths",
      [...but(":method", "POST"), ["content-length", "5"], ["content-length", "6"]],
      "abcde",
    ],
    ["a Host that is not the authority", fields("/public/x", ["host", "secret.test"])],
    ["an authority with a user", but(":authority", "gate.test@secret.test")],
    ["neither Host nor authority", but(":authority", undefined)],
  ];
  test.each(MALFORMED.map(([name, shot, body]) => [name, shot, body ?? null] as const))(
    "%s",
    async (_, shot, body) => {
      const { ending, seen } = await fire(shot, body ?? undefined);
      expect(seen).toEqual([]);
      expect(["reset", "goaway", "closed", 400]).toContain(ending);
    },
  );
});

describe("headers that never end", () => {
  test("end the connection, and nothing else", async () => {
    await using attacker = await openHttp2(gate.port);
    const before = process.memoryUsage.rss();
    const ending = await attacker.continueHeaders(fields("/public/x"), 10_000);
    expect(ending === "goaway" || ending === "closed").toBe(true);
    expect(process.memoryUsage.rss() - before).toBeLessThan(50 * 1024 ** 2);
    expect((await fire(fields("/public/x"))).ending).toBe(200);
  });
});

describe("streams that are reset at once", () => {
  test("by the thousand leave the gate in service, and log no decision to forward", async () => {
    const attacker = await openHttp2(gate.port);
    for (let count = 0; count < 5_000; count++) attacker.openAndReset(fields("/admin/x"));
    const { ending } = await fire(fields("/public/x"));
    expect(ending).toBe(200);
    expect(upstream.seen.filter(({ target }) => target === "/admin/x").length).toBeLessThan(10);
    await attacker[Symbol.asyncDispose]();
  });
});
