import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { lastOf, openBrowser } from "../login/browser.ts";
import { type MockProvider, startMockProvider } from "../login/mock-provider.ts";
import { freePort } from "../support/free-port.ts";
import { describeWith } from "../support/needs.ts";
import { findProgram } from "../support/packages.ts";
import { rawRequest } from "../support/raw-request.ts";
import { type TempFolder, tempFolder } from "../support/temp-folder.ts";
import { type RunningServe, run, serve, until } from "./claimgate.ts";

const EXAMPLE = join(import.meta.dir, "../../docs/examples/forward-auth");
const START_LIMIT_MS = 15_000;
const TEST_LIMIT_MS = 60_000;

type Seen = { readonly line: string; readonly headers: ReadonlyMap<string, readonly string[]> };

/** An application that tells byte for byte what reached it. */
function startApp() {
  const seen: Seen[] = [];
  const server = Bun.listen<{ text: string }>({
    hostname: "127.0.0.1",
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: "" };
      },
      data(socket, chunk) {
        socket.data.text += chunk.toString("latin1");
        const end = socket.data.text.indexOf("\r\n\r\n");
        if (end < 0) return;
        const [line = "", ...fields] = socket.data.text.slice(0, end).split("\r\n");
        const headers = new Map<string, string[]>();
        for (const field of fields) {
          const at = field.indexOf(":");
          const name = field.slice(0, at).toLowerCase();
          headers.set(name, [...(headers.get(name) ?? []), field.slice(at + 1).trim()]);
        }
        seen.push({ line, headers });
        socket.data.text = "";
        const isSocket = headers.get("upgrade")?.[0] === "websocket";
        socket.end(
          isSocket
            ? `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n`
            : "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\napp",
        );
      },
    },
  });
  return { seen, port: server.port, [Symbol.dispose]: () => server.stop(true) };
}

type Proxy = {
  readonly file: "nginx.conf" | "Caddyfile";
  readonly command: () => readonly string[];
  /** What it makes of a denial that is neither 401 nor 403. */
  readonly malformed: number;
};

const NGINX: Proxy = {
  file: "nginx.conf",
  command: () => {
    const asRoot = process.getuid?.() === 0 ? ["-g", "user root;"] : [];
    return [findProgram("nginx") ?? "", "-p", ".", "-e", "stderr", "-c", "nginx.conf", ...asRoot];
  },
  malformed: 403,
};

const CADDY: Proxy = {
  file: "Caddyfile",
  command: () => [findProgram("caddy") ?? "", "run", "--config", "Caddyfile"],
  malformed: 400,
};

