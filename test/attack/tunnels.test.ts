/** Upgrades as a way around the gate: what is refused, what the upstream sees, what follows behind. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rawRequest } from "../support/raw-request.ts";
import {
  type AttackGate,
  bearer,
  expectDenied,
  NOW,
  openAttackGate,
  requestBytes,
  shoot,
  untilStatus,
} from "./attack-gate.ts";
import { forge, makeKey } from "./forge.ts";

const key = makeKey("P-256");
const CLAIMS = { iss: "https://main.test", aud: "api", sub: "alice-3f9c1d", exp: NOW + 300 };
const TOKEN = forge({ alg: "ES256", kid: "one" }, CLAIMS, key, "ES256");

type Seen = { readonly target: string; readonly headers: Headers };

const seen: Seen[] = [];
const messages: string[] = [];
let upstream: Bun.Server<undefined>;
/** Agrees to every upgrade without having read it. */
let liar: Bun.TCPSocketListener<undefined>;
let gate: AttackGate;

beforeAll(async () => {
  upstream = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request, server) {
      const { pathname } = new URL(request.url);
      seen.push({ target: pathname, headers: new Headers(request.headers) });
      if (pathname.endsWith("/refused")) return new Response("not here", { status: 403 });
      return server.upgrade(request) ? undefined : new Response("plain");
    },
    websocket: { message: (_, message) => void messages.push(String(message)) },
  });
  const agreed =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
  liar = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      data: (socket) => void socket.write(`${agreed}Sec-WebSocket-Accept: AAAA\r\n\r\nsecret`),
    },
  });
  const routes = [
    { name: "admin", match: { path: "/admin/*" }, anyAuthenticated: true },
    { name: "public", match: { path: "/public/*" }, public: true },
  ].map((route) => ({
    ...route,
    upstream: upstream.url.origin,
    identityHeaders: { "X-User": "sub", "X-Roles": "roles" },
  }));
  const lying = { name: "lying", match: { path: "/lying/*" }, public: true };
  gate = await openAttackGate(
    {
      issuers: [{ name: "main", issuer: CLAIMS.iss, audiences: ["api"], jwks: "jwks.json" }],
      routes: [...routes, { ...lying, upstream: `http://127.0.0.1:${liar.port}` }],
    },
    { "jwks.json": JSON.stringify({ keys: [{ ...key.jwk, kid: "one" }] }) },
  );
  await untilStatus(200, () => shoot(gate, { target: "/admin/x", lines: [bearer(TOKEN)] }));
});

afterAll(async () => {
  await gate[Symbol.asyncDispose]();
  await upstream.stop(true);
  liar.stop(true);
});

const HANDSHAKE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

const upgrade = (target: string, ...lines: readonly string[]) => ({
  target,
  lines: [...HANDSHAKE, ...lines],
});

/** What the upstream saw of this shot. */
async function fire(shot: ReturnType<typeof upgrade>) {
  const before = seen.length;
  const answer = await shoot(gate, shot);
  return { answer, seen: seen.slice(before) };
}

describe("an upgrade is a request like any other", () => {
  test.each([
    ["no token", upgrade("/admin/x"), 401, "token_missing"],
    ["a bad token", upgrade("/admin/x", bearer("a.b.c")), 401, "token_invalid"],
    ["a token twice", upgrade("/admin/x", bearer(TOKEN), bearer(TOKEN)), 400, "request_malformed"],
    ["dots", upgrade("/public/../admin/x"), 401, "token_missing"],
    ["an escaped slash", upgrade("/public/..%2fadmin/x"), 400, "request_malformed"],
    ["no route", upgrade("/nothing"), 404, "route_not_found"],
    ["a length", upgrade("/public/x", "Content-Length: 5"), 400, "request_malformed"],
    ["chunks", upgrade("/public/x", "Transfer-Encoding: chunked"), 400, "request_malformed"],
  ])("%s", async (_, shot, status, code) => {
    const { answer, seen } = await fire(shot);
    expectDenied(gate, answer, status, code);
    expect(seen).toEqual([]);
  });

  test("with a token it passes, and the upstream sees only ours", async () => {
    const forged = [
      "X-User",
      "X_User",
      "x-roles",
      "X-Forwarded-User",
      "X_Forwarded_For",
      "Forwarded",
    ];
    const lines = [bearer(TOKEN), ...forged.map((name) => `${name}: root-forged`)];
    const { answer, seen } = await fire(upgrade("/admin/x", ...lines));
    expect([answer.status, seen.length]).toEqual([101, 1]);
    const headers = seen[0]?.headers ?? new Headers();
    expect([...headers].filter(([, value]) => value.includes("root-forged"))).toEqual([]);
    expect(headers.get("x-user")).toBe("alice-3f9c1d");
    expect(headers.has("x-roles")).toBe(false);
    expect(headers.get("x-forwarded-for")).toBe("127.0.0.1");
    expect(headers.has("authorization")).toBe(false);
    expect(headers.get("sec-websocket-key")).not.toBe("dGhlIHNhbXBsZSBub25jZQ==");
  });

  test("Connection takes nothing of ours away", async () => {
    const lines = [bearer(TOKEN), "Connection: X-User, X-Forwarded-For"];
    const { answer, seen } = await fire(upgrade("/admin/x", ...lines));
    expect(answer.status).toBe(101);
    expect(seen[0]?.headers.get("x-user")).toBe("alice-3f9c1d");
    expect(seen[0]?.headers.get("x-forwarded-for")).toBe("127.0.0.1");
  });
});

describe("what follows behind an upgrade", () => {
  const INNER = requestBytes({ target: "/admin/smuggled", lines: ["X-User: root"] });

  test.each([
    ["that is agreed to", "/public/x"],
    ["that the upstream refuses", "/public/refused"],
    ["that nobody can agree to", "/lying/x"],
    ["that the gate refuses", "/admin/x"],
  ])("%s is no request to the upstream", async (_, target) => {
    const before = { seen: seen.length, messages: messages.length };
    const bytes = requestBytes(upgrade(target)) + INNER;
    const { raw } = await rawRequest(gate.port, bytes, { until: "closed", limitMs: 400 });
    const targets = seen.slice(before.seen).map((one) => one.target);
    expect(targets.filter((one) => one !== target)).toEqual([]);
    expect(messages.slice(before.messages)).toEqual([]);
    expect(raw).not.toContain("plain");
    expect(raw).not.toContain("secret");
  });

  test("an upstream that lies about the upgrade is not believed", async () => {
    const answer = await shoot(gate, upgrade("/lying/x"));
    expectDenied(gate, answer, 502, "upstream_unreachable");
    expect(answer.raw).not.toContain("secret");
  });

  test("a refusal of the upstream is the upstream's answer", async () => {
    const answer = await shoot(gate, upgrade("/public/refused"));
    expect([answer.status, answer.body]).toEqual([403, "not here"]);
  });
});

describe("an upgrade to something else goes no further", () => {
  test.each(["h2c", "x", "TLS/1.0", "websocket-x", "websocket, h2c"])("%s", async (protocol) => {
    const before = seen.length;
    const lines = [
      "Connection: Upgrade, HTTP2-Settings",
      `Upgrade: ${protocol}`,
      "HTTP2-Settings: AAMA",
    ];
    const { status } = await shoot(gate, { target: "/public/x", lines });
    expect([200, 400]).toContain(status);
    for (const { headers } of seen.slice(before)) {
      expect(headers.has("upgrade")).toBe(false);
      expect(headers.has("http2-settings")).toBe(false);
    }
    expect((await shoot(gate, { target: "/admin/x", lines })).status).toBe(401);
  });
});
