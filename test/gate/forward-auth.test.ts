import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openBrowser } from "../login/browser.ts";
import type { LoginGate } from "../login/login-gate.ts";
import { type MockProvider, startMockProvider } from "../login/mock-provider.ts";
import { rawRequest } from "../support/raw-request.ts";
import {
  askAt,
  BROWSER,
  bearer,
  codeOf,
  type Fields,
  forwarded,
  openVerifyGate,
  original,
  tokenFor,
  VERIFY,
} from "./verify-gate.ts";

let provider: MockProvider;
let gate: LoginGate;
let staff: string;
let nobody: string;

beforeAll(async () => {
  provider = await startMockProvider();
  gate = await openVerifyGate(provider, ["127.0.0.1"]);
  [staff, nobody] = await Promise.all([
    tokenFor(provider, "alice", { roles: ["admin"], team: "blue" }),
    tokenFor(provider, "bob"),
  ]);
});

afterAll(async () => {
  await gate?.[Symbol.asyncDispose]();
  await provider?.[Symbol.asyncDispose]();
});

const ask = (target: string, fields: Fields) => askAt(gate.port, target, fields);

/** Each way of asking about the same request. */
const WAYS: [string, (uri: string, method?: string) => { target: string; fields: Fields }][] = [
  ["X-Forwarded-*", (uri, method) => ({ target: VERIFY, fields: forwarded(uri, method) })],
  ["X-Original-URL", (uri, method) => ({ target: VERIFY, fields: original(uri, method) })],
  [
    "the path",
    (uri, method) => ({
      target: `${VERIFY}${uri}`,
      fields: [
        ["Host", "app.localhost"],
        ...(method === undefined ? [] : [["X-Unused", method] as const]),
      ],
    }),
  ],
];