function behaves(proxy: Proxy): void {
  let app: ReturnType<typeof startApp>;
  let provider: MockProvider;
  let folder: TempFolder;
  let gate: RunningServe;
  let child: Bun.Subprocess;
  let port: number;
  let admin: string;
  let guest: string;

  const tokenFor = (sub: string, more: object) => {
    const now = Math.floor(Date.now() / 1_000);
    const claims = { iss: provider.issuer, aud: "dev", sub, iat: now, exp: now + 600, ...more };
    return provider.jwt(claims, { typ: "JWT" });
  };

  beforeAll(async () => {
    app = startApp();
    provider = await startMockProvider();
    folder = await tempFolder();
    await cp(EXAMPLE, folder.path, { recursive: true });
    const gatePort = freePort();
    port = freePort();
    for (const name of ["claimgate.yaml", proxy.file]) {
      const text = await Bun.file(join(EXAMPLE, name)).text();
      const replaced = text
        .replaceAll("127.0.0.1:8080", `127.0.0.1:${gatePort}`)
        .replaceAll(/(127\.0\.0\.1|app\.localhost):8000/g, `$1:${port}`)
        .replaceAll("127.0.0.1:9000", `127.0.0.1:${app.port}`)
        .replaceAll("http://127.0.0.1:9400", provider.issuer);
      await folder.write(name, replaced);
    }
    [admin, guest] = await Promise.all([
      tokenFor("alice", { roles: ["admin", "staff"] }),
      tokenFor("bob", {}),
    ]);
    expect(await run(["check"], { folder: folder.path })).toMatchObject({ exitCode: 0, err: "" });
    gate = await serve([], { folder: folder.path });
    child = Bun.spawn([...proxy.command()], {
      cwd: folder.path,
      env: { ...process.env, HOME: folder.path },
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(join(folder.path, "proxy.log")),
    });
    await until(proxy.file, START_LIMIT_MS, async () => {
      const answer = await fetch(`http://127.0.0.1:${port}/open/`, HOST).catch(() => undefined);
      return answer?.status === 200;
    });
    await until("keys", START_LIMIT_MS, async () => (await get("/", bearer(guest))).status === 200);
    app.seen.length = 0;
  }, TEST_LIMIT_MS);

  afterAll(async () => {
    child?.kill("SIGTERM");
    await child?.exited;
    await gate?.[Symbol.asyncDispose]();
    await provider?.[Symbol.asyncDispose]();
    app?.[Symbol.dispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  const HOST = { headers: { Host: "app.localhost" } };

  type Fields = readonly (readonly [name: string, value: string])[];
  const bearer = (token: string): Fields => [["Authorization", `Bearer ${token}`]];

  /** @param target As it is written into the request line. */
  function get(target: string, fields: Fields = [], { method = "GET", host = "" } = {}) {
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const name = host === "" ? `app.localhost:${port}` : host;
    return rawRequest(port, `${method} ${target} HTTP/1.1\r\nHost: ${name}\r\n${lines}\r\n`);
  }

  /** What reaches the application of a request, with the answer. */
  async function passed(...args: Parameters<typeof get>) {
    const before = app.seen.length;
    const answer = await get(...args);
    const arrived = app.seen.slice(before);
    expect(arrived.length).toBeLessThan(2);
    return { ...answer, arrived: arrived[0] };
  }

  test("what may pass reaches the application as it was sent, with who sends it", async () => {
    const { status, body, arrived } = await passed("/orders/1?x=a%2Fb&y", bearer(admin));
    expect([status, body]).toEqual([200, "app"]);
    expect(arrived?.line).toStartWith("GET /orders/1?x=a%2Fb&y HTTP/1.");
    expect(arrived?.headers.get("x-user")).toEqual(["alice"]);
    expect(arrived?.headers.get("x-roles")).toEqual(["admin,staff"]);
    expect(arrived?.headers.has("authorization")).toBe(false);
  });

  test("no header of a client's own speaks for it", async () => {
    const forged: Fields = [
      ["X-User", "root"],
      ["X-Roles", "admin"],
      ["x-roles", "admin"],
    ];
    const own = await passed("/orders/1", [...bearer(guest), ...forged]);
    expect(own.status).toBe(200);
    expect(own.arrived?.headers.get("x-user")).toEqual(["bob"]);
    expect(own.arrived?.headers.get("x-roles")?.join("") ?? "").toBe("");
    const open = await passed("/open/x", forged);
    expect(open.status).toBe(200);
    expect(open.arrived?.headers.get("x-user")?.join("") ?? "").toBe("");
    expect(open.arrived?.headers.get("x-roles")?.join("") ?? "").toBe("");
  });

  test("401 says what is wanted, 403 does not pass", async () => {
    const missing = await passed("/orders/1");
    expect([missing.status, missing.arrived]).toEqual([401, undefined]);
    expect(missing.headers["www-authenticate"]).toBe(`Bearer realm="claimgate"`);
    const invalid = await passed("/orders/1", bearer("a.b.c"));
    expect([invalid.status, invalid.arrived]).toEqual([401, undefined]);
    expect(invalid.headers["www-authenticate"]).toContain(`error="invalid_token"`);
    const denied = await passed("/admin/x", bearer(guest));
    expect([denied.status, denied.arrived]).toEqual([403, undefined]);
    expect((await passed("/admin/x", bearer(admin))).status).toBe(200);
  });

  test("the method that counts is the request's own", async () => {
    const { status, arrived } = await passed("/orders/1", bearer(guest), { method: "DELETE" });
    expect([status, arrived?.line.split(" ")[0]]).toEqual([200, "DELETE"]);
    const line = await gate.waitForLog((one) => one.method === "DELETE");
    expect(line).toMatchObject({ client: "127.0.0.1", decision: "forward", path: "/orders/1" });
  });

  test.each([
    "/open//../admin/x",
    "/open/../admin/x",
    "/open/%2e%2e/admin/x",
    "/open/.%2e/admin/x",
    "/open/..%2fadmin/x",
    "/open%2f..%2fadmin/x",
    "/open/..;/admin/x",
    "/open;/../admin/x",
    "/open/;/../../admin/x",
    "/open/%252e%252e/admin/x",
    "/open/..%5cadmin/x",
    "/open/..\\admin/x",
    "//admin/x",
    "/./admin/x",
    "/%61dmin/x",
    "/admin%2fx",
    "/admin;/x",
    "/ADMIN/x",
    "/.claimgate/../admin/x",
    "/.claimgate/%2e%2e/admin/x",
    "/.claimgate/..%2fadmin/x",
    "/.claimgate/ask",
    "/.claimgate/verify",
    "/admin/x#/open/x",
    "/admin/x?/open/x",
    "http://app.localhost/admin/x",
  ])("%s is decided on as the application would read it", async (target) => {
    const tricks: Fields = [
      ["X-Forwarded-Uri", "/open/x"],
      ["X-Forwarded-Method", "GET"],
      ["X-Forwarded-Proto", "http"],
      ["X-Forwarded-Host", "app.localhost"],
    ];
    for (const more of [[], tricks]) {
      const { status, arrived } = await passed(target, [...bearer(guest), ...more]);
      // A guest may see everything but /admin: what comes through must not be read as that.
      if (arrived === undefined) {
        expect([400, 401, 403, 404]).toContain(status);
        continue;
      }
      const [, sent = ""] = arrived.line.split(" ");
      const read = new URL(decodeURIComponent(sent).replace(/;[^/]*/g, ""), "http://x").pathname;
      expect(read.replace(/\/+/g, "/")).not.toStartWith("/admin");
    }
    expect((await get("/open//x")).status).toBe(proxy.malformed);
  });

  test("a client's word on what it asks for does not count", async () => {
    const words: Fields = [
      ["X-Original-URL", `http://app.localhost/open/x`],
      ["X-Original-Method", "GET"],
      ["X-Forwarded-Host", "other.localhost"],
      ["X-Forwarded-Uri", "/open/x"],
      ["X-Forwarded-Method", "GET"],
      ["X-Forwarded-For", "192.0.2.1"],
    ];
    for (const [name, value] of words) {
      const { status, arrived } = await passed("/admin/x", [...bearer(guest), [name, value]]);
      expect([name, status, arrived]).toEqual([name, 403, undefined]);
    }
    expect(gate.log.filter(({ client }) => client === "192.0.2.1")).toEqual([]);
  });

  test("the host is the one by which the proxy has chosen", async () => {
    const target = "http://app.localhost/admin/x";
    const one = await passed(target, bearer(guest), { host: "open.localhost" });
    expect(one.arrived).toBeUndefined();
    const other = await passed("/", bearer(guest), { host: "other.localhost" });
    expect(other.arrived).toBeUndefined();
  });

  test("a person signs in, lands where they wanted to go, and the application sees no cookie", async () => {
    const browser = openBrowser();
    provider.claims = { sub: "carol", roles: ["staff"] };
    const before = app.seen.length;
    const hops = await browser.follow(`http://app.localhost:${port}/orders/1?year=2026&x=a%2Fb`);
    expect(hops[0]?.status).toBe(302);
    const last = lastOf(hops);
    expect([last.status, last.text]).toEqual([200, "app"]);
    expect(last.url).toBe(`http://app.localhost:${port}/orders/1?year=2026&x=a%2Fb`);
    const arrived = app.seen.slice(before);
    expect(arrived.map(({ line }) => line.split(" ")[1])).toEqual(["/orders/1?year=2026&x=a%2Fb"]);
    expect(arrived[0]?.headers.get("x-user")).toEqual(["carol"]);
    expect(arrived[0]?.headers.get("cookie")?.join() ?? "").not.toMatch(/claimgate=/);
    const denied = await browser.go(`http://app.localhost:${port}/admin/x`);
    expect(denied.status).toBe(403);

    const jar = browser.cookies.get("app.localhost");
    const session = `claimgate=${jar?.get("claimgate")}`;
    const cookie = `theme=dark; ${session}; ${session}; lang=en`;
    const both = await passed("/orders/2", [["Cookie", cookie]]);
    expect(both.status).toBe(200);
    expect(both.arrived?.headers.get("cookie")).toEqual(["theme=dark; lang=en"]);
    const foreign: Fields = [
      ["Cookie", cookie],
      ["Origin", "http://evil.example"],
    ];
    const post = await passed("/orders/2", foreign, { method: "POST" });
    expect([post.status, post.arrived]).toEqual([403, undefined]);
    const socket = await passed("/orders/2", [...foreign, ...UPGRADE]);
    expect([socket.status, socket.arrived]).toEqual([403, undefined]);
  });

  const UPGRADE: Fields = [
    ["Connection", "Upgrade"],
    ["Upgrade", "websocket"],
    ["Sec-WebSocket-Version", "13"],
    ["Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="],
  ];

  test("WebSockets pass like everything else", async () => {
    const open = await passed("/orders/1", [...bearer(guest), ...UPGRADE]);
    expect(open.status).toBe(101);
    expect(open.arrived?.headers.get("x-user")).toEqual(["bob"]);
    const denied = await passed("/admin/x", [...bearer(guest), ...UPGRADE]);
    expect([denied.status, denied.arrived]).toEqual([403, undefined]);
  });
}

describeWith("nginx", "nginx asks the gate", () => behaves(NGINX));
describeWith("caddy", "Caddy asks the gate", () => behaves(CADDY));