describe.each(WAYS)("asked by %s", (name, way) => {
  const send = (uri: string, more: Fields = [], method?: string) => {
    const { target, fields } = way(uri, method);
    return ask(target, [...fields, ...more]);
  };

  test("what may pass is 200, with what the application is to be told", async () => {
    const { status, headers, body } = await send("/orders/1?x=a%2Fb", [
      ...bearer(staff),
      ["X-User", "mallory"],
    ]);
    expect([status, body]).toEqual([200, ""]);
    expect(headers).toMatchObject({ "x-user": "alice", "x-team": "blue" });
    expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("a claim that is not there is an empty header, which covers the client's own", async () => {
    const { status, headers } = await send("/orders/1", [...bearer(nobody), ["X-Team", "red"]]);
    expect(status).toBe(200);
    expect(headers).toMatchObject({ "x-user": "bob", "x-team": "" });
  });

  test("a public route is 200 and tells of nobody", async () => {
    const { status, headers } = await send("/open/x", [...bearer(staff), ["X-User", "mallory"]]);
    expect(status).toBe(200);
    expect(headers).toMatchObject({ "x-user": "", "x-team": "" });
  });

  test("denials have their own status and code", async () => {
    expect(codeOf(await send("/orders/1"))).toEqual([401, "token_missing"]);
    expect(codeOf(await send("/orders/1", bearer("a.b.c")))).toEqual([401, "token_invalid"]);
    expect(codeOf(await send("/admin/x", bearer(nobody)))).toEqual([403, "policy_denied"]);
    expect((await send("/admin/x", bearer(staff))).status).toBe(200);
    const { headers } = await send("/orders/1");
    expect(headers["www-authenticate"]).toBe(`Bearer realm="claimgate"`);
  });

  test("a browser without a session is sent to sign in, and then to the original address", async () => {
    const { status, headers } = await send("/orders/1?x=a%2Fb&y=2", BROWSER);
    expect(status).toBe(302);
    const location = new URL(headers.location ?? "");
    expect(`${location.origin}${location.pathname}`).toBe(`${gate.url}/.claimgate/login`);
    expect(location.searchParams.get("return")).toBe(
      `http://app.localhost:${gate.port}/orders/1?x=a%2Fb&y=2`,
    );
  });

  test.each([
    ["/admin//x", "path_ambiguous"],
    ["/admin%2fx", "path_ambiguous"],
    ["/open/%2e%2e/admin/x", undefined],
    ["/open/..;/admin/x", "path_ambiguous"],
    ["/open;/../admin/x", undefined],
    ["/open/..%2fadmin/x", "path_ambiguous"],
    ["/open/%252e%252e/admin", "path_ambiguous"],
    ["/open/%00", "path_control"],
    ["/open/%zz", "path_escape_invalid"],
  ])("%s never passes as public", async (uri) => {
    const { status } = await send(uri);
    if (name === "the path" && /(?<!%25)\.\.\/|%2e%2e\//.test(uri)) {
      // Dots are resolved before the gate sees them; whoever asks so resolves them first, too.
      expect(status).toBe(401);
    } else expect(status).toBe(400);
  });

  test("the gate's own addresses are no application's", async () => {
    for (const uri of ["/.claimgate/login", "/.claimgate/verify/x", "/.claimgate/health"]) {
      expect(codeOf(await send(uri, bearer(staff)))).toEqual([404, "route_not_found"]);
    }
  });
});

describe("what a proxy says", () => {
  test("the method counts as it is forwarded", async () => {
    for (const way of [forwarded, original]) {
      const get = await ask(VERIFY, [...way("/read-only"), ...bearer(staff)]);
      const post = await ask(VERIFY, [...way("/read-only", "POST"), ...bearer(staff)]);
      expect([get.status, post.status, post.headers.allow]).toEqual([200, 405, "GET, HEAD"]);
    }
  });

  test("by the path, method, Host and query are those of the question", async () => {
    const head = (method: string) =>
      `${method} ${VERIFY}/site/a?denied=status&b=%2F HTTP/1.1\r\nHost: app.localhost\r\nAuthorization: Bearer ${staff}\r\nContent-Length: 0\r\n\r\n`;
    const { headers } = await rawRequest(gate.port, head("PATCH"));
    expect(headers["x-seen"]).toBe(
      "PATCH http://app.localhost/site/a?denied=status&b=%2F 127.0.0.1",
    );
    const other = head("GET").replace("app.localhost", "other.localhost");
    expect((await rawRequest(gate.port, other)).status).toBe(404);
  });

  test("policies see the original request, from the client behind the proxy", async () => {
    const { headers, status } = await ask(VERIFY, [
      ...forwarded("/site/a?b=c", "PUT"),
      ...bearer(staff),
    ]);
    expect([status, headers["x-seen"]]).toEqual([
      200,
      "PUT http://app.localhost/site/a?b=c 192.0.2.7",
    ]);
  });

  test("the scheme is that of the original address, whatever its client has sent", async () => {
    const { headers } = await ask(VERIFY, [
      ["X-Original-URL", "https://app.localhost/site/a"],
      ["X-Original-Method", "GET"],
      ["X-Forwarded-Proto", "http"],
      ["X-Forwarded-Host", "other.localhost"],
      ...bearer(staff),
    ]);
    expect(headers["x-seen"]).toBe("GET https://app.localhost/site/a 127.0.0.1");
  });
});

describe("with denied=status", () => {
  const STATUS = `${VERIFY}?denied=status`;

  test("a browser is 401 with the address where it signs in, anybody else without", async () => {
    const page = await ask(STATUS, [...original("/orders/1?x=1"), ...BROWSER]);
    expect(page.status).toBe(401);
    const address = new URL(page.headers["x-claimgate-login"] ?? "");
    expect(address.origin + address.pathname).toBe(`${gate.url}/.claimgate/login`);
    expect(address.searchParams.get("return")).toBe(
      `http://app.localhost:${gate.port}/orders/1?x=1`,
    );
    expect(page.headers.location).toBeUndefined();
    const script = await ask(STATUS, original("/orders/1"));
    expect(script.status).toBe(401);
    expect(script.headers["x-claimgate-login"]).toBeUndefined();
    expect(script.headers["www-authenticate"]).toBe(`Bearer realm="claimgate"`);
  });

  test("what the client is to blame for is 403: nginx takes all else for a fault", async () => {
    expect(codeOf(await ask(STATUS, [...original("/read-only", "PUT")]))).toEqual([
      403,
      "method_not_allowed",
    ]);
    expect(codeOf(await ask(STATUS, original("/open//x")))).toEqual([403, "request_malformed"]);
    expect(codeOf(await ask(STATUS, original("/x", "GET", "other.localhost")))).toEqual([
      403,
      "route_not_found",
    ]);
  });

  test("what the proxy is to blame for stays 400", async () => {
    expect((await ask(STATUS, original("/open/x").slice(0, 1))).status).toBe(400);
  });
});

describe("a route that is only asked about", () => {
  test("is nothing for a live request, with whatever credential", async () => {
    for (const fields of [[], bearer(staff), BROWSER]) {
      const { status, body, headers } = await ask("/orders/1", [
        ["Host", "app.localhost"],
        ["Accept", "application/json"],
        ...fields.filter(([name]) => name !== "Accept"),
      ]);
      expect([status, JSON.parse(body).code]).toEqual([404, "route_not_found"]);
      expect(headers.location).toBeUndefined();
    }
    expect((await ask("/open/x", [["Host", "app.localhost"]])).status).toBe(404);
  });
});

describe("obligations", () => {
  test("limits count, by the route and the address", async () => {
    const first = await ask(VERIFY, [...forwarded("/limited"), ...bearer(staff)]);
    const second = await ask(VERIFY, [...forwarded("/limited"), ...bearer(staff)]);
    expect([first.status, second.status]).toEqual([200, 429]);
    expect(first.headers["ratelimit-policy"]).toBe(`"default";q=1;w=3600`);
    expect(Number(second.headers["retry-after"])).toBeGreaterThan(0);
    const asStatus = await ask(`${VERIFY}?denied=status`, [
      ...original("/limited"),
      ...bearer(staff),
    ]);
    expect(codeOf(asStatus)).toEqual([403, "rate_limited"]);
  });

  test("a policy's revocation is in force for the next request", async () => {
    const token = await tokenFor(provider, "carol", { jti: crypto.randomUUID() });
    const at = (uri: string) => ask(VERIFY, [...forwarded(uri), ...bearer(token)]);
    expect((await at("/site/a")).status).toBe(200);
    expect((await at("/site/a?steal")).status).toBe(403);
    expect(codeOf(await at("/orders/1"))).toEqual([401, "token_revoked"]);
  });

  test("it is recorded like every other decision", async () => {
    const { headers } = await ask(VERIFY, [...forwarded("/admin/x", "PUT"), ...bearer(nobody)]);
    const line = gate.log.find(({ requestId }) => requestId === headers["x-request-id"]);
    expect(line).toMatchObject({
      method: "PUT",
      host: "app.localhost",
      path: "/admin/x",
      client: "192.0.2.7",
      route: "admin",
      decision: "deny",
      status: 403,
      code: "policy_denied",
    });
    const passed = await ask(VERIFY, [...forwarded("/orders/7"), ...bearer(nobody)]);
    const good = gate.log.find(({ requestId }) => requestId === passed.headers["x-request-id"]);
    expect(good).toMatchObject({ route: "app", decision: "forward", status: 200 });
  });
});

describe("sessions", () => {
  test("pass by their cookie, and are held to the rules for other sites", async () => {
    const cookie = await signIn();
    const send = (method: string, more: Fields) =>
      ask(VERIFY, [
        ...forwarded("/orders/1", method, `app.localhost:${gate.port}`),
        ["Cookie", cookie],
        ...more,
      ]);
    const own: Fields = [["Origin", `http://app.localhost:${gate.port}`]];
    const foreign: Fields = [["Origin", "http://evil.example"]];
    expect((await send("GET", foreign)).status).toBe(200);
    expect((await send("POST", own)).status).toBe(200);
    expect(codeOf(await send("POST", foreign))).toEqual([403, "cross_site"]);
    // Of an upgrade most proxies leave only this.
    const socket: Fields = [["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="]];
    expect((await send("GET", [...own, ...socket])).status).toBe(200);
    expect(codeOf(await send("GET", [...foreign, ...socket]))).toEqual([403, "cross_site"]);
  });

  /** Where the application's proxy hands `/.claimgate/` on to the gate. */
  async function signIn(): Promise<string> {
    const browser = openBrowser();
    const start = await ask(VERIFY, [...forwarded("/orders/1"), ...BROWSER]);
    await browser.follow(start.headers.location ?? "");
    const id = browser.cookies.get("app.localhost")?.get("claimgate");
    expect(id).toBeDefined();
    return `claimgate=${id}`;
  }
});
